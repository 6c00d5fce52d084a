//! The events of a case as a broker records them, for benchmarks that append without one.

use writ_broker::journal::Entry;
use writ_engine::digest::{Digest, SaltedText};
use writ_engine::event::{Event, Fact, Outcome, Verdict};
use writ_engine::scope::RoleArn;
use writ_engine::{Duration, Moment, Principal, Request, RequestId, ScopeId, UserId, Window};

/// Events a case has here.
pub(crate) const EVENTS_A_CASE: usize = 4;

/// The events of one case: asked and granted at once, used, and given back.
pub(crate) fn case(number: u64) -> [Entry; EVENTS_A_CASE] {
    let start: Moment = "2026-11-21T10:00:00Z".parse().expect("a moment");
    let at = Moment::from_ms(start.as_ms() + i64::try_from(number).expect("in range"))
        .expect("in range");
    let bundle = Digest::of("writ.bench", b"bundle");
    let verdict = || Verdict {
        bundle,
        outcome: Outcome::Granted,
        policies: vec!["engineers-read-the-payments-database".to_owned()],
        approvals: [].into(),
    };
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    let mut salt = [0; 16];
    salt[8..].copy_from_slice(&number.to_be_bytes());
    let text = SaltedText {
        salt,
        text: format!("INC-{number}: the payments service answers slowly"),
    };
    let duration = Duration::from_s(2_700).expect("in range");
    let request = Request {
        id: RequestId::new(at, random),
        principal: Principal::user(
            UserId::new(format!("engineer-{}", number % 500)).expect("a name"),
        ),
        scope: ScopeId::new("prod-db-read").expect("a name"),
        duration,
        reason: text.commitment(),
        ticket: Some(format!("INC-{number}")),
        requested_at: at,
        decide_by: at.plus_s(86_400),
        activation_ttl_s: 28_800,
        bundle,
        break_glass: None,
    };
    let (id, request_digest) = (request.id.clone(), request.digest());
    let intended = Fact::IssueIntended {
        request: id.clone(),
        session: 1,
        request_digest,
        window: Window::opening(at, duration).expect("a window"),
        role_arn: RoleArn::new("arn:aws:iam::123456789012:role/jit-prod-db-read").expect("an ARN"),
        duration_s: 2_700,
        session_policy: Digest::of("writ.bench", &number.to_be_bytes()),
        chains: false,
        verdict: verdict(),
    };
    let issued = Fact::Issued {
        request: id.clone(),
        session: 1,
        access_key_id: "ASIAIOSFODNN7EXAMPLE".to_owned(),
        expires_at: at.plus(duration),
    };
    let requested = Fact::Requested {
        request,
        idempotency_key: None,
        run: None,
        keep_for_s: None,
        verdict: verdict(),
    };
    let entry = |fact, texts| Entry {
        event: Event { at, fact },
        texts,
    };
    [
        entry(requested, vec![text]),
        entry(intended, vec![]),
        entry(issued, vec![]),
        entry(
            Fact::Released {
                request: id,
                unheard: false,
            },
            vec![],
        ),
    ]
}
