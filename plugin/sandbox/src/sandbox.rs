//! The running STS and IAM: started, watched and disturbed through this handle.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::caller::{Holder, Keys, account_of, role_of_session};
use crate::calls::{AssumeRoleCall, IamCall};
use crate::clock::Clock;
use crate::config::{Caller, ROLE_MAX_SESSION_MIN_S, Role, SandboxConfig};
use crate::limits::DURATION_MAX_S;
use crate::loopback::{Answer, Asked, Server, StartError};
use crate::policy::{Kind, Policy, PolicyError};
use crate::random;
use crate::reply;
use crate::role::{InlinePolicies, KeptRole};
use crate::sts::State;

/// Something that goes wrong with a call: of AssumeRole, or of IAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `ThrottlingException`, of IAM `Throttling`, 400; nothing is done.
    Throttle,
    /// `InternalFailure`, of IAM `ServiceFailure`, 500; nothing is done.
    ServerError,
    /// What was asked is done, and the connection dropped before the reply.
    LostReply,
    /// What was asked is done at once, and the reply comes this much later.
    Slow(Duration),
    /// Nothing is done, and nothing is answered: the connection stays open for longer than any client should wait.
    Hang,
    /// Nothing is done, and the connection is dropped. With `u32::MAX` calls the service is down until
    /// [`Sandbox::clear_faults`].
    Down,
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
    /// When it was made, the value of `aws:TokenIssueTime`.
    pub issued_at: Timestamp,
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
            roles: keep_roles(&config.roles, clock.now())?,
            keys: keep_callers(&config.callers)?,
            resources: BTreeMap::new(),
            calls: VecDeque::new(),
            iam_calls: VecDeque::new(),
            faults: VecDeque::new(),
            iam_faults: VecDeque::new(),
            propagation_s: 0,
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

    /// The calls of IAM so far, oldest first (the last 10,000).
    pub fn iam_calls(&self) -> Vec<IamCall> {
        self.state().iam_calls.iter().cloned().collect()
    }

    /// The inline policies of a role as written, name and text, by name; none if there is no such role.
    pub fn inline_policies(&self, role_arn: &str) -> Vec<(String, String)> {
        let state = self.state();
        let role = state.roles.get(role_arn);
        role.into_iter()
            .flat_map(|role| role.inline.texts())
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect()
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
                issued_at: session.issued_at,
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

    /// Makes the next `calls` calls of IAM go wrong, after those of earlier faults.
    pub fn set_iam_fault(&self, fault: Fault, calls: u32) {
        if calls > 0 {
            self.state().iam_faults.push_back((fault, calls));
        }
    }

    /// Takes back every fault still waiting, of either kind.
    pub fn clear_faults(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.iam_faults.clear();
    }

    /// Lets inline policies that are written or deleted from now on take effect only after `seconds`, by the sandbox's clock.
    /// IAM itself reads and simulates them as written at once.
    pub fn set_propagation_s(&self, seconds: u32) {
        self.state().propagation_s = seconds;
    }

    /// Replaces what the sessions of a role were set up to do, those already made included; `None` allows everything but IAM
    /// itself. Inline policies stay, beside it.
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
    match sent.reply {
        Some((status, xml)) => Answer::Reply(reply::http(status, xml, &sent.request_id, now)),
        None => Answer::Drop,
    }
}

fn parse(of: &str, text: &str, kind: Kind) -> Result<Policy, StartError> {
    Policy::parse(text, kind).map_err(|error: PolicyError| StartError::Policy(of.to_owned(), error))
}

fn keep_roles(roles: &[Role], now: Timestamp) -> Result<BTreeMap<String, KeptRole>, StartError> {
    let mut kept: BTreeMap<String, KeptRole> = BTreeMap::new();
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
            arn: role.arn.clone(),
            id: random::unique_id::<17>("AROA")?,
            made_at: now,
            max_session_s: role.max_session_s,
            trust: (
                role.trust_policy.clone(),
                parse(&role.arn, &role.trust_policy, Kind::Trust)?,
            ),
            identity: identity
                .map(|text| parse(&role.arn, text, Kind::Permissions))
                .transpose()?,
            inline: InlinePolicies::default(),
        };
        // Whatever their paths: IAM knows a role of an account by its name.
        let same = |other: &KeptRole| {
            other.name() == one.name() && account_of(&other.arn) == account_of(&one.arn)
        };
        if kept.values().any(same) {
            return Err(StartError::Config(format!(
                "the role `{}` is given twice",
                role.arn
            )));
        }
        kept.insert(role.arn.clone(), one);
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
        let identity = caller.identity_policy.as_deref();
        let holder = Holder {
            credentials: caller.credentials.clone(),
            arn: caller.arn.clone(),
            user_id,
            role_arn,
            session: None,
            identity: identity
                .map(|text| parse(&caller.arn, text, Kind::Permissions))
                .transpose()?,
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
