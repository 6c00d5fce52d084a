//! Asking for a scope, and the dry run of it.

use writ_engine::decide::{
    Allowed, Draft, Standing, announced_to, check, check_break_glass, may_see_scope,
};
use writ_engine::event::Fact;
use writ_engine::request::BreakGlass;
use writ_engine::{Bundle, Case, Decision, Moment, Principal, Request, RequestId, Scope, ScopeId};

use super::view::{Ask, CaseView, Refused, Wish};
use super::{Desk, OPEN_REQUESTS_MAX, random, salted};
use crate::identity::Identity;

impl Desk {
    /// Asks. The same key and wish answer with the same request, for as long as the journal lasts; the same run and wish
    /// for as long as that request is open.
    pub async fn create(&self, who: &Identity, ask: Ask) -> Result<CaseView, Refused> {
        let Ask {
            wish,
            idempotency_key,
            run,
            keep_for_s,
        } = ask;
        let principal = who.principal();
        let turn = self.principals_locked.take(&principal.id).await;
        if let Some(key) = &idempotency_key
            && let Some(earlier) = self.made_before(principal, key, &wish)?
        {
            return Ok(earlier);
        }
        let now = self.trusted_now()?;
        if let Some(run) = &run
            && let Some(earlier) = self.open_in_run(principal, run, &wish, now)
        {
            return Ok(earlier);
        }
        let bundle = self.bundle();
        let scope = visible_scope(&bundle, principal, &wish.scope)?;
        if self.cases.open_requests(&principal.id, now) >= OPEN_REQUESTS_MAX {
            return Err(Refused::TooManyOpenRequests);
        }

        let decision = self.judge(&bundle, principal, &scope.id, &wish, now);
        self.raise_alarms(&decision);
        let verdict = decision.verdict(&bundle);
        let reason = salted(&wish.reason)?;
        if let Decision::Denied(denied) = decision {
            let refused = Fact::Refused {
                principal: principal.clone(),
                scope: scope.id.clone(),
                duration: wish.duration,
                reason: reason.commitment(),
                ticket: wish.ticket,
                break_glass: wish.break_glass,
                verdict,
            };
            self.append(now, refused, vec![reason], turn).await?;
            return Err(Refused::Policy(Box::new(denied)));
        }
        let request = Request {
            id: RequestId::new(now, random()?),
            principal: principal.clone(),
            scope: scope.id.clone(),
            duration: wish.duration,
            reason: reason.commitment(),
            ticket: wish.ticket,
            requested_at: now,
            decide_by: now.plus_s(scope.request_ttl_s),
            activation_ttl_s: scope.activation_ttl_s,
            bundle: bundle.digest(),
            break_glass: match (wish.break_glass, &scope.break_glass) {
                (true, Some(terms)) => Some(BreakGlass {
                    review_ttl_s: terms.review_ttl_s,
                }),
                (true, None) | (false, _) => None,
            },
        };
        let id = request.id.clone();
        let emergency = request.break_glass.is_some();
        let scope_asked = scope.id.clone();
        self.append(
            now,
            Fact::Requested {
                request,
                idempotency_key,
                run,
                keep_for_s,
                verdict,
            },
            vec![reason],
            turn,
        )
        .await?;
        if emergency {
            let people = announced_to(&bundle, &scope_asked);
            let told: Vec<&str> = people.iter().map(|person| person.as_str()).collect();
            tracing::error!(
                request = %id,
                scope = scope_asked.as_str(),
                principal = principal.id.name(),
                told = told.join(" "),
                "alarm: break-glass: someone asks for access in an emergency"
            );
        }
        self.view(&id, &bundle).ok_or(Refused::Journal)
    }

    // An emergency is decided as one, and never taken for anything else.
    fn judge(
        &self,
        bundle: &Bundle,
        principal: &Principal,
        scope: &ScopeId,
        wish: &Wish,
        now: Moment,
    ) -> Decision<Allowed> {
        let draft = draft(principal, scope, wish);
        match wish.break_glass {
            true => {
                let cases = self.cases.read();
                let owing = cases.emergencies();
                let standing = Standing::among(bundle.directory(), principal, None, owing);
                check_break_glass(bundle, &draft, standing, now)
            }
            false => check(bundle, &draft, now),
        }
    }

    /// The decision a wish would get now. Nothing is recorded.
    pub fn check(&self, who: &Identity, wish: &Wish) -> Result<Decision<Allowed>, Refused> {
        let bundle = self.bundle();
        let scope = visible_scope(&bundle, who.principal(), &wish.scope)?;
        let decision = self.judge(&bundle, who.principal(), &scope.id, wish, self.now());
        self.raise_alarms(&decision);
        Ok(decision)
    }

    fn made_before(
        &self,
        principal: &Principal,
        key: &str,
        wish: &Wish,
    ) -> Result<Option<CaseView>, Refused> {
        let id = {
            let cases = self.cases.read();
            let Some(row) = cases.by_key(&principal.id, key) else {
                return Ok(None);
            };
            if !is_wish(&row.case, principal, wish) {
                return Err(Refused::IdempotencyKeyReused);
            }
            row.case.request().id.clone()
        };
        Ok(self.view(&id, &self.bundle()))
    }

    // The newest open request of the run; its requester has been heard of.
    fn open_in_run(
        &self,
        principal: &Principal,
        run: &str,
        wish: &Wish,
        now: Moment,
    ) -> Option<CaseView> {
        let id = {
            let cases = self.cases.read();
            cases
                .maybe_open(&principal.id)
                .filter(|row| row.run.as_deref() == Some(run))
                .filter(|row| !row.case.state(now).is_terminal())
                .map(|row| &row.case)
                .filter(|case| is_wish(case, principal, wish))
                .map(|case| &case.request().id)
                .filter(|id| cases.kept_until(id).is_none_or(|until| now < until))
                .max()?
                .clone()
        };
        self.cases.hear(&id, now);
        self.view(&id, &self.bundle())
    }
}

fn is_wish(case: &Case, principal: &Principal, wish: &Wish) -> bool {
    let request = case.request();
    request.principal == *principal
        && request.scope.as_str() == wish.scope
        && case.asked_for() == wish.duration
        && request.break_glass.is_some() == wish.break_glass
        && request.ticket == wish.ticket
        && case.reason() == Some(wish.reason.as_str())
}

// A scope that is not in the catalog and one that no policy gives the caller answer alike.
fn visible_scope<'a>(
    bundle: &'a Bundle,
    principal: &Principal,
    name: &str,
) -> Result<&'a Scope, Refused> {
    let id = ScopeId::new(name).map_err(|_| Refused::NotFound)?;
    let scope = bundle.scope(&id).ok_or(Refused::NotFound)?;
    may_see_scope(bundle, principal, &id)
        .then_some(scope)
        .ok_or(Refused::NotFound)
}

fn draft<'a>(principal: &'a Principal, scope: &'a ScopeId, wish: &'a Wish) -> Draft<'a> {
    Draft {
        principal,
        scope,
        duration: wish.duration,
        reason: &wish.reason,
        ticket: wish.ticket.as_deref(),
    }
}
