//! What the sandbox does with a request: find who asks, then assume, identify, or judge any other action.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::assume::AssumeRole;
use crate::caller::{Bearing, Holder, Keys, Session, authorize};
use crate::clock::{Clock, shifted};
use crate::error::StsError;
use crate::form;
use crate::loopback::Asked;
use crate::policy::Policy;
use crate::random;
use crate::reply::{self, Assumed};
use crate::sandbox::{AssumeRoleCall, Fault, Outcome};
use crate::session::Credentials;
use crate::verify::{Verified, verify};

/// The one version of STS's interface.
const STS_VERSION: &str = "2011-06-15";

/// The most AssumeRole calls remembered; a sandbox that runs for weeks should not grow.
const CALLS_MAX: usize = 10_000;

/// Above this many keys, those of ended sessions are forgotten (and then unknown, no longer expired): the same reason.
const KEYS_MAX: usize = 10_000;

/// A role as IAM keeps it.
pub(crate) struct KeptRole {
    pub(crate) id: String,
    pub(crate) max_session_s: u32,
    pub(crate) trust: Policy,
    pub(crate) identity: Option<Policy>,
}

/// Everything the sandbox knows.
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) region: Option<String>,
    pub(crate) roles: BTreeMap<String, KeptRole>,
    pub(crate) keys: Keys,
    pub(crate) resources: BTreeMap<String, Policy>,
    pub(crate) calls: VecDeque<AssumeRoleCall>,
    pub(crate) faults: VecDeque<(Fault, u32)>,
}

/// What is to be sent, and how.
pub(crate) struct Sent {
    pub(crate) status: u16,
    pub(crate) xml: String,
    pub(crate) request_id: String,
    pub(crate) delay: Option<Duration>,
    pub(crate) lost: bool,
}

impl State {
    /// Answers one request.
    pub(crate) fn answer(&mut self, asked: &Asked) -> Sent {
        let request_id = random::request_id();
        let form = read_form(asked);
        let assuming = form
            .as_ref()
            .is_ok_and(|form| form.get("Action").is_some_and(|one| one == "AssumeRole"));
        let fault = if assuming { self.take_fault() } else { None };
        let answered = match fault {
            Some(Fault::Throttle) => Err(StsError::throttled()),
            Some(Fault::ServerError) => Err(StsError::internal()),
            Some(Fault::LostReply | Fault::Slow(_)) | None => form
                .as_ref()
                .map_err(StsError::clone)
                .and_then(|form| self.act(asked, form, &request_id)),
        };
        if let (Err(error), true, Ok(form)) = (&answered, assuming, &form) {
            self.remember(
                form,
                Outcome::Refused {
                    code: error.code.to_owned(),
                },
            );
        }
        let (status, xml) = match answered {
            Ok(xml) => (200, xml),
            Err(error) => (error.status, reply::refusal(&error, &request_id)),
        };
        Sent {
            status,
            xml,
            request_id,
            delay: match fault {
                Some(Fault::Slow(delay)) => Some(delay),
                _ => None,
            },
            lost: fault == Some(Fault::LostReply),
        }
    }

    fn act(
        &mut self,
        asked: &Asked,
        form: &BTreeMap<String, String>,
        request_id: &str,
    ) -> Result<String, StsError> {
        let caller = verify(asked, &self.keys, self.region.as_deref(), &self.clock)?;
        if asked.method != "POST" || asked.path != "/" || !asked.query.is_empty() {
            return Err(StsError::malformed_query(
                "the sandbox takes the Query protocol as a POST to `/` only",
            ));
        }
        let action = form.get("Action").map(String::as_str).unwrap_or_default();
        let version = form.get("Version").map(String::as_str).unwrap_or_default();
        let is_word =
            !action.is_empty() && action.chars().all(|letter| letter.is_ascii_alphanumeric());
        let of_sts = caller.scope.service == "sts";
        match action {
            "AssumeRole" if of_sts && version == STS_VERSION => {
                let assumed = self.assume_role(&caller, form)?;
                Ok(reply::assume_role(&assumed, request_id))
            }
            "GetCallerIdentity" if of_sts && version == STS_VERSION => {
                let holder = &caller.holder;
                Ok(reply::caller_identity(
                    &holder.arn,
                    &holder.user_id,
                    holder.account(),
                    request_id,
                ))
            }
            _ if of_sts || !is_word => Err(StsError::invalid_action(action, version)),
            _ => {
                self.use_credentials(&caller, action, form)?;
                Ok(reply::allowed(action, request_id))
            }
        }
    }

    fn assume_role(
        &mut self,
        caller: &Verified,
        form: &BTreeMap<String, String>,
    ) -> Result<Assumed, StsError> {
        let asked = AssumeRole::parse(form)?;
        let holder = &caller.holder;
        let now = self.clock.now();
        let context = asked.context(holder.context(now, &caller.scope.region));
        for action in asked.actions(holder) {
            authorize(
                holder,
                &self.bearing(holder, None),
                action,
                &asked.role_arn,
                &context,
            )?;
        }
        // A role that does not exist is refused in the same words as one that does not trust.
        let role = self.roles.get(&asked.role_arn).ok_or_else(|| {
            StsError::access_denied(&holder.arn, "sts:AssumeRole", &asked.role_arn, "")
        })?;
        asked.trusted(holder, &role.trust, &context)?;
        asked.check_duration(holder, role.max_session_s)?;
        let tags = asked.session_tags(holder)?;
        let source_identity = asked.source_identity(holder)?;

        let credentials = Credentials::generate()?;
        let expires_at = end_of(now, asked.duration_s);
        let assumed_role_id = format!("{}:{}", role.id, asked.session_name);
        let role_name = asked.role_arn.rsplit('/').next().unwrap_or_default();
        let account = crate::caller::account_of(&asked.role_arn);
        let arn = format!(
            "arn:aws:sts::{account}:assumed-role/{role_name}/{}",
            asked.session_name
        );
        let packed_percent = asked.packed_percent();
        let made = Holder {
            credentials: credentials.clone(),
            arn: arn.clone(),
            user_id: assumed_role_id.clone(),
            role_arn: Some(asked.role_arn.clone()),
            session: Some(Session {
                policy: asked.policy,
                tags,
                source_identity: source_identity.clone(),
                issued_at: now,
                expires_at,
            }),
        };
        if self.keys.len() >= KEYS_MAX {
            self.keys
                .retain(|_, holder| holder.expires_at().is_none_or(|end| now < end));
        }
        self.keys
            .insert(credentials.access_key_id.clone(), Arc::new(made));
        let outcome = Outcome::Issued {
            access_key_id: credentials.access_key_id.clone(),
            expires_at,
        };
        self.remember(form, outcome);
        Ok(Assumed {
            credentials,
            expires_at,
            arn,
            assumed_role_id,
            packed_percent,
            source_identity,
        })
    }

    /// Judges any action of any service but STS itself.
    fn use_credentials(
        &self,
        caller: &Verified,
        action: &str,
        form: &BTreeMap<String, String>,
    ) -> Result<(), StsError> {
        let resource = form.get("Resource").map_or("*", String::as_str);
        let context = caller
            .holder
            .context(self.clock.now(), &caller.scope.region);
        let action = format!("{}:{action}", caller.scope.service);
        let bearing = self.bearing(&caller.holder, self.resources.get(resource));
        authorize(&caller.holder, &bearing, &action, resource, &context)
    }

    /// The role's own policy is looked up at each call, so a Deny added later reaches sessions made earlier.
    fn bearing<'a>(&'a self, holder: &Holder, resource: Option<&'a Policy>) -> Bearing<'a> {
        let role = holder
            .role_arn
            .as_ref()
            .filter(|_| holder.session.is_some());
        Bearing {
            identity: role
                .and_then(|arn| self.roles.get(arn))
                .and_then(|role| role.identity.as_ref()),
            resource,
        }
    }

    fn take_fault(&mut self) -> Option<Fault> {
        let (fault, left) = self.faults.front_mut()?;
        let fault = *fault;
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.faults.pop_front();
        }
        Some(fault)
    }

    fn remember(&mut self, form: &BTreeMap<String, String>, outcome: Outcome) {
        if self.calls.len() >= CALLS_MAX {
            self.calls.pop_front();
        }
        self.calls
            .push_back(AssumeRoleCall::new(form, outcome, self.clock.now()));
    }
}

fn end_of(now: Timestamp, duration_s: u32) -> Timestamp {
    // AWS states whole seconds; the session must not outlive what it states.
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    shifted(whole, i64::from(duration_s))
}

fn read_form(asked: &Asked) -> Result<BTreeMap<String, String>, StsError> {
    let body = std::str::from_utf8(&asked.body)
        .map_err(|_| StsError::malformed_query("the body is not UTF-8"))?;
    form::parse(body).map_err(|name| {
        StsError::malformed_query(format!(
            "the parameter `{name}` is given twice or cannot be decoded"
        ))
    })
}
