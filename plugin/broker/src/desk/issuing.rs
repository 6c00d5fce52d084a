//! Issuing: from an approved case to credentials, with the record before and after the call.

use std::sync::Arc;
use std::time::Duration;

use writ_engine::case::{LIVE_SESSIONS_MAX, SESSIONS_MAX, SessionOutcome};
use writ_engine::decide::{Standing, decide_for};
use writ_engine::event::{Event, Fact};
use writ_engine::{Case, Decision, Principal, RequestId, SessionPlan, State};

use super::Desk;
use super::locks::Turn;
use super::view::{Act, IssuedSession, Refused};
use crate::aws::issuer::{AwsSession, IssueError};
use crate::identity::Identity;

/// Calls to STS one issue may make, each recorded: a throttled call and two more.
pub const ATTEMPTS_MAX: u32 = 3;

/// The first wait between two attempts; it doubles.
pub const BACKOFF_MS: u64 = 100;

impl Desk {
    /// Issues session credentials: the first time opens the window, later times renew inside it.
    ///
    /// Runs to its end even when the caller hangs up, so that a session AWS gave is never left without an outcome.
    pub async fn issue(
        self: &Arc<Self>,
        who: &Identity,
        id: &str,
    ) -> Result<IssuedSession, Refused> {
        let (id, turn) = self.take(who, id).await?;
        let principal = who.principal().clone();
        let desk = Arc::clone(self);
        let work = tokio::spawn(async move {
            of_this_run(&desk.case(&id)?, &principal)?;
            desk.issue_in_turn(&id, &turn).await
        });
        work.await.unwrap_or(Err(Refused::ShuttingDown))
    }

    async fn issue_in_turn(&self, id: &RequestId, turn: &Turn) -> Result<IssuedSession, Refused> {
        let mut wait = Duration::from_millis(BACKOFF_MS);
        let mut attempt = 1;
        loop {
            match self.attempt(id, turn).await {
                Err(Refused::AwsUnavailable(code))
                    if attempt < ATTEMPTS_MAX && code != NO_ANSWER =>
                {
                    tracing::info!(request = %id, attempt, code, "sts asks to come back; trying again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                    attempt += 1;
                }
                settled => return settled,
            }
        }
    }

    async fn attempt(&self, id: &RequestId, turn: &Turn) -> Result<IssuedSession, Refused> {
        let case = self.case(id)?;
        // Until the intent is on record, no other emergency is decided: with the first session this one begins to owe.
        let alone = match case.request().break_glass {
            Some(_) => Some(self.emergencies_locked.take(&()).await),
            None => None,
        };
        let now = self.trusted_now()?;
        let bundle = self.bundle();
        let number = case.next_session();
        ready(&case, now)?;
        self.still_heard(id, case.state(now), now)?;
        self.cases.hear(id, now);

        let request = case.request();
        let standing = Standing::of(bundle.directory(), request, self.cases.read().emergencies());
        let decision = decide_for(&bundle, &case, standing, now);
        self.raise_alarms(&decision);
        let grant = match decision {
            Decision::Granted(grant) => grant,
            Decision::NeedsApproval(needs) => return Err(Refused::NeedsApproval(Box::new(needs))),
            Decision::Denied(denied) => return Err(Refused::Policy(Box::new(denied))),
        };
        let closes_at = grant.window().closes_at();
        let plan = SessionPlan::new(grant, number, now, self.aws.issuer.cap_s())
            .map_err(|_| Refused::WrongState(case.state(now).name()))?;
        let (role_arn, region) = (plan.role_arn().to_string(), plan.region().to_owned());
        self.follows(&Event {
            at: now,
            fact: plan.intent(),
        })?;
        // The intent is durable before the call: a crash in between over-reports one session, never under-reports one.
        let plan = self
            .journal
            .record_holding(plan, now, (Arc::clone(turn), alone.clone()))
            .await?;
        drop(alone);
        let answer = self.aws.issuer.issue(plan).await;
        // And the outcome is durable before the reply: if it cannot be recorded, the credentials are dropped here, wiped.
        self.append(
            self.now(),
            outcome(id, number, &answer),
            Vec::new(),
            Arc::clone(turn),
        )
        .await?;
        let session = answer.map_err(refused)?;

        let view = self.view(id, &bundle).ok_or(Refused::Journal)?;
        Ok(IssuedSession {
            access_key_id: session.access_key_id,
            secret_access_key: session.secret_access_key,
            session_token: session.session_token,
            expires_at: session.expires_at.min(closes_at),
            session: number,
            role_arn,
            region,
            view,
        })
    }
}

const NO_ANSWER: &str = "NoAnswer";

/// Only who made a request goes on with it: the same principal, and of a workload the same run.
pub(super) fn of_this_run(case: &Case, principal: &Principal) -> Result<(), Refused> {
    let requester = &case.request().principal;
    match (requester.id == principal.id, requester == principal) {
        (false, _) => Err(Refused::NotPermitted(Act::GoOn)),
        (true, false) => Err(Refused::OtherRun),
        (true, true) => Ok(()),
    }
}

fn ready(case: &Case, now: writ_engine::Moment) -> Result<(), Refused> {
    let state = case.state(now);
    match state {
        // A pending case goes on to the decision, which says what is missing; where nothing is by now, it is issued.
        State::Pending | State::Approved | State::Active(_) => {}
        _ => return Err(Refused::WrongState(state.name())),
    }
    if case.live_sessions(now) >= LIVE_SESSIONS_MAX || case.sessions().len() >= SESSIONS_MAX {
        return Err(Refused::TooManySessions);
    }
    Ok(())
}

fn outcome(id: &RequestId, session: u32, answer: &Result<AwsSession, IssueError>) -> Fact {
    let request = id.clone();
    match answer {
        Ok(given) => Fact::Issued {
            request,
            session,
            access_key_id: given.access_key_id.clone(),
            expires_at: given.expires_at,
        },
        Err(IssueError::Refused(code) | IssueError::TryAgain(code)) => Fact::IssueFailed {
            request,
            session,
            code: code.clone(),
        },
        Err(IssueError::Unknown) => Fact::IssueUnknown { request, session },
    }
}

fn refused(error: IssueError) -> Refused {
    match error {
        IssueError::Refused(code) => Refused::AwsRefused(code),
        IssueError::TryAgain(code) => Refused::AwsUnavailable(code),
        IssueError::Unknown => Refused::AwsUnavailable(NO_ANSWER.to_owned()),
    }
}

/// The sessions of a case that were intended and have no outcome, as the facts that give them one.
pub(super) fn without_outcome(case: &Case) -> Vec<Fact> {
    case.sessions()
        .iter()
        .filter(|session| session.outcome == SessionOutcome::Intended)
        .map(|session| Fact::IssueUnknown {
            request: case.request().id.clone(),
            session: session.number,
        })
        .collect()
}
