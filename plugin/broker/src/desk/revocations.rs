//! What is denied at AWS as the record has it: the grants that ended early, the policy each role has, and how far each end
//! has come.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use writ_engine::digest::Digest;
use writ_engine::revocation::{self, Denials, Ended, MARGIN_S};
use writ_engine::scope::RoleArn;
use writ_engine::{Case, Moment, RequestId};

/// The part of the state that the revoker works from.
#[derive(Default)]
pub(super) struct Revocations {
    // Grants that ended early, while sessions of theirs may be honoured.
    ended: BTreeMap<RoleArn, BTreeMap<RequestId, Ended>>,
    roles: BTreeMap<RoleArn, Written>,
    progress: HashMap<RequestId, BTreeMap<RoleArn, Progress>>,
}

/// A role's policy as it was last written.
#[derive(Default)]
struct Written {
    policy: Option<Digest>,
    verified: bool,
    grants: BTreeSet<RequestId>,
}

/// How far the end of one grant has come on one role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) written_at: Option<Moment>,
    pub(super) verified_at: Option<Moment>,
}

/// What is to be done about one role.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) role: RoleArn,
    pub(super) denials: Denials,
    pub(super) step: Step,
    /// When the oldest of what is not yet written ended.
    pub(super) since: Option<Moment>,
}

/// The next step with a role's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It is not what it is to be. The grants that it will deny and the one before did not.
    Write { newly: Vec<RequestId> },
    /// It was written, and nobody has looked yet whether it is there.
    Verify,
    /// It was found to be there.
    Nothing,
}

impl Revocations {
    /// A case was released or revoked.
    pub(super) fn note_end(&mut self, case: &Case) {
        let grant = &case.request().id;
        for outliving in case.outliving() {
            let ended = Ended {
                grant: grant.clone(),
                ended_at: outliving.ended_at,
                until: outliving.until,
            };
            self.progress
                .entry(grant.clone())
                .or_default()
                .entry(outliving.role_arn.clone())
                .or_default();
            self.ended
                .entry(outliving.role_arn)
                .or_default()
                .insert(grant.clone(), ended);
        }
    }

    /// IAM took a policy, or its removal.
    pub(super) fn note_written(
        &mut self,
        at: Moment,
        role: &RoleArn,
        policy: Option<Digest>,
        grants: &[RequestId],
    ) {
        let written = self.roles.entry(role.clone()).or_default();
        written.policy = policy;
        written.verified = false;
        match policy {
            Some(_) => written.grants.extend(grants.iter().cloned()),
            None => written.grants.clear(),
        }
        for grant in grants {
            if let Some(progress) = self.progress_of(grant, role) {
                progress.written_at.get_or_insert(at);
            }
        }
    }

    /// AWS was asked again and denies.
    /// Answers with the grants it denies.
    pub(super) fn note_verified(
        &mut self,
        at: Moment,
        role: &RoleArn,
        policy: Digest,
    ) -> Vec<RequestId> {
        let Some(written) = self.roles.get_mut(role) else {
            return Vec::new();
        };
        if written.policy != Some(policy) {
            return Vec::new();
        }
        written.verified = true;
        let grants: Vec<RequestId> = written.grants.iter().cloned().collect();
        for grant in &grants {
            if let Some(progress) = self.progress_of(grant, role)
                && progress.written_at.is_some()
            {
                progress.verified_at.get_or_insert(at);
            }
        }
        grants
    }

    fn progress_of(&mut self, grant: &RequestId, role: &RoleArn) -> Option<&mut Progress> {
        self.progress.get_mut(grant)?.get_mut(role)
    }

    /// How far a grant has come on each role it had sessions of.
    pub(super) fn progress(&self, grant: &RequestId) -> impl Iterator<Item = (&RoleArn, Progress)> {
        let roles = self.progress.get(grant).into_iter().flatten();
        roles.map(|(role, progress)| (role, *progress))
    }

    /// What every role is to have at `now`, in as much room as `room` says there is on it.
    pub(super) fn due(&self, now: Moment, room: impl Fn(&RoleArn) -> usize) -> Vec<Due> {
        let roles: BTreeSet<&RoleArn> = self.ended.keys().chain(self.roles.keys()).collect();
        let nothing = Written::default();
        let due = |role: &RoleArn| {
            let ended = self.ended.get(role);
            let denials = Denials::new(
                ended.into_iter().flat_map(BTreeMap::values).cloned(),
                now,
                room(role),
            );
            let written = self.roles.get(role).unwrap_or(&nothing);
            let policy = denials.policy().map(|text| revocation::digest(&text));
            let newly: Vec<RequestId> = denials
                .grants()
                .filter(|grant| !written.grants.contains(*grant))
                .cloned()
                .collect();
            let since = newly
                .iter()
                .filter_map(|grant| Some(ended?.get(grant)?.ended_at))
                .min();
            let step = match (policy == written.policy, written.verified, policy) {
                (false, _, _) => Step::Write { newly },
                (true, false, Some(_)) => Step::Verify,
                (true, true, Some(_)) | (true, _, None) => Step::Nothing,
            };
            Due {
                role: role.clone(),
                denials,
                step,
                since,
            }
        };
        roles.into_iter().map(due).collect()
    }

    /// When the next grant need no longer be denied.
    pub(super) fn next_end(&self, now: Moment) -> Option<Moment> {
        let ends = self.ended.values().flat_map(BTreeMap::values);
        ends.map(|ended| ended.until.plus_s(MARGIN_S))
            .filter(|end| *end > now)
            .min()
    }

    /// Forgets the grants whose sessions have long ended; how far they came stays known.
    pub(super) fn forget(&mut self, now: Moment) {
        for ended in self.ended.values_mut() {
            ended.retain(|_, ended| now < ended.until.plus_s(MARGIN_S));
        }
        self.ended.retain(|_, ended| !ended.is_empty());
        self.roles.retain(|_, written| written.policy.is_some());
    }
}
