//! The life of a grant on a real broker, with real people and real tokens: only AWS is a stand-in, and the clocks are moved
//! by hand.

mod clocks;
mod commands;
mod consent;
mod delegating;
mod emergencies;
mod ending;
mod extending;
mod faults;
mod iam;
mod model;
mod narrowing;
mod random;
mod run;
mod seams;
mod sts;
mod telling;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::desk::Desk;
use crate::identity::{Identity, Verifier};
use crate::limits::RESERVE_BYTES;
use sts::{Fault, Sts};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A broker with a bundle of its own, and everything that can be moved around it.
struct Grants {
    broker: Broker,
    sts: Sts,
    hand: ManualHand,
    wall_ms: AtomicI64,
    corp: TestIssuer,
    github: TestIssuer,
    free: Arc<AtomicU64>,
    config: Config,
    policies: PathBuf,
    _folder: tempfile::TempDir,
}

async fn grants() -> Grants {
    grants_with(|_, _| {}).await
}

/// The same with another configuration; `change` is also given the world's folder.
async fn grants_with(change: impl FnOnce(&mut Config, &Path)) -> Grants {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/tests/grants/bundle");
    for (name, text) in crate::bundle::read(&written).unwrap().0 {
        std::fs::write(policies.join(name), text).unwrap();
    }
    let keys = folder.path().join("aws.ini");
    let profile = "[issuer]\naws_access_key_id = AKIATEST\naws_secret_access_key = secret\n";
    std::fs::write(&keys, profile).unwrap();
    let (corp, github) = (TestIssuer::start().await, TestIssuer::start().await);
    let sts = Sts::start(noon()).await;
    let mut config = config(folder.path(), loopback(), [&corp, &github]);
    config.bundle = Source::Folder(policies.clone());
    config.aws.endpoint_url = Some(sts.url.clone());
    config.aws.role_session = false;
    config.aws.credentials = CredentialSource::Profile {
        file: keys,
        profile: "issuer".to_owned(),
    };
    change(&mut config, folder.path());
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let (clock, hand) = Clock::manual(noon());
    let broker = Broker::start_at(config.clone(), clock, told(&free))
        .await
        .unwrap();
    Grants {
        broker,
        sts,
        hand,
        wall_ms: AtomicI64::new(noon().as_ms()),
        corp,
        github,
        free,
        config,
        policies,
        _folder: folder,
    }
}

/// The room that `free` tells of.
fn told(free: &Arc<AtomicU64>) -> Room {
    let free = Arc::clone(free);
    Room::said_by(move || Ok(free.load(Ordering::Relaxed)))
}

/// The subject of a person's token, as `bundle/directory.hcl` knows it.
fn subject(person: &str) -> String {
    let number = match person.split_once('-').map_or(person, |(name, _)| name) {
        "mia" => 1,
        "pat" => 2,
        "lee" => 3,
        "sam" => 4,
        "zoe" => 5,
        "kim" => 6,
        "dana" => 7,
        "audrey" => 8,
        "rob" => 9,
        other => panic!("{other} is not in these tests"),
    };
    format!("00u{number}{person}")
}

impl Grants {
    fn desk(&self) -> &Arc<Desk> {
        self.broker.desk()
    }

    fn now(&self) -> Moment {
        self.desk().now()
    }

    /// Time passes, here and at AWS.
    fn pass(&self, seconds: i64) {
        for _ in 0..seconds / DAY {
            self.pass_ms(DAY * 1_000);
        }
        self.pass_ms(seconds % DAY * 1_000);
    }

    fn pass_ms(&self, ms: i64) {
        let ms = u32::try_from(ms).unwrap();
        self.hand.advance_ms(ms);
        self.sts.pass_ms(ms);
        self.wall_ms.fetch_add(i64::from(ms), Ordering::Relaxed);
    }

    /// Somebody sets the broker's wall clock by so many seconds; no time passes, and AWS's clock stays right.
    fn set_wall_by(&self, seconds: i64) {
        let before = self.wall_ms.fetch_add(seconds * 1_000, Ordering::Relaxed);
        self.hand
            .jump(Moment::from_ms(before + seconds * 1_000).unwrap());
    }

    /// The journal's disk is nearly full from now on, or has room.
    fn disk_is_full(&self, full: bool) {
        let free = match full {
            true => RESERVE_BYTES - 1,
            false => u64::MAX,
        };
        self.free.store(free, Ordering::Relaxed);
    }

    fn token(&self, person: &str) -> String {
        let now_s = self.now().as_ms() / 1_000;
        let draft = match person.strip_prefix("ci") {
            // A job on `main`: `ci`, or `ci/<run>` for another run of it.
            Some(run) => {
                let run = run.strip_prefix('/').unwrap_or("1");
                let draft = self.github.job().claim("run_id", run.into());
                draft
                    .claim("nbf", json!(now_s))
                    .claim("exp", json!(now_s + 300))
            }
            None => {
                let draft = self.corp.draft("ES256");
                let subject = subject(person).into();
                draft
                    .claim("sub", subject)
                    .claim("exp", json!(now_s + DAY / 2))
            }
        };
        draft.claim("iat", json!(now_s)).sign()
    }

    /// A client of somebody's, with a token that is good for some hours from now.
    async fn person(&self, name: &str) -> Person {
        let address: Address = self.broker.at().to_string().parse().unwrap();
        let token = Token::new(&self.token(name)).unwrap();
        let client = Client::connect(&address, Some(&token), None).await;
        Person {
            client: client.unwrap(),
        }
    }

    /// The proof of who somebody is, for what is asked of the desk itself.
    async fn identity(&self, name: &str) -> Identity {
        let issuers = vec![self.corp.config(), self.github.github_config()];
        let verifier = Verifier::new(issuers).unwrap();
        let bundle = self.desk().bundle();
        let token = self.token(name);
        let verified = verifier
            .verify(&token, bundle.directory(), self.now())
            .await;
        verified.unwrap()
    }

    /// Changes one file of the bundle, and waits until the changed one is in force.
    async fn change(&self, file: &str, change: impl FnOnce(&str) -> String) {
        let path = self.policies.join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "nothing is changed in {file}");
        let in_force = self.desk().bundle().digest();
        std::fs::write(&path, after).unwrap();
        self.broker.reload();
        for _ in 0..3_000 {
            if self.desk().bundle().digest() != in_force {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let read = crate::bundle::read(&self.policies).unwrap();
        panic!("{}", writ_engine::Bundle::load(&read).unwrap_err());
    }

    async fn replace(&self, file: &str, old: &str, new: &str) {
        self.change(file, |text| text.replace(old, new)).await;
    }

    /// Takes a policy out of the bundle, and answers with its text.
    async fn without_policy(&self, file: &str, id: &str) -> String {
        let start = format!("@id(\"{id}\")");
        self.without(file, &start, ";\n").await
    }

    /// Takes a block out of the directory or the catalog.
    async fn without_block(&self, file: &str, header: &str) -> String {
        self.without(file, header, "\n}\n").await
    }

    async fn without(&self, file: &str, start: &str, end: &str) -> String {
        let mut cut = String::new();
        self.change(file, |text| {
            let at = text.find(start).unwrap();
            let length = text[at..].find(end).unwrap() + end.len();
            cut = text[at..at + length].to_owned();
            text.replace(&cut, "")
        })
        .await;
        cut
    }

    async fn add(&self, file: &str, more: &str) {
        self.change(file, |text| format!("{text}\n{more}")).await;
    }

    /// Stops the broker and starts another on what it left.
    async fn restarted(self) -> Grants {
        let now = self.now();
        let Grants { broker, .. } = self;
        broker.stop().await.unwrap();
        let (clock, hand) = Clock::manual(now);
        let broker = Broker::start_at(self.config.clone(), clock, told(&self.free)).await;
        Grants {
            broker: broker.unwrap(),
            hand,
            wall_ms: AtomicI64::new(now.as_ms()),
            sts: self.sts,
            corp: self.corp,
            github: self.github,
            free: self.free,
            config: self.config,
            policies: self.policies,
            _folder: self._folder,
        }
    }
}

/// Somebody with a client.
struct Person {
    client: Client,
}

type Answer = Result<v1::Request, Problem>;

macro_rules! call {
    ($person:expr, $method:ident, $message:expr) => {{
        let answer = $person.client.requests().$method($message).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| Problem::from_status(&status))
    }};
}

macro_rules! request {
    ($person:expr, $method:ident, $message:expr) => {
        call!($person, $method, $message).map(|answer| answer.request.clone().unwrap())
    };
}

impl Person {
    async fn ask(&self, wish: v1::CreateRequestRequest) -> Answer {
        request!(self, create_request, wish)
    }

    async fn show(&self, id: &str) -> Answer {
        let id = id.to_owned();
        request!(self, get_request, v1::GetRequestRequest { id })
    }

    async fn list(&self, filter: v1::RequestFilter) -> Vec<String> {
        let message = v1::ListRequestsRequest {
            filter: filter.into(),
            page_size: 100,
            page_token: String::new(),
        };
        let page = call!(self, list_requests, message).unwrap();
        page.requests
            .into_iter()
            .map(|request| request.id)
            .collect()
    }

    async fn consent(&self, message: v1::ApproveRequestRequest) -> Answer {
        request!(self, approve_request, message)
    }

    async fn approve(&self, id: &str) -> Answer {
        self.consent(consent(id)).await
    }

    async fn approve_less(&self, id: &str, seconds: i64) -> Answer {
        let duration = span(seconds);
        self.consent(v1::ApproveRequestRequest {
            duration,
            ..consent(id)
        })
        .await
    }

    async fn approve_for(&self, lender: &str, id: &str) -> Answer {
        let on_behalf_of = Some(lender.to_owned());
        self.consent(v1::ApproveRequestRequest {
            on_behalf_of,
            ..consent(id)
        })
        .await
    }

    /// Approves what has just this digest.
    async fn approve_this(&self, id: &str, digest: &str) -> Answer {
        let digest = Some(digest.to_owned());
        self.consent(v1::ApproveRequestRequest {
            digest,
            ..consent(id)
        })
        .await
    }

    async fn deny(&self, id: &str) -> Answer {
        let (id, reason) = (id.to_owned(), "not now".to_owned());
        request!(self, deny_request, v1::DenyRequestRequest { id, reason })
    }

    async fn withdraw(&self, id: &str) -> Answer {
        let id = id.to_owned();
        request!(self, withdraw_request, v1::WithdrawRequestRequest { id })
    }

    async fn issue(&self, id: &str) -> Answer {
        let id = id.to_owned();
        request!(self, issue_credentials, v1::IssueCredentialsRequest { id })
    }

    async fn release(&self, id: &str) -> Answer {
        let id = id.to_owned();
        request!(self, release_request, v1::ReleaseRequestRequest { id })
    }

    async fn extend(&self, id: &str, seconds: i64) -> Answer {
        self.extend_saying(id, seconds, "not done yet").await
    }

    async fn extend_saying(&self, id: &str, seconds: i64, reason: &str) -> Answer {
        let message = v1::ExtendRequestRequest {
            id: id.to_owned(),
            duration: span(seconds),
            reason: reason.to_owned(),
        };
        request!(self, extend_request, message)
    }

    async fn revoke(&self, id: &str) -> Answer {
        let (id, reason) = (id.to_owned(), "a stolen laptop".to_owned());
        request!(
            self,
            revoke_request,
            v1::RevokeRequestRequest { id, reason }
        )
    }

    async fn revoke_person(&self, person: &str) -> Result<v1::RevokePersonResponse, Problem> {
        let message = v1::RevokePersonRequest {
            person: person.to_owned(),
            reason: "they left today".to_owned(),
        };
        call!(self, revoke_person, message)
    }

    async fn review(&self, id: &str) -> Answer {
        let (id, finding) = (id.to_owned(), "read one table, as it said".to_owned());
        request!(
            self,
            review_request,
            v1::ReviewRequestRequest { id, finding }
        )
    }

    async fn lend(&self, loan: v1::CreateDelegationRequest) -> Result<v1::Delegation, Problem> {
        call!(self, create_delegation, loan).map(|answer| answer.delegation.unwrap())
    }

    async fn lent(&self) -> Vec<v1::Delegation> {
        let answer = call!(self, list_delegations, v1::ListDelegationsRequest {});
        answer.unwrap().delegations
    }

    async fn take_back(&self, id: &str) -> Result<v1::Delegation, Problem> {
        let id = id.to_owned();
        let answer = call!(self, end_delegation, v1::EndDelegationRequest { id });
        answer.map(|answer| answer.delegation.unwrap())
    }

    /// The kinds of the events of one request that they may see, in order.
    async fn chapters(&self, id: &str) -> Vec<String> {
        let message = v1::ListEventsRequest {
            request_id: id.to_owned(),
            ..Default::default()
        };
        let answer = self.client.journal().list_events(message).await.unwrap();
        let events = answer.into_inner().events.into_iter();
        events.map(|event| event.kind).collect()
    }
}

fn span(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// The wish for a window of a scope.
fn want(scope: &str, seconds: i64) -> v1::CreateRequestRequest {
    v1::CreateRequestRequest {
        scope: scope.to_owned(),
        duration: span(seconds),
        reason: "INC-42".to_owned(),
        ..Default::default()
    }
}

/// The same in an emergency.
fn glass(scope: &str, seconds: i64) -> v1::CreateRequestRequest {
    v1::CreateRequestRequest {
        break_glass: true,
        ..want(scope, seconds)
    }
}

fn consent(id: &str) -> v1::ApproveRequestRequest {
    v1::ApproveRequestRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

fn state(request: &v1::Request) -> &'static str {
    match request.state.as_ref().unwrap() {
        State::Pending(_) => "PENDING",
        State::Approved(_) => "APPROVED",
        State::Active(_) => "ACTIVE",
        State::Expired(_) => "EXPIRED",
        State::Denied(_) => "DENIED",
        State::Withdrawn(_) => "WITHDRAWN",
        State::Lapsed(_) => "LAPSED",
        State::Released(_) => "RELEASED",
        State::Revoked(_) => "REVOKED",
    }
}

/// When an active window opened and when it will close, in seconds since 1970.
fn window(request: &v1::Request) -> (i64, i64) {
    let Some(State::Active(active)) = &request.state else {
        panic!("{request:?}");
    };
    let window = active.window.as_ref().unwrap();
    let seconds = |moment: &Option<prost_types::Timestamp>| moment.as_ref().unwrap().seconds;
    (seconds(&window.opens_at), seconds(&window.closes_at))
}

/// How long it is.
fn length_s(request: &v1::Request) -> i64 {
    let (opens_at, closes_at) = window(request);
    closes_at - opens_at
}

fn duration_s(request: &v1::Request) -> i64 {
    request.duration.as_ref().unwrap().seconds
}

/// Who has consented to the request as it is.
fn approvers(request: &v1::Request) -> Vec<&str> {
    let approvals = request.approvals.iter();
    approvals
        .map(|approval| approval.approver.as_str())
        .collect()
}

/// Why it was refused.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Problem>) -> Reason {
    let problem = answer.unwrap_err();
    problem.reason.unwrap_or_else(|| panic!("{problem:?}"))
}
