//! Workloads: a GitHub Actions job, by its repository's id.
//!
//! `sub` is not looked at: every organisation can give it another form, and names in it pass to others. A repository's id
//! stays with it through renames and transfers and is never given again. So a repository that was deleted and made anew
//! under its old name, and a fork, are strangers.

use std::collections::BTreeMap;

use writ_engine::bundle::Directory;
use writ_engine::principal::{GITHUB_CLAIMS, Presence};
use writ_engine::{Principal, PrincipalId};

use super::issuer::{IssuerConfig, is_canonical};
use super::refusal::Refusal;
use super::token::Claims;

/// Claims that are ids: decimal digits in the only way a number is written.
const ID_CLAIMS: [&str; 3] = ["repository_id", "repository_owner_id", "run_id"];

/// The most digits of an id: those of the largest 64-bit number.
const ID_DIGITS_MAX: usize = 20;

/// Pull request events run code that nobody merged; no scope is given to it, whatever the policy says. The prefix covers
/// `pull_request_target`, which runs with the target's rights, and the review events.
const PULL_REQUEST: &str = "pull_request";

/// The workload of the directory a token belongs to, with the claims that policies look at.
pub(super) fn workload(
    claims: &Claims,
    config: &IssuerConfig,
    directory: &Directory,
) -> Result<Principal, Refusal> {
    let mut attributes = BTreeMap::new();
    for (claim, presence) in GITHUB_CLAIMS {
        let value = match presence {
            Presence::Always => Some(claims.text(claim)?),
            Presence::Sometimes => claims.optional_text(claim)?,
        };
        let Some(value) = value else { continue };
        if !is_canonical(value) || (ID_CLAIMS.contains(&claim) && !is_id(value)) {
            return Err(Refusal::Stranger("a claim that is not in its plain form"));
        }
        attributes.insert(claim.to_owned(), value.to_owned());
    }
    if claims.text("event_name")?.starts_with(PULL_REQUEST) {
        return Err(Refusal::Stranger("a job of a pull request"));
    }
    let unknown = Refusal::Stranger("not a workload of the directory");
    // The directory may not turn a job into a person: the token proves a repository, not a human.
    let Some(PrincipalId::Workload(id)) =
        directory.principal_of(&config.name, claims.text("repository_id")?)
    else {
        return Err(unknown);
    };
    let workload = directory.workload(id).ok_or(unknown)?;
    for (claim, value) in &workload.pinned {
        if claims.text(claim)? != value {
            return Err(Refusal::Stranger("a pinned claim is another"));
        }
    }
    Ok(Principal::workload(id.clone(), attributes))
}

fn is_id(text: &str) -> bool {
    text.len() <= ID_DIGITS_MAX
        && text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0')
}
