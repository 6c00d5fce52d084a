//! Access that is ended early, at AWS: what was given back or revoked is denied there, that grant only, until its sessions
//! have ended by themselves; whatever breaks meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use writ_api::client::Client;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_api::v1::revocation::State as Step;
use writ_broker::clock::{Clock, ManualHand};
use writ_broker::server::Broker;
use writ_engine::Moment;
use writ_engine::revocation::{INLINE_POLICIES_MAX, MARGIN_S};
use writ_sandbox::{Credentials, Fault, Session};
use writ_tests::ministack::{BUCKET, MiniStack, element};
use writ_tests::{World, ask, edit, figures, issue, session, wish};

const ROLE: &str = "arn:aws:iam::123456789012:role/jit-prod-db-read";

/// The security team may revoke, whatever the shipped bundle says of it.
fn security_may_revoke(dir: &Path) {
    let schema = dir.join("policies/schema.cedarschema");
    let text = std::fs::read_to_string(&schema).unwrap();
    if !text.contains("action revoke") {
        let action = "\naction revoke appliesTo {\n  principal: [User, Workload],\n  resource: [Scope],\n  context: { requester: User, workload?: Workload },\n};\n";
        std::fs::write(&schema, text + action).unwrap();
    }
    let approvals = dir.join("policies/approvals.cedar");
    let text = std::fs::read_to_string(&approvals).unwrap();
    let permit = "\n@id(\"test.revoke\")\npermit (principal in Group::\"security\", action == Action::\"revoke\", resource);\n";
    std::fs::write(&approvals, text + permit).unwrap();
}

/// Asks again where the broker says that it was asked too often: it goes by the machine's own time.
async fn patiently<T>(call: impl AsyncFn() -> Result<T, Problem>) -> Result<T, Problem> {
    loop {
        match call().await {
            Err(problem) if problem.reason == Some(Reason::RateLimited) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            answer => return answer,
        }
    }
}

async fn revoke(client: &Client, id: &str) -> Result<v1::Request, Problem> {
    patiently(async || {
        let revoke = v1::RevokeRequestRequest {
            id: id.to_owned(),
            reason: "the laptop is lost".to_owned(),
        };
        let reply = client.requests().revoke_request(revoke).await;
        let reply = reply.map_err(|status| Problem::from_status(&status))?;
        Ok(reply.into_inner().request.unwrap())
    })
    .await
}

async fn show(client: &Client, id: &str) -> v1::Request {
    let shown = patiently(async || {
        let get = v1::GetRequestRequest { id: id.to_owned() };
        let reply = client.requests().get_request(get).await;
        let reply = reply.map_err(|status| Problem::from_status(&status))?;
        Ok(reply.into_inner().request.unwrap())
    });
    shown.await.unwrap()
}

fn step(request: &v1::Request) -> Step {
    request.revocation.as_ref().expect("a revocation").state()
}

/// Waits, with a loaded machine's patience, until a revocation has come this far.
async fn until(client: &Client, id: &str, wanted: Step) -> v1::Request {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let request = show(client, id).await;
        if step(&request) == wanted {
            return request;
        }
        assert!(
            Instant::now() < deadline,
            "never {wanted:?}: {:?}",
            request.revocation
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A world whose broker runs in this process, by a clock of its own.
struct Inside {
    world: World,
    hand: ManualHand,
    broker: Option<Broker>,
}

impl Inside {
    async fn start() -> Inside {
        Inside::of(World::furnish(security_may_revoke).await).await
    }

    async fn of(world: World) -> Inside {
        let (clock, hand) = Clock::manual(now());
        let broker = Some(world.inside(clock).await);
        let inside = Inside {
            world,
            hand,
            broker,
        };
        inside.pass_s(0);
        inside
    }

    /// Time passes for the broker, for AWS and for whoever makes tokens; by itself it stands still for them.
    fn pass_s(&self, seconds: u32) {
        self.hand.advance_ms(seconds * 1_000);
        let at = jiff::Timestamp::from_millisecond(self.hand.wall().as_ms()).unwrap();
        let world = &self.world;
        for clock in [
            world.sandbox.clock(),
            world.people.clock(),
            world.ci.clock(),
        ] {
            clock.freeze(Some(at));
        }
    }

    /// A client with a token of this moment.
    async fn as_person(&self, person: &str) -> Client {
        self.world.as_person(person).await
    }

    /// The broker goes down, and another comes up on its journal.
    async fn restart(&mut self) {
        self.broker.take().unwrap().stop().await.unwrap();
        let (clock, hand) = Clock::manual(self.hand.wall());
        self.hand = hand;
        self.broker = Some(self.world.inside(clock).await);
    }

    /// One pass of the broker's own over what is to be carried out.
    async fn carry_out(&self) {
        let desk = self.broker.as_ref().unwrap().desk();
        desk.carry_out_revocations().await;
    }

    /// The denials that the role has.
    fn denials(&self) -> Option<String> {
        let policies = self.world.sandbox.inline_policies(ROLE);
        let found = policies
            .into_iter()
            .find(|(name, _)| name == "writ-revoked");
        found.map(|(_, document)| document)
    }

    fn denied_by_name(&self, id: &str) -> bool {
        self.denials().is_some_and(|text| text.contains(id))
    }

    async fn works(&self, session: &Session) -> bool {
        let endpoint = self.world.sandbox.endpoint_url();
        let call = session.call(&endpoint, "rds", "DescribeDBInstances").await;
        call.unwrap().allowed()
    }

    /// Someone on call is given a session: its request, and the session.
    async fn access(&self, sam: &Client, seconds: i64) -> (String, Session) {
        let asked = patiently(async || ask(sam, wish("prod-db-read", seconds, "INC-42")).await);
        let request = asked.await.unwrap();
        let given = patiently(async || issue(sam, &request.id).await).await;
        (request.id, session(&given.unwrap()))
    }
}

fn now() -> Moment {
    Moment::from_ms(jiff::Timestamp::now().as_millisecond()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_grants_on_one_role_the_revoked_one_is_refused_at_aws_and_the_other_works() {
    let Some(stack) = MiniStack::start().await else {
        return;
    };
    let world = stack.furnish_world().await;
    security_may_revoke(world.dir.path());
    let keys = stack
        .user(
            "writ-revoker",
            &[
                "iam:GetRole",
                "iam:PutRolePolicy",
                "iam:GetRolePolicy",
                "iam:DeleteRolePolicy",
                "iam:SimulatePrincipalPolicy",
            ],
        )
        .await;
    world.revokes_as(&keys);
    let inside = Inside::of(world).await;
    let (first, second) = (
        inside.world.as_ci("main").await,
        inside.world.as_ci("main").await,
    );
    let zoe = inside.as_person("zoe").await;
    let given = |client: Client| async move {
        let request = ask(&client, wish("payments-deploy", 900, "deploy"))
            .await
            .unwrap();
        let given = issue(&client, &request.id).await.unwrap();
        let given_keys = given.credentials.unwrap();
        let credentials = Credentials::new(
            &given_keys.access_key_id,
            &given_keys.secret_access_key,
            Some(&given_keys.session_token),
        );
        (request.id, credentials)
    };
    let (revoked, lost) = given(first).await;
    let (_, kept) = given(second).await;
    let lists = async |who: &Credentials| {
        let (status, body) = stack.s3(who, "GET", &format!("/{BUCKET}"), "", "").await;
        assert!(
            status == 200 || (status == 403 && element(&body, "Code") == "AccessDenied"),
            "{status}: {body}"
        );
        status == 200
    };
    assert!(lists(&lost).await && lists(&kept).await);

    let ended = revoke(&zoe, &revoked).await.unwrap();
    assert!(matches!(
        ended.state,
        Some(v1::request::State::Revoked(ref it)) if it.by == "zoe" && it.reason == "the laptop is lost"
    ));
    // MiniStack's simulation looks at no context, so it never says that the session would be denied, and neither does the
    // broker: written it is, and tried here with the sessions themselves.
    let written = until(&zoe, &revoked, Step::Written).await;
    let told = written.revocation.unwrap();
    assert!(told.requested_at.is_some() && told.verified_at.is_none());
    assert_eq!(
        (lists(&lost).await, lists(&kept).await),
        (false, true),
        "that grant only"
    );

    // Long after its sessions have ended by themselves, nothing is left of it.
    let denials = async || {
        let list = [
            ("Action", "ListRolePolicies"),
            ("RoleName", writ_tests::ministack::ROLE),
        ];
        stack.iam(&list).await.contains("writ-revoked")
    };
    assert!(denials().await);
    inside.pass_s(900 + MARGIN_S + 60);
    inside.carry_out().await;
    assert!(!denials().await, "the entry is gone after its time");
    let zoe = inside.as_person("zoe").await;
    assert_eq!(step(&show(&zoe, &revoked).await), Step::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_is_denied_at_aws_too_and_what_ends_by_itself_needs_no_denial() {
    let inside = Inside::start().await;
    let sam = inside.as_person("sam").await;
    let (id, given) = inside.access(&sam, 1_800).await;
    assert!(inside.works(&given).await);
    let release = v1::ReleaseRequestRequest { id: id.clone() };
    sam.requests().release_request(release).await.unwrap();
    until(&sam, &id, Step::Verified).await;
    assert!(inside.denied_by_name(&id) && !inside.works(&given).await);

    let (other, given) = inside.access(&sam, 1_200).await;
    inside.pass_s(1_201);
    inside.carry_out().await;
    let sam = inside.as_person("sam").await;
    assert!(!inside.works(&given).await, "its window has closed");
    assert!(!inside.denied_by_name(&other));
    assert!(show(&sam, &other).await.revocation.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_identity_to_revoke_with_it_is_said_that_the_sessions_go_on() {
    let world = World::furnish(security_may_revoke).await;
    let config = world.dir.path().join("writ.hcl");
    let revoker = "  revoker {\n    credentials      = \"profile\"\n    credentials_file = \"revoker\"\n  }\n";
    edit(&config, revoker, "");
    let inside = Inside::of(world).await;
    let (sam, zoe) = (inside.as_person("sam").await, inside.as_person("zoe").await);
    let (id, given) = inside.access(&sam, 1_800).await;
    let ended = revoke(&zoe, &id).await.unwrap();
    assert_eq!(step(&ended), Step::NotPossible);
    assert!(inside.works(&given).await, "and so it is");
    assert!(issue(&sam, &id).await.is_err(), "but nothing more is given");
    inside.pass_s(1_801);
    let zoe = inside.as_person("zoe").await;
    assert_eq!(step(&show(&zoe, &id).await), Step::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_revocations_on_one_role_leave_no_room_and_the_oldest_are_covered_by_a_moment()
{
    let mut inside = Inside::start().await;
    let zoe = inside.as_person("zoe").await;
    // An IAM that is away, so that all of them come at once; and grants that go on, from before and from after.
    inside
        .world
        .sandbox
        .set_iam_fault(Fault::ServerError, u32::MAX);
    let sam = inside.as_person("sam").await;
    let (early, early_session) = inside.access(&sam, 3_600).await;
    inside.pass_s(30);
    let mut revoked = Vec::new();
    for number in 0..400 {
        if number % 8 == 0 {
            inside.pass_s(1);
        }
        let (id, given) = inside.access(&sam, 3_600).await;
        revoke(&zoe, &id).await.unwrap();
        revoked.push((id, given));
    }
    inside.pass_s(60);
    let (late, late_session) = inside.access(&sam, 1_800).await;
    assert!(inside.works(&revoked[0].1).await, "iam was away");

    inside.world.sandbox.clear_faults();
    // A restart forgets how long it was to wait, and nothing else.
    inside.restart().await;
    let zoe = inside.as_person("zoe").await;
    let sam = inside.as_person("sam").await;
    until(&zoe, &revoked[399].0, Step::Verified).await;
    let text = inside.denials().unwrap();
    assert!(text.len() <= INLINE_POLICIES_MAX, "{}", text.len());
    let document: Value = serde_json::from_str(&text).unwrap();
    let statements = document["Statement"].as_array().unwrap();
    let names = statements[0]["Condition"]["StringEquals"]["aws:PrincipalTag/writ:grant"]
        .as_array()
        .unwrap();
    assert!((300..400).contains(&names.len()), "{}", names.len());
    assert!(text.contains("aws:TokenIssueTime"));
    for (number, (id, given)) in revoked.iter().enumerate() {
        if number % 20 == 0 || number == 399 {
            assert!(!inside.works(given).await, "{number}");
        }
        assert_eq!(step(&show(&zoe, id).await), Step::Verified, "{number}");
    }
    // What the fallback costs: a grant that goes on is denied what it got before that moment, and renews.
    assert!(!inside.works(&early_session).await);
    let renewed = issue(&sam, &early).await.unwrap();
    assert!(inside.works(&session(&renewed)).await);
    assert!(inside.works(&late_session).await, "{late}");
    // And it is gone with the sessions it was for.
    inside.pass_s(3_600 + MARGIN_S + 60);
    inside.carry_out().await;
    assert_eq!(inside.denials(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn iam_is_away_for_a_day_and_the_broker_starts_fifty_times_and_no_revocation_is_lost() {
    let mut inside = Inside::start().await;
    inside.world.sandbox.set_iam_fault(Fault::Down, u32::MAX);
    let mut accepted = Vec::new();
    for round in 0..50 {
        let sam = inside.as_person("sam").await;
        let zoe = inside.as_person("zoe").await;
        let (id, given) = inside.access(&sam, 3_600).await;
        match round % 3 {
            0 => {
                let release = v1::ReleaseRequestRequest { id: id.clone() };
                sam.requests().release_request(release).await.unwrap();
            }
            _ => {
                revoke(&zoe, &id).await.unwrap();
            }
        }
        accepted.push((id, given));
        inside.pass_s(1_728);
        inside.carry_out().await;
        inside.restart().await;
    }
    let zoe = inside.as_person("zoe").await;
    assert_eq!(inside.denials(), None, "iam was away all day");
    let waiting = show(&zoe, &accepted[49].0).await.revocation.unwrap();
    assert_eq!(waiting.state(), Step::Requested);

    inside.world.sandbox.clear_faults();
    inside.restart().await;
    let (mut applied, mut expired) = (0, 0);
    for (id, given) in &accepted {
        let request = show(&zoe, id).await;
        match step(&request) {
            Step::Ended => expired += 1,
            _ => {
                until(&zoe, id, Step::Verified).await;
                assert!(inside.denied_by_name(id));
                applied += 1;
            }
        }
        assert!(!inside.works(given).await, "nothing of it works: {id}");
    }
    figures(&format!(
        "{} revocations in a day without IAM over 50 restarts: {applied} applied, {expired} ended by themselves, 0 lost",
        accepted.len()
    ));
    assert_eq!(applied + expired, 50);
    assert!(applied >= 2, "{applied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_after_its_word_and_before_iams_carries_it_out_when_it_is_back() {
    let mut world = World::start_with(security_may_revoke).await;
    let (sam, zoe) = (world.as_person("sam").await, world.as_person("zoe").await);
    world.sandbox.set_iam_fault(Fault::Hang, 1);
    let request = ask(&sam, wish("prod-db-read", 1_800, "INC-42"))
        .await
        .unwrap();
    let given = session(&issue(&sam, &request.id).await.unwrap());
    revoke(&zoe, &request.id).await.unwrap();
    world.kill();
    assert!(world.sandbox.inline_policies(ROLE).is_empty());
    world.sandbox.clear_faults();
    world.up().await;
    let zoe = world.as_person("zoe").await;
    until(&zoe, &request.id, Step::Verified).await;
    let endpoint = world.sandbox.endpoint_url();
    let call = given.call(&endpoint, "rds", "DescribeDBInstances").await;
    assert!(!call.unwrap().allowed());
    let chapters = world.chapters(&request.id).await;
    assert_eq!(
        chapters,
        ["requested", "issue_intended", "issued", "revoked"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_or_slow_or_no_changes_nothing_but_the_time() {
    let inside = Inside::start().await;
    let (sam, zoe) = (inside.as_person("sam").await, inside.as_person("zoe").await);
    for fault in [
        Fault::LostReply,
        Fault::Throttle,
        Fault::ServerError,
        Fault::Down,
        Fault::Slow(Duration::from_millis(200)),
    ] {
        let (id, given) = inside.access(&sam, 3_600).await;
        inside.world.sandbox.set_iam_fault(fault, 3);
        revoke(&zoe, &id).await.unwrap();
        // The broker's clock stands still unless the test moves it, and it waits by that.
        for _ in 0..200 {
            inside.pass_s(1);
            inside.carry_out().await;
            if step(&show(&zoe, &id).await) == Step::Verified {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        until(&zoe, &id, Step::Verified).await;
        assert!(!inside.works(&given).await, "{fault:?}");
        inside.world.sandbox.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_removes_the_denials_at_aws_finds_them_written_again_and_an_alarm() {
    let inside = Inside::start().await;
    let (sam, zoe) = (inside.as_person("sam").await, inside.as_person("zoe").await);
    let (id, given) = inside.access(&sam, 3_600).await;
    revoke(&zoe, &id).await.unwrap();
    until(&zoe, &id, Step::Verified).await;
    inside.carry_out().await;
    let remove = [
        ("Action", "DeleteRolePolicy"),
        ("Version", "2010-05-08"),
        ("RoleName", "jit-prod-db-read"),
        ("PolicyName", "writ-revoked"),
    ];
    let endpoint = inside.world.sandbox.endpoint_url();
    let someone = Session::new(inside.world.revoker_keys(), "us-east-1");
    assert!(
        someone
            .query(&endpoint, "iam", &remove)
            .await
            .unwrap()
            .allowed()
    );
    assert!(inside.works(&given).await);
    inside.pass_s(301);
    inside.carry_out().await;
    assert!(inside.denied_by_name(&id) && !inside.works(&given).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_a_person_holds_is_ended_and_what_may_not_be_is_counted() {
    let inside = Inside::start().await;
    let (sam, mia, zoe) = (
        inside.as_person("sam").await,
        inside.as_person("mia").await,
        inside.as_person("zoe").await,
    );
    let (active, given) = inside.access(&sam, 3_600).await;
    let waiting = ask(&sam, wish("prod-db-read", 900, "INC-43"))
        .await
        .unwrap();
    let other = ask(&mia, wish("prod-db-read", 900, "INC-44"))
        .await
        .unwrap();
    let person = |person: &str| v1::RevokePersonRequest {
        person: person.to_owned(),
        reason: "left the company".to_owned(),
    };
    // An auditor sees them, and may end none; to an engineer they do not exist.
    let audrey = inside.as_person("audrey").await;
    for (client, seen) in [(&audrey, 2), (&mia, 0)] {
        let reply = client.requests().revoke_person(person("sam")).await;
        let reply = reply.unwrap().into_inner();
        assert_eq!((reply.requests.len(), reply.not_permitted), (0, seen));
    }
    assert!(inside.works(&given).await);

    let ended = zoe.requests().revoke_person(person("sam")).await.unwrap();
    let ended = ended.into_inner();
    let ids: Vec<&str> = ended.requests.iter().map(|it| it.id.as_str()).collect();
    assert_eq!((ids.len(), ended.not_permitted), (2, 0));
    assert!(ids.contains(&active.as_str()) && ids.contains(&waiting.id.as_str()));
    until(&zoe, &active, Step::Verified).await;
    assert!(!inside.works(&given).await);
    assert!(issue(&sam, &waiting.id).await.is_err());
    let others = show(&mia, &other.id).await;
    assert!(matches!(others.state, Some(v1::request::State::Pending(_))));
}
