//! What the journal knows of a requester besides the case that is decided.

use crate::bundle::directory::Directory;
use crate::case::{Case, Review};
use crate::principal::Principal;
use crate::request::{Request, RequestId};

use super::Purpose;

/// What a requester owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Their other emergencies whose post-review is owed.
    pub open_reviews: u32,
}

impl Standing {
    /// Nothing is known: as if there were no end of what is owed, which no policy that looks at it allows.
    pub const UNKNOWN: Standing = Standing {
        open_reviews: u32::MAX,
    };

    /// What `principal` owes by `cases`, `except` for one request: also through the person's other identities, and through
    /// the workloads they answer for.
    pub fn among<'c>(
        directory: &Directory,
        principal: &Principal,
        except: Option<&RequestId>,
        cases: impl Iterator<Item = &'c Case>,
    ) -> Standing {
        let person = directory.person_once_behind(&principal.id);
        let owed = cases.filter(|case| {
            let other = case.request();
            let theirs = other.principal.id == principal.id
                || (person.is_some()
                    && directory.person_once_behind(&other.principal.id) == person);
            theirs && Some(&other.id) != except && matches!(case.review(), Review::Open { .. })
        });
        Standing {
            open_reviews: u32::try_from(owed.count()).unwrap_or(u32::MAX),
        }
    }

    /// What counts when `request` is decided: its requester's other emergencies. Of what is none no policy asks for them,
    /// and nothing is counted.
    pub fn of<'c>(
        directory: &Directory,
        request: &Request,
        cases: impl Iterator<Item = &'c Case>,
    ) -> Standing {
        match request.break_glass {
            None => Standing::UNKNOWN,
            Some(_) => Standing::among(directory, &request.principal, Some(&request.id), cases),
        }
    }

    /// What this request is for.
    pub(super) fn purpose(self, request: &Request) -> Purpose {
        match request.break_glass {
            None => Purpose::Activate,
            Some(_) => Purpose::BreakGlass {
                open_reviews: self.open_reviews,
            },
        }
    }
}
