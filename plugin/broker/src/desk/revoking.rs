//! Ending what is somebody else's, and carrying every early end out at AWS.
//!
//! An end is durable before it is acknowledged, and stops every further issue from then on. What AWS has given already is
//! denied there by one policy a role, written whole from the record by this one writer, as often as it takes: *requested*,
//! then *written*, then *verified*, and never called done before it is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use writ_engine::decide::may_revoke;
use writ_engine::event::Fact;
use writ_engine::revocation::{self, INLINE_POLICIES_MAX, SKEW_S};
use writ_engine::scope::RoleArn;
use writ_engine::{Moment, PrincipalId, RequestId, State, UserId};

use super::revocations::{Due, Step};
use super::showing::sees;
use super::view::{Act, CaseView, Refused};
use super::{Desk, salted};
use crate::aws::revoker::{RevokeError, Revoker};
use crate::identity::Identity;

/// The first wait after an attempt that failed, in seconds; it doubles.
pub const RETRY_MIN_S: u32 = 1;

/// The longest wait between two attempts, in seconds: an end is never given up, and an IAM that is back is noticed soon.
pub const RETRY_MAX_S: u32 = 300;

/// How long an end may be on record and not yet with IAM before each further attempt is an alarm, in seconds: twice what a
/// working IAM takes with one retry and its propagation.
pub const ALARM_AFTER_S: u32 = 60;

/// How often a policy that was verified is looked at again, in seconds: somebody may have changed it.
pub const LOOK_AGAIN_S: u32 = 300;

/// Less room than this for names on a role is none, in characters: the other policies there have nearly all of it.
const ROOM_MIN: usize = 512;

/// The writer's own state: nothing of it is needed after a restart.
#[derive(Default)]
pub(super) struct Revoking {
    pub(super) woken: Notify,
    // One pass at a time.
    pass: tokio::sync::Mutex<()>,
    roles: Mutex<HashMap<RoleArn, Attempts>>,
}

#[derive(Clone)]
struct Attempts {
    next: Moment,
    wait_s: u32,
    room: usize,
    looked_at: Option<Moment>,
    // AWS's last answer where it was no yes.
    answer: Option<String>,
}

impl Default for Attempts {
    fn default() -> Attempts {
        Attempts {
            next: Moment::EPOCH,
            wait_s: RETRY_MIN_S,
            room: INLINE_POLICIES_MAX,
            looked_at: None,
            answer: None,
        }
    }
}

impl Revoking {
    fn of(&self, role: &RoleArn) -> Attempts {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.get(role).cloned().unwrap_or_default()
    }

    fn set(&self, role: &RoleArn, attempts: Attempts) {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.insert(role.clone(), attempts);
    }

    /// AWS's last answer about a role, where it was no yes.
    pub(super) fn answer(&self, role: &RoleArn) -> Option<String> {
        self.of(role).answer
    }
}

/// What one person's requests came to.
#[derive(Debug)]
pub struct PersonRevoked {
    /// Those that were ended.
    pub ended: Vec<CaseView>,
    /// How many go on, because the policy does not let the caller end them.
    pub not_permitted: u32,
}

impl Desk {
    /// Ends a request of somebody else: at whatever step it is, and for good.
    pub async fn revoke(
        &self,
        who: &Identity,
        id: &str,
        reason: &str,
    ) -> Result<CaseView, Refused> {
        let id = self.find(who, id)?;
        self.revoke_found(who, &id, reason).await
    }

    /// Ends everything that a person holds or has asked for, also through the workloads they answer for.
    pub async fn revoke_person(
        &self,
        who: &Identity,
        person: &UserId,
        reason: &str,
    ) -> Result<PersonRevoked, Refused> {
        let (now, bundle) = (self.now(), self.bundle());
        let open: Vec<RequestId> = {
            let cases = self.cases.read();
            let theirs = |principal: &PrincipalId| {
                bundle.directory().person_once_behind(principal) == Some(person)
            };
            cases
                .all()
                .filter(|row| theirs(&row.case.request().principal.id))
                .filter(|row| !row.case.state(now).is_terminal())
                // What the caller may not see does not exist for them, and is not counted either.
                .filter(|row| sees(&bundle, &cases, who.principal(), row, now))
                .map(|row| row.case.request().id.clone())
                .collect()
        };
        let mut revoked = PersonRevoked {
            ended: Vec::new(),
            not_permitted: 0,
        };
        for id in open {
            match self.revoke_found(who, &id, reason).await {
                Ok(view) => revoked.ended.push(view),
                // It ended by itself while the others were ended.
                Err(Refused::WrongState(_)) => {}
                Err(Refused::NotPermitted(_)) => revoked.not_permitted += 1,
                Err(refused) => return Err(refused),
            }
        }
        Ok(revoked)
    }

    // Ending never waits for a trusted clock: less access is always safe.
    async fn revoke_found(
        &self,
        who: &Identity,
        id: &RequestId,
        reason: &str,
    ) -> Result<CaseView, Refused> {
        let turn = self.cases_locked.take(id).await;
        let now = self.now();
        let bundle = self.bundle();
        let case = self.case(id)?;
        let request = case.request();
        if !may_revoke(&bundle, who.principal(), &request.principal, &request.scope) {
            return Err(Refused::NotPermitted(Act::Revoke));
        }
        match case.state(now) {
            State::Pending | State::Approved | State::Active(_) => {}
            state => return Err(Refused::WrongState(state.name())),
        }
        let text = salted(reason)?;
        let fact = Fact::Revoked {
            request: id.clone(),
            by: who.principal().id.clone(),
            reason: text.commitment(),
        };
        self.append(now, fact, vec![text], turn).await?;
        self.revoking.woken.notify_one();
        self.view(id, &bundle).ok_or(Refused::Journal)
    }

    /// Whether early ends can be carried out at AWS at all.
    pub(super) fn can_revoke_at_aws(&self) -> bool {
        self.aws.revoker.is_some()
    }

    /// Waits until an end is to be carried out.
    pub async fn woken_to_revoke(&self) {
        self.revoking.woken.notified().await;
    }

    /// One pass over every role whose policy is not what it is to be, or was not yet seen to be. Answers how long nothing
    /// is to be done, unless something ends before.
    pub async fn carry_out_revocations(&self) -> Duration {
        let longest = Duration::from_secs(LOOK_AGAIN_S.into());
        let Some(revoker) = &self.aws.revoker else {
            return longest;
        };
        let _pass = self.revoking.pass.lock().await;
        let now = self.now();
        self.cases.forget_revocations(now);
        let due = {
            let cases = self.cases.read();
            let room = |role: &RoleArn| self.revoking.of(role).room;
            cases.revocations().due(now, room)
        };
        for due in due {
            let attempts = self.revoking.of(&due.role);
            // A wait that began under a clock that was ahead is no reason to wait longer than one ever does.
            let waits = now < attempts.next && attempts.next.since_ms(now) <= wait_ms(RETRY_MAX_S);
            if !waits {
                self.carry_out(revoker, due, attempts, now).await;
            }
        }
        self.next_pass(longest)
    }

    fn next_pass(&self, longest: Duration) -> Duration {
        let now = self.now();
        let cases = self.cases.read();
        let room = |role: &RoleArn| self.revoking.of(role).room;
        let retries = cases
            .revocations()
            .due(now, room)
            .into_iter()
            .filter(|due| due.step != Step::Nothing)
            .map(|due| self.revoking.of(&due.role).next);
        let next = retries.chain(cases.revocations().next_end(now)).min();
        let until = next.map(|next| u64::try_from(next.since_ms(now)).unwrap_or(0));
        // Never at once, whatever the clocks say.
        until.map_or(longest, |ms| {
            Duration::from_millis(ms.max(100)).min(longest)
        })
    }

    async fn carry_out(&self, revoker: &Revoker, due: Due, mut attempts: Attempts, now: Moment) {
        let role = due.role.clone();
        let done = match &due.step {
            Step::Write { newly } => self.write(revoker, &due, newly, &mut attempts).await,
            Step::Verify => self.verify(revoker, &due, now).await,
            Step::Nothing => self.look_again(revoker, &due, &mut attempts, now).await,
        };
        match done {
            Ok(()) => {
                attempts.next = Moment::EPOCH;
                attempts.wait_s = RETRY_MIN_S;
                attempts.answer = None;
            }
            Err(answer) => {
                attempts.next = self.now().plus_s(attempts.wait_s);
                attempts.wait_s = attempts.wait_s.saturating_mul(2).min(RETRY_MAX_S);
                let age_s = due.since.map_or(0, |since| now.since_ms(since) / 1_000);
                match age_s >= i64::from(ALARM_AFTER_S) {
                    true => tracing::error!(
                        role = role.as_str(),
                        answer,
                        age_s,
                        "alarm: an ended grant is not yet denied at aws; trying on"
                    ),
                    false => tracing::warn!(
                        role = role.as_str(),
                        answer,
                        "an ended grant is not yet denied at aws; trying on"
                    ),
                }
                attempts.answer = Some(answer);
            }
        }
        self.revoking.set(&role, attempts);
    }

    async fn write(
        &self,
        revoker: &Revoker,
        due: &Due,
        newly: &[RequestId],
        attempts: &mut Attempts,
    ) -> Result<(), String> {
        let policy = due.denials.policy();
        let answer = match &policy {
            Some(text) => revoker.write(&due.role, text).await,
            None => revoker.remove(&due.role).await,
        };
        match answer {
            Ok(()) => {}
            Err(RevokeError::LimitExceeded) if attempts.room > 0 => {
                // The role has policies of others too. What has no room by name is covered by a moment, at the next try.
                attempts.room = match attempts.room / 2 {
                    room if room < ROOM_MIN => 0,
                    room => room,
                };
                attempts.wait_s = RETRY_MIN_S;
                return Err(code(&RevokeError::LimitExceeded));
            }
            Err(error) => return Err(code(&error)),
        }
        if let Some(moment) = due.denials.all_before() {
            tracing::error!(
                role = due.role.as_str(),
                all_before = %moment,
                "alarm: there was no room to deny each ended grant by name; every session of the role made before this moment is denied, and grants that go on renew"
            );
        }
        let fact = Fact::RevocationWritten {
            role_arn: due.role.clone(),
            policy: policy.as_deref().map(revocation::digest),
            grants: newly.to_vec(),
            all_before: due.denials.all_before(),
        };
        tracing::info!(
            role = due.role.as_str(),
            grants = due.denials.grants().count(),
            "iam took the role's denials"
        );
        let recorded = self.append(self.now(), fact, Vec::new(), ()).await;
        recorded.map_err(|_| "JournalUnavailable".to_owned())?;
        // Soon, not at once: AWS needs a moment itself.
        attempts.looked_at = None;
        Ok(())
    }

    async fn verify(&self, revoker: &Revoker, due: &Due, now: Moment) -> Result<(), String> {
        let Some(text) = due.denials.policy() else {
            return Ok(());
        };
        if !is_in_force(revoker, &due.role, &text).await? {
            return Err("NotYetInForce".to_owned());
        }
        if let Some(grant) = due.denials.named().last()
            && !asked(revoker.denies(&due.role, grant).await)?
        {
            return Err("NotYetDenied".to_owned());
        }
        if let Some(moment) = due.denials.all_before() {
            // A session of just before that moment, by AWS's own clock.
            let before = Moment::from_ms(moment.as_ms() - i64::from(SKEW_S) * 1_000);
            let before = before.unwrap_or(Moment::EPOCH);
            if !asked(revoker.denies_issued_at(&due.role, before).await)? {
                return Err("NotYetDenied".to_owned());
            }
        }
        let fact = Fact::RevocationVerified {
            role_arn: due.role.clone(),
            policy: revocation::digest(&text),
        };
        let recorded = self.append(now.max(self.now()), fact, Vec::new(), ()).await;
        recorded.map_err(|_| "JournalUnavailable".to_owned())
    }

    // Somebody else may have changed what was verified; then it is written again, and said loudly.
    async fn look_again(
        &self,
        revoker: &Revoker,
        due: &Due,
        attempts: &mut Attempts,
        now: Moment,
    ) -> Result<(), String> {
        let looked_at = attempts.looked_at.get_or_insert(now);
        let since_ms = now.since_ms(*looked_at).abs();
        let Some(text) = due.denials.policy() else {
            return Ok(());
        };
        if since_ms < wait_ms(LOOK_AGAIN_S) {
            return Ok(());
        }
        *looked_at = now;
        if is_in_force(revoker, &due.role, &text).await? {
            return Ok(());
        }
        tracing::error!(
            role = due.role.as_str(),
            "alarm: somebody changed or removed the policy that denies ended grants; it is written again"
        );
        self.write(revoker, due, &[], attempts).await
    }
}

/// Compared as JSON: IAM keeps a document as it is, an emulator may not.
async fn is_in_force(revoker: &Revoker, role: &RoleArn, text: &str) -> Result<bool, String> {
    let found = revoker.read(role).await.map_err(|error| code(&error))?;
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    Ok(found.is_some_and(|found| parsed(&found) == parsed(text)))
}

fn asked(answer: Result<bool, RevokeError>) -> Result<bool, String> {
    answer.map_err(|error| code(&error))
}

fn code(error: &RevokeError) -> String {
    match error {
        RevokeError::LimitExceeded => "LimitExceeded".to_owned(),
        RevokeError::NoSuchRole => "NoSuchEntity".to_owned(),
        RevokeError::Refused(code) | RevokeError::TryAgain(code) => code.clone(),
    }
}

fn wait_ms(s: u32) -> i64 {
    i64::from(s) * 1_000
}
