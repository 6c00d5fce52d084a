//! The running STS: started, watched and disturbed through this handle.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::caller::{Holder, Keys, account_of, role_of_session};
use crate::clock::Clock;
use crate::config::{Caller, ROLE_MAX_SESSION_MIN_S, Role, SandboxConfig};
use crate::limits::DURATION_MAX_S;
use crate::loopback::{Answer, Asked, Server, StartError};
use crate::policy::{Kind, Policy, PolicyError};
use crate::random;
use crate::reply;
use crate::sts::{KeptRole, State};

/// Something that goes wrong with an AssumeRole call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `ThrottlingException`, 400; nothing is done.
    Throttle,
    /// `InternalFailure`, 500; nothing is done.
    ServerError,
    /// The session is made, and the connection dropped before the reply.
    LostReply,
    /// The session is made at once, and the reply comes this much later.
    Slow(Duration),
}

/// How an AssumeRole call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A session was made, whether or not its reply arrived.
    Issued {
        /// The session's access key id, which is not a secret.
        access_key_id: String,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// Nothing was made.
    Refused {
        /// AWS's error code.
        code: String,
    },
}

/// One AssumeRole call as it was asked, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRoleCall {
    /// When it was answered, by the sandbox's clock.
    pub at: Timestamp,
    /// `RoleArn`, as sent.
    pub role_arn: String,
    /// `RoleSessionName`, as sent.
    pub session_name: String,
    /// `DurationSeconds`, as sent.
    pub duration_s: Option<String>,
    /// `Policy`, as sent.
    pub session_policy: Option<String>,
    /// `SourceIdentity`, as sent.
    pub source_identity: Option<String>,
    /// `ExternalId`, as sent; AWS does not treat it as a secret.
    pub external_id: Option<String>,
    /// `Tags`, in the order sent.
    pub tags: Vec<(String, String)>,
    /// `TransitiveTagKeys`, in the order sent.
    pub transitive_tag_keys: Vec<String>,
    /// What came of it.
    pub outcome: Outcome,
}

impl AssumeRoleCall {
    pub(crate) fn new(
        form: &BTreeMap<String, String>,
        outcome: Outcome,
        at: Timestamp,
    ) -> AssumeRoleCall {
        let one = |name: &str| form.get(name).cloned();
        let member = |list: &str, at: u32, part: &str| one(&format!("{list}.member.{at}{part}"));
        let tags = (1..).map_while(|at| {
            member("Tags", at, ".Key")
                .map(|key| (key, member("Tags", at, ".Value").unwrap_or_default()))
        });
        AssumeRoleCall {
            at,
            role_arn: one("RoleArn").unwrap_or_default(),
            session_name: one("RoleSessionName").unwrap_or_default(),
            duration_s: one("DurationSeconds"),
            session_policy: one("Policy"),
            source_identity: one("SourceIdentity"),
            external_id: one("ExternalId"),
            tags: tags.collect(),
            transitive_tag_keys: (1..)
                .map_while(|at| member("TransitiveTagKeys", at, ""))
                .collect(),
            outcome,
        }
    }
}

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// `ASIA…`, not a secret.
    pub access_key_id: String,
    /// `arn:aws:sts::<account>:assumed-role/<role>/<session name>`.
    pub arn: String,
    /// `AROA…:<session name>`, the value of `aws:userid`.
    pub user_id: String,
    /// The role it is of.
    pub role_arn: String,
    /// Who is behind it, if that was said.
    pub source_identity: Option<String>,
    /// Its tags, inherited ones included.
    pub tags: Vec<(String, String)>,
    /// The session policy sealed into it.
    pub session_policy: Option<String>,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// A strict local STS, on loopback, until it is dropped.
pub struct Sandbox {
    state: Arc<Mutex<State>>,
    clock: Clock,
    server: Server,
}

impl Sandbox {
    /// Starts one. Fails if the address is not loopback or not free, or if a role, caller or policy is not usable.
    pub async fn start(config: SandboxConfig) -> Result<Sandbox, StartError> {
        let clock = config.clock.clone();
        let bind = config.bind;
        let state = Arc::new(Mutex::new(State {
            clock: clock.clone(),
            region: config.region,
            roles: keep_roles(&config.roles)?,
            keys: keep_callers(&config.callers)?,
            resources: BTreeMap::new(),
            calls: VecDeque::new(),
            faults: VecDeque::new(),
        }));
        let answering = state.clone();
        let server = Server::start(bind, move |asked| answer(answering.clone(), asked)).await?;
        Ok(Sandbox {
            state,
            clock,
            server,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// `http://127.0.0.1:<port>`, for an AWS client's endpoint.
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// The clock it goes by, to be moved by tests.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The AssumeRole calls so far, oldest first (the last 10,000).
    pub fn calls(&self) -> Vec<AssumeRoleCall> {
        self.state().calls.iter().cloned().collect()
    }

    /// The sessions that have not ended.
    pub fn live_sessions(&self) -> Vec<LiveSession> {
        let now = self.clock.now();
        let state = self.state();
        let live = |holder: &Holder| {
            let session = holder
                .session
                .as_ref()
                .filter(|session| now < session.expires_at)?;
            Some(LiveSession {
                access_key_id: holder.credentials.access_key_id.clone(),
                arn: holder.arn.clone(),
                user_id: holder.user_id.clone(),
                role_arn: holder.role_arn.clone().unwrap_or_default(),
                source_identity: session.source_identity.clone(),
                tags: session.tags.all.clone(),
                session_policy: session.policy.as_ref().map(|(text, _)| text.clone()),
                expires_at: session.expires_at,
            })
        };
        state
            .keys
            .values()
            .filter_map(|holder| live(holder))
            .collect()
    }

    /// Makes the next `calls` AssumeRole calls go wrong, after those of earlier faults.
    pub fn set_fault(&self, fault: Fault, calls: u32) {
        if calls > 0 {
            self.state().faults.push_back((fault, calls));
        }
    }

    /// Takes back every fault still waiting.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Replaces what the sessions of a role may do, those already made included; `None` allows everything. This is how a
    /// revocation reaches a live session.
    pub fn set_identity_policy(
        &self,
        role_arn: &str,
        policy: Option<&str>,
    ) -> Result<(), StartError> {
        let parsed = policy
            .map(|text| parse(role_arn, text, Kind::Permissions))
            .transpose()?;
        match self.state().roles.get_mut(role_arn) {
            Some(role) => {
                role.identity = parsed;
                Ok(())
            }
            None => Err(StartError::Config(format!("there is no role `{role_arn}`"))),
        }
    }

    /// Gives the resource with this ARN a policy of its own, which may name a session's ARN.
    pub fn set_resource_policy(&self, resource_arn: &str, policy: &str) -> Result<(), StartError> {
        let parsed = parse(resource_arn, policy, Kind::Resource)?;
        self.state()
            .resources
            .insert(resource_arn.to_owned(), parsed);
        Ok(())
    }

    /// Stops, and returns when the port is free again. Dropping the handle stops it too, without waiting.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(state: Arc<Mutex<State>>, asked: Asked) -> Answer {
    let (sent, now) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.answer(&asked), state.clock.wire_now())
    };
    if let Some(delay) = sent.delay {
        tokio::time::sleep(delay).await;
    }
    if sent.lost {
        return Answer::Drop;
    }
    Answer::Reply(reply::http(sent.status, sent.xml, &sent.request_id, now))
}

fn parse(of: &str, text: &str, kind: Kind) -> Result<Policy, StartError> {
    Policy::parse(text, kind).map_err(|error: PolicyError| StartError::Policy(of.to_owned(), error))
}

fn keep_roles(roles: &[Role]) -> Result<BTreeMap<String, KeptRole>, StartError> {
    let mut kept = BTreeMap::new();
    for role in roles {
        if !role.arn.starts_with("arn:aws:iam::") || !role.arn.contains(":role/") {
            return Err(StartError::Config(format!(
                "`{}` is not a role's ARN; it should look like `arn:aws:iam::123456789012:role/name`",
                role.arn
            )));
        }
        if !(ROLE_MAX_SESSION_MIN_S..=DURATION_MAX_S).contains(&role.max_session_s) {
            return Err(StartError::Config(format!(
                "the longest session of `{}` is {} s; IAM takes {ROLE_MAX_SESSION_MIN_S} to {DURATION_MAX_S}",
                role.arn, role.max_session_s
            )));
        }
        let identity = role.identity_policy.as_deref();
        let one = KeptRole {
            id: random::unique_id::<17>("AROA")?,
            max_session_s: role.max_session_s,
            trust: parse(&role.arn, &role.trust_policy, Kind::Trust)?,
            identity: identity
                .map(|text| parse(&role.arn, text, Kind::Permissions))
                .transpose()?,
        };
        if kept.insert(role.arn.clone(), one).is_some() {
            return Err(StartError::Config(format!(
                "the role `{}` is given twice",
                role.arn
            )));
        }
    }
    Ok(kept)
}

fn keep_callers(callers: &[Caller]) -> Result<Keys, StartError> {
    let mut keys = Keys::new();
    for caller in callers {
        let role_arn = role_of_session(&caller.arn);
        let user = caller.arn.contains(":user/") && caller.arn.starts_with("arn:aws:iam::");
        if account_of(&caller.arn).is_empty() || !(user || role_arn.is_some()) {
            return Err(StartError::Config(format!(
                "`{}` is not a caller's ARN; it should look like `arn:aws:iam::123456789012:user/name` or \
                 `arn:aws:sts::123456789012:assumed-role/role/session`",
                caller.arn
            )));
        }
        let name = caller.arn.rsplit('/').next().unwrap_or_default();
        let user_id = match &role_arn {
            Some(_) => format!("{}:{name}", random::unique_id::<17>("AROA")?),
            None => random::unique_id::<17>("AIDA")?,
        };
        let holder = Holder {
            credentials: caller.credentials.clone(),
            arn: caller.arn.clone(),
            user_id,
            role_arn,
            session: None,
        };
        if keys
            .insert(caller.credentials.access_key_id.clone(), Arc::new(holder))
            .is_some()
        {
            return Err(StartError::Config(format!(
                "the access key `{}` is given twice",
                caller.credentials.access_key_id
            )));
        }
    }
    Ok(keys)
}
