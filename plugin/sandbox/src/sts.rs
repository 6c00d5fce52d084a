//! What the sandbox does with a request: find who asks, then assume, identify, ask IAM, or judge any other action.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::assume::AssumeRole;
use crate::caller::{Bearing, Holder, Keys, Session};
use crate::calls::{AssumeRoleCall, IamCall, IamOutcome, Outcome};
use crate::clock::{Clock, shifted};
use crate::error::AwsError;
use crate::form;
use crate::iam::IAM_VERSION;
use crate::loopback::Asked;
use crate::policy::Policy;
use crate::random;
use crate::reply::{self, Api, Assumed};
use crate::role::KeptRole;
use crate::sandbox::Fault;
use crate::session::Credentials;
use crate::verify::{Verified, verify};

/// The one version of STS's interface.
const STS_VERSION: &str = "2011-06-15";

/// The most calls of either kind remembered; a sandbox that runs for weeks should not grow.
const CALLS_MAX: usize = 10_000;

/// Above this many keys, those of ended sessions are forgotten (and then unknown, no longer expired): the same reason.
const KEYS_MAX: usize = 10_000;

/// How long a hanging call is held before its connection is dropped, in seconds: a client that waits this long has no
/// timeout.
const HANG_S: u64 = 3_600;

/// Everything the sandbox knows.
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) region: Option<String>,
    pub(crate) roles: BTreeMap<String, KeptRole>,
    pub(crate) keys: Keys,
    pub(crate) resources: BTreeMap<String, Policy>,
    pub(crate) calls: VecDeque<AssumeRoleCall>,
    pub(crate) iam_calls: VecDeque<IamCall>,
    pub(crate) faults: VecDeque<(Fault, u32)>,
    pub(crate) iam_faults: VecDeque<(Fault, u32)>,
    /// How long after it is written an inline policy takes effect, in seconds.
    pub(crate) propagation_s: u32,
}

/// Whose faults a request meets, and into whose record it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    AssumeRole,
    Iam,
    Neither,
}

impl Counted {
    fn of(form: &BTreeMap<String, String>) -> Counted {
        let is = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
        if is("Version", IAM_VERSION) {
            Counted::Iam
        } else if is("Action", "AssumeRole") {
            Counted::AssumeRole
        } else {
            Counted::Neither
        }
    }

    fn api(self) -> Api {
        match self {
            Counted::Iam => Api::Iam,
            Counted::AssumeRole | Counted::Neither => Api::Sts,
        }
    }
}

/// What is to be sent, and how.
pub(crate) struct Sent {
    /// Status and XML; without them the connection is dropped.
    pub(crate) reply: Option<(u16, String)>,
    pub(crate) request_id: String,
    pub(crate) delay: Option<Duration>,
}

impl State {
    /// Answers one request.
    pub(crate) fn answer(&mut self, asked: &Asked) -> Sent {
        let request_id = random::request_id();
        let now = self.clock.now();
        for role in self.roles.values_mut() {
            role.inline.settle(now);
        }
        let form = read_form(asked);
        let counted = form.as_ref().map_or(Counted::Neither, Counted::of);
        let api = counted.api();
        let fault = self.take_fault(counted);
        let answered = match fault {
            Some(Fault::Down | Fault::Hang) => None,
            Some(Fault::Throttle) => Some(Err(AwsError::throttled(api))),
            Some(Fault::ServerError) => Some(Err(AwsError::failed(api))),
            Some(Fault::LostReply | Fault::Slow(_)) | None => Some(
                form.as_ref()
                    .map_err(AwsError::clone)
                    .and_then(|form| self.act(asked, form, &request_id)),
            ),
        };
        if let Ok(form) = &form {
            self.remember(counted, form, answered.as_ref());
        }
        let reply = answered
            .filter(|_| fault != Some(Fault::LostReply))
            .map(|answered| match answered {
                Ok(xml) => (200, xml),
                Err(error) => (error.status, reply::refusal(api, &error, &request_id)),
            });
        let delay = match fault {
            Some(Fault::Slow(delay)) => Some(delay),
            Some(Fault::Hang) => Some(Duration::from_secs(HANG_S)),
            Some(Fault::Throttle | Fault::ServerError | Fault::LostReply | Fault::Down) | None => {
                None
            }
        };
        Sent {
            reply,
            request_id,
            delay,
        }
    }

    fn act(
        &mut self,
        asked: &Asked,
        form: &BTreeMap<String, String>,
        request_id: &str,
    ) -> Result<String, AwsError> {
        let caller = verify(asked, &self.keys, self.region.as_deref(), &self.clock)?;
        if asked.method != "POST" || asked.path != "/" || !asked.query.is_empty() {
            return Err(AwsError::malformed_query(
                "the sandbox takes the Query protocol as a POST to `/` only",
            ));
        }
        let action = form.get("Action").map(String::as_str).unwrap_or_default();
        let version = form.get("Version").map(String::as_str).unwrap_or_default();
        let is_word =
            !action.is_empty() && action.chars().all(|letter| letter.is_ascii_alphanumeric());
        let of_sts = caller.scope.service == "sts";
        match (caller.scope.service.as_str(), version) {
            ("iam", IAM_VERSION) => return self.answer_iam(&caller, form, request_id),
            ("iam", _) => return Err(AwsError::invalid_action(action, version)),
            (_, IAM_VERSION) => return Err(AwsError::wrong_service("iam")),
            _ => {}
        }
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
            _ if of_sts || !is_word => Err(AwsError::invalid_action(action, version)),
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
    ) -> Result<Assumed, AwsError> {
        let asked = AssumeRole::parse(form)?;
        let holder = &caller.holder;
        let now = self.clock.now();
        let context = asked.context(holder.context(now, &caller.scope.region));
        for action in asked.actions(holder) {
            self.bearing(holder, None)
                .authorize(holder, action, &asked.role_arn, &context)
                .map_err(|why| {
                    AwsError::access_denied(&holder.arn, action, &asked.role_arn, &why)
                })?;
        }
        // A role that does not exist is refused in the same words as one that does not trust.
        let role = self.roles.get(&asked.role_arn).ok_or_else(|| {
            AwsError::access_denied(&holder.arn, "sts:AssumeRole", &asked.role_arn, "")
        })?;
        asked.trusted(holder, &role.trust.1, &context)?;
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
            identity: None,
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
        self.record_assume_role(form, outcome);
        Ok(Assumed {
            credentials,
            expires_at,
            arn,
            assumed_role_id,
            packed_percent,
            source_identity,
        })
    }

    /// Judges any action of any service but STS and IAM themselves.
    fn use_credentials(
        &self,
        caller: &Verified,
        action: &str,
        form: &BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        let resource = form.get("Resource").map_or("*", String::as_str);
        let holder = &caller.holder;
        let context = holder.context(self.clock.now(), &caller.scope.region);
        let action = format!("{}:{action}", caller.scope.service);
        self.bearing(holder, self.resources.get(resource))
            .authorize(holder, &action, resource, &context)
            .map_err(|why| AwsError::access_denied(&holder.arn, &action, resource, &why))
    }

    /// A role's own policies are looked up at each call, so a Deny added later reaches sessions made earlier.
    pub(crate) fn bearing<'a>(
        &'a self,
        holder: &'a Holder,
        resource: Option<&'a Policy>,
    ) -> Bearing<'a> {
        let role = holder
            .role_arn
            .as_ref()
            .filter(|_| holder.session.is_some())
            .and_then(|arn| self.roles.get(arn));
        Bearing {
            identity: match role {
                Some(role) => role.identity.as_ref(),
                None => holder.identity.as_ref(),
            },
            inline: role.map_or(&[], |role| role.inline.in_effect()),
            resource,
        }
    }

    fn take_fault(&mut self, counted: Counted) -> Option<Fault> {
        let faults = match counted {
            Counted::AssumeRole => &mut self.faults,
            Counted::Iam => &mut self.iam_faults,
            Counted::Neither => return None,
        };
        let (fault, left) = faults.front_mut()?;
        let fault = *fault;
        *left = left.saturating_sub(1);
        if *left == 0 {
            faults.pop_front();
        }
        Some(fault)
    }

    fn remember(
        &mut self,
        counted: Counted,
        form: &BTreeMap<String, String>,
        answered: Option<&Result<String, AwsError>>,
    ) {
        let code = |error: &AwsError| error.code.to_owned();
        match (counted, answered) {
            (Counted::Neither, _) => {}
            // Recorded where the session was made, with its key.
            (Counted::AssumeRole, Some(Ok(_))) => {}
            (Counted::AssumeRole, Some(Err(error))) => {
                self.record_assume_role(form, Outcome::Refused { code: code(error) });
            }
            (Counted::AssumeRole, None) => self.record_assume_role(form, Outcome::Ignored),
            (Counted::Iam, answered) => {
                let outcome = match answered {
                    Some(Ok(_)) => IamOutcome::Done,
                    Some(Err(error)) => IamOutcome::Refused { code: code(error) },
                    None => IamOutcome::Ignored,
                };
                let call = IamCall::new(form, outcome, self.clock.now());
                keep(&mut self.iam_calls, call);
            }
        }
    }

    fn record_assume_role(&mut self, form: &BTreeMap<String, String>, outcome: Outcome) {
        let call = AssumeRoleCall::new(form, outcome, self.clock.now());
        keep(&mut self.calls, call);
    }
}

fn keep<T>(calls: &mut VecDeque<T>, call: T) {
    if calls.len() >= CALLS_MAX {
        calls.pop_front();
    }
    calls.push_back(call);
}

fn end_of(now: Timestamp, duration_s: u32) -> Timestamp {
    // AWS states whole seconds; the session must not outlive what it states.
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    shifted(whole, i64::from(duration_s))
}

fn read_form(asked: &Asked) -> Result<BTreeMap<String, String>, AwsError> {
    let body = std::str::from_utf8(&asked.body)
        .map_err(|_| AwsError::malformed_query("the body is not UTF-8"))?;
    form::parse(body).map_err(|name| {
        AwsError::malformed_query(format!(
            "the parameter `{name}` is given twice or cannot be decoded"
        ))
    })
}
