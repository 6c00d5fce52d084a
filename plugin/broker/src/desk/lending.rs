//! Standing in: a right to approve that is lent for a while, and taken back.

use std::collections::BTreeMap;

use writ_engine::decide::may_delegate;
use writ_engine::delegation::{DELEGATION_MAX_S, Delegation, DelegationId};
use writ_engine::event::Fact;
use writ_engine::{Moment, PrincipalId, UserId};

use super::view::{Act, Refused};
use super::{Desk, random, salted};
use crate::identity::Identity;

/// Rights one person may have lent at once: more than anyone has stand-ins.
pub const LENT_MAX: usize = 20;

/// Every delegation, as the record has it.
#[derive(Default)]
pub(super) struct Lent(BTreeMap<DelegationId, Lending>);

/// One of them.
#[derive(Debug, Clone)]
pub struct Lending {
    /// What was lent.
    pub delegation: Delegation,
    /// Why, unless it was erased.
    pub reason: Option<String>,
    /// Whether the lender has taken it back.
    pub ended: bool,
}

impl Lent {
    pub(super) fn note(&mut self, delegation: &Delegation, reason: Option<&str>) {
        let lending = Lending {
            delegation: delegation.clone(),
            reason: reason.map(str::to_owned),
            ended: false,
        };
        self.0.insert(delegation.id.clone(), lending);
    }

    pub(super) fn note_end(&mut self, id: &DelegationId) {
        if let Some(lending) = self.0.get_mut(id) {
            lending.ended = true;
        }
    }

    /// Those that are not over at `now`, whether they have begun or not.
    pub(super) fn open(&self, now: Moment) -> impl Iterator<Item = &Lending> {
        let open = move |it: &&Lending| !it.ended && now < it.delegation.closes_at;
        self.0.values().filter(open)
    }

    /// Whose rights `delegate` may use at `now`, as far as the lenders are concerned.
    pub(super) fn lenders<'a>(
        &'a self,
        delegate: &'a UserId,
        now: Moment,
    ) -> impl Iterator<Item = &'a UserId> {
        self.open(now)
            .map(|it| &it.delegation)
            .filter(move |it| it.delegate == *delegate && it.contains(now))
            .map(|it| &it.lender)
    }
}

/// A right somebody wants to lend, checked field by field.
#[derive(Debug, Clone)]
pub struct Loan {
    /// To whom.
    pub delegate: String,
    /// From when; `None` for now.
    pub opens_at: Option<Moment>,
    /// Until when.
    pub closes_at: Moment,
    /// Why.
    pub reason: String,
}

impl Desk {
    /// Lends the caller's right to approve, where the policy lets this pair.
    pub async fn delegate(&self, who: &Identity, loan: Loan) -> Result<Lending, Refused> {
        let PrincipalId::User(lender) = &who.principal().id else {
            return Err(Refused::NotPermitted(Act::Lend));
        };
        let turn = self.principals_locked.take(&who.principal().id).await;
        let now = self.trusted_now()?;
        let bundle = self.bundle();
        // A name that is none and one that policy does not let them lend to answer alike.
        let delegate = UserId::new(loan.delegate).map_err(|_| Refused::NotPermitted(Act::Lend))?;
        if !may_delegate(&bundle, lender, &delegate) {
            return Err(Refused::NotPermitted(Act::Lend));
        }
        let opens_at = loan.opens_at.unwrap_or(now).max(now);
        let closes_at = loan.closes_at;
        if closes_at <= opens_at || closes_at > opens_at.plus_s(DELEGATION_MAX_S) {
            return Err(Refused::Field(
                "closes_at",
                "a right is lent for at most 31 days, and until after it begins".to_owned(),
            ));
        }
        let already = {
            let cases = self.cases.read();
            let lent = cases.lent().open(now);
            lent.filter(|it| it.delegation.lender == *lender).count()
        };
        if already >= LENT_MAX {
            return Err(Refused::TooManyDelegations);
        }
        let text = salted(&loan.reason)?;
        let delegation = Delegation {
            id: DelegationId::new(now, random()?),
            lender: lender.clone(),
            delegate,
            opens_at,
            closes_at,
            reason: text.commitment(),
        };
        let id = delegation.id.clone();
        self.append(now, Fact::Delegated { delegation }, vec![text], turn)
            .await?;
        self.lending(&id)
    }

    /// The rights lent by the caller and to the caller that are not over, oldest first.
    pub fn delegations(&self, who: &Identity) -> Vec<Lending> {
        let PrincipalId::User(user) = &who.principal().id else {
            return Vec::new();
        };
        let cases = self.cases.read();
        let open = cases.lent().open(self.now());
        open.filter(|it| [&it.delegation.lender, &it.delegation.delegate].contains(&user))
            .cloned()
            .collect()
    }

    /// The lender takes the right back. Consent that was given by it stays given.
    pub async fn end_delegation(
        &self,
        who: &Identity,
        id: &DelegationId,
    ) -> Result<Lending, Refused> {
        let turn = self.principals_locked.take(&who.principal().id).await;
        let now = self.now();
        let lending = self.lending(id)?;
        if who.principal().id != PrincipalId::User(lending.delegation.lender.clone()) {
            return Err(Refused::NotFound);
        }
        if lending.ended || now >= lending.delegation.closes_at {
            return Err(Refused::WrongState("over"));
        }
        let delegation = id.clone();
        self.append(now, Fact::DelegationEnded { delegation }, Vec::new(), turn)
            .await?;
        self.lending(id)
    }

    fn lending(&self, id: &DelegationId) -> Result<Lending, Refused> {
        let cases = self.cases.read();
        cases.lent().0.get(id).cloned().ok_or(Refused::NotFound)
    }
}
