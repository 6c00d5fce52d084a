//! Revocation at AWS: the one inline policy by which a role denies the sessions of grants that ended before their time.
//!
//! STS credentials cannot be taken back, but each session carries its grant's id as a tag, and IAM asks the role's policies at
//! each use. The policy is worked out whole from what ended, in a fixed order, so that writing it twice changes nothing. An
//! inline policy has little room: where not every grant can be named, the oldest are covered by one moment before which
//! *all* sessions of the role are denied. That may hit grants that go on; they renew and work again.

use serde_json::{Value, json};

use crate::digest::Digest;
use crate::request::RequestId;
use crate::session::GRANT_TAG;
use crate::window::Moment;

/// The most characters IAM takes for all inline policies of a role together, white space not counted.
pub const INLINE_POLICIES_MAX: usize = 10_240;

/// How long after the last session's end its grant stays denied, in seconds: AWS's clock and ours may differ, and
/// signatures are taken for five minutes.
pub const MARGIN_S: u32 = 300;

/// How much later than by our clock AWS may have stamped a session, in seconds: the clock skew Writ works with at most.
pub const SKEW_S: u32 = 5;

/// Characters that one more grant takes in the policy: its id, two quotes and a comma.
const ENTRY: usize = RequestId::LEN + 3;

/// A grant that ended early, and until when sessions of it may be honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub grant: RequestId,
    /// When it was ended; no session of it was made later.
    pub ended_at: Moment,
    /// When the last of its sessions ends by itself.
    pub until: Moment,
}

/// What a role is to deny.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Denials {
    // Oldest end first.
    named: Vec<RequestId>,
    covered: Vec<RequestId>,
    all_before: Option<Moment>,
}

impl Denials {
    /// What is to be denied at `now`, in a policy of at most `room` characters: every grant whose sessions may be honoured,
    /// the latest ended by name as far as there is room.
    pub fn new(ended: impl IntoIterator<Item = Ended>, now: Moment, room: usize) -> Denials {
        let mut live: Vec<Ended> = ended
            .into_iter()
            .filter(|ended| now < ended.until.plus_s(MARGIN_S))
            .collect();
        live.sort_by(|one, other| (one.ended_at, &one.grant).cmp(&(other.ended_at, &other.grant)));
        // What stands around the names, a little more than it takes.
        let names_alone = document(&[], None).len();
        let with_moment = names_alone + document(&[], Some(Moment::MAX.floor_s())).len();
        let places = |frame: usize| room.saturating_sub(frame) / ENTRY;
        let mut named = live;
        let mut covered = Vec::new();
        if named.len() > places(names_alone) {
            let fit = places(with_moment);
            let later = named.split_off(named.len().saturating_sub(fit));
            covered = std::mem::replace(&mut named, later);
        }
        // To the next whole second, for that is how AWS stamps and compares.
        let all_before = covered
            .iter()
            .map(|ended| ended.ended_at)
            .max()
            .map(|at| at.floor_s().plus_s(1 + SKEW_S));
        let ids = |ended: Vec<Ended>| ended.into_iter().map(|it| it.grant).collect();
        Denials {
            named: ids(named),
            covered: ids(covered),
            all_before,
        }
    }

    /// Whether nothing is to be denied: then the role has no such policy.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.covered.is_empty()
    }

    /// Every grant that is denied, by name or by the moment.
    pub fn grants(&self) -> impl Iterator<Item = &RequestId> {
        self.covered.iter().chain(&self.named)
    }

    /// The grants denied by name.
    pub fn named(&self) -> &[RequestId] {
        &self.named
    }

    /// Where there was no room for all: every session of the role made before this moment is denied.
    pub fn all_before(&self) -> Option<Moment> {
        self.all_before
    }

    /// The policy, in the one form it is written in; `None` when nothing is to be denied.
    pub fn policy(&self) -> Option<String> {
        (!self.is_empty()).then(|| document(&self.named, self.all_before))
    }
}

/// The digest by which the record names such a policy.
pub fn digest(policy: &str) -> Digest {
    Digest::of("writ.v1.revocation_policy", policy.as_bytes())
}

fn document(named: &[RequestId], all_before: Option<Moment>) -> String {
    let mut statements: Vec<Value> = Vec::new();
    if !named.is_empty() || all_before.is_none() {
        let key = format!("aws:PrincipalTag/{GRANT_TAG}");
        let ids: Vec<&str> = named.iter().map(RequestId::as_str).collect();
        statements.push(json!({
            "Sid": "EndedGrants", "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": { "StringEquals": { key: ids } },
        }));
    }
    if let Some(moment) = all_before {
        statements.push(json!({
            "Sid": "AllSessionsBefore", "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": { "DateLessThan": { "aws:TokenIssueTime": moment.to_string() } },
        }));
    }
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(s: i64) -> Moment {
        Moment::from_ms(1_800_000_000_000 + s * 1_000).unwrap()
    }

    fn ended(number: u8, ended_s: i64, until_s: i64) -> Ended {
        Ended {
            grant: RequestId::new(moment(0), [number; 10]),
            ended_at: moment(ended_s),
            until: moment(until_s),
        }
    }

    fn many(count: i64) -> Vec<Ended> {
        let one = |n: i64| {
            let mut random = [0; 10];
            random[8..].copy_from_slice(&u16::try_from(n).unwrap().to_be_bytes());
            Ended {
                grant: RequestId::new(moment(0), random),
                ended_at: moment(n),
                until: moment(3_600),
            }
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_grant_is_denied_until_its_last_session_has_ended_and_a_margin_has_passed() {
        let denied = |now_s| {
            let denials = Denials::new([ended(1, 10, 900)], moment(now_s), INLINE_POLICIES_MAX);
            !denials.is_empty()
        };
        let margin = i64::from(MARGIN_S);
        assert!(denied(10) && denied(900) && denied(900 + margin - 1));
        assert!(!denied(900 + margin));
    }

    #[test]
    fn the_policy_is_the_same_whatever_order_the_grants_came_in() {
        let [one, two] = [ended(1, 10, 900), ended(2, 20, 900)];
        let policy = |ended: [Ended; 2]| {
            Denials::new(ended, moment(30), INLINE_POLICIES_MAX)
                .policy()
                .unwrap()
        };
        let text = policy([one.clone(), two.clone()]);
        assert_eq!(text, policy([two, one]));
        assert!(text.contains("aws:PrincipalTag/writ:grant"), "{text}");
        assert!(!text.contains("TokenIssueTime"), "{text}");
    }

    #[test]
    fn nothing_to_deny_is_no_policy() {
        let none = Denials::new([], moment(0), INLINE_POLICIES_MAX);
        assert!(none.is_empty() && none.policy().is_none() && none.all_before().is_none());
    }

    #[test]
    fn where_there_is_no_room_the_oldest_are_covered_by_a_moment_and_nobody_is_forgotten() {
        for count in [1, 100, 340, 345, 360, 400, 2_000] {
            let denials = Denials::new(many(count), moment(3_000), INLINE_POLICIES_MAX);
            let policy = denials.policy().unwrap();
            assert!(
                policy.len() <= INLINE_POLICIES_MAX,
                "{count}: {}",
                policy.len()
            );
            assert_eq!(denials.grants().count(), usize::try_from(count).unwrap());
            let folded = denials.grants().count() - denials.named().len();
            match denials.all_before() {
                None => assert_eq!(folded, 0),
                Some(moment_of) => {
                    assert!(count > 330 && folded > 0, "{count}");
                    // Every covered grant ended before that moment, with skew; every later one is named.
                    let last = i64::try_from(folded).unwrap() - 1;
                    assert_eq!(moment_of, moment(last).plus_s(1 + SKEW_S));
                }
            }
        }
    }

    #[test]
    fn with_no_room_for_names_at_all_one_moment_covers_everyone() {
        let denials = Denials::new(many(5), moment(100), 0);
        assert!(denials.named().is_empty());
        assert_eq!(denials.all_before(), Some(moment(4).plus_s(1 + SKEW_S)));
        assert!(!denials.policy().unwrap().contains("PrincipalTag"));
    }
}
