//! What becomes of a request when this process is done with it: one table.

use writ_api::v1;
use writ_api::v1::request::State;

/// What happened to the last of those who used the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened {
    /// Terraform closed it: nothing in this plan or apply needs it any more.
    Closed,
    /// The run failed: Terraform ended the provider without closing it, or the credentials could not be had.
    Failed,
    /// The run was broken off: Ctrl-C, SIGTERM, or Terraform is gone.
    BrokenOff,
    /// This run cannot use it: nobody approved it in time, or too little of its window is left.
    Useless,
}

/// Where an open request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not approved yet.
    Pending,
    /// Approved; its window has not opened.
    Approved,
    /// Its window is open.
    Active,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Take the request back.
    Withdraw,
    /// Give the rest of the window back.
    Release,
    /// Leave it for the apply of the same run; the broker takes it back when none comes.
    Linger,
}

/// The table of endings.
///
/// What nobody has approved is taken back, always. A window is kept for the apply of the same run only where one may come:
/// after a plan, or what failed and may be tried again, when nobody said that this was the apply.
pub(crate) fn ending(happened: Happened, standing: Standing, applying: bool) -> Ending {
    let give_back = match standing {
        Standing::Pending => return Ending::Withdraw,
        Standing::Approved => Ending::Withdraw,
        Standing::Active => Ending::Release,
    };
    match (happened, applying) {
        (Happened::Closed | Happened::Failed, false) => Ending::Linger,
        (Happened::Closed | Happened::Failed, true)
        | (Happened::BrokenOff | Happened::Useless, _) => give_back,
    }
}

/// Where a request stands; `None` once it has ended.
pub(crate) fn standing(request: &v1::Request) -> Option<Standing> {
    match request.state.as_ref()? {
        State::Pending(_) => Some(Standing::Pending),
        State::Approved(_) => Some(Standing::Approved),
        State::Active(_) => Some(Standing::Active),
        State::Expired(_)
        | State::Denied(_)
        | State::Withdrawn(_)
        | State::Lapsed(_)
        | State::Released(_)
        | State::Revoked(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Ending::{Linger, Release, Withdraw};
    use super::Happened::{BrokenOff, Closed, Failed, Useless};
    use super::Standing::{Active, Approved, Pending};
    use super::*;

    #[test]
    fn every_ending_is_in_the_table() {
        let table = [
            // happened, standing, without `applying`, with it
            (Closed, Pending, Withdraw, Withdraw),
            (Closed, Approved, Linger, Withdraw),
            (Closed, Active, Linger, Release),
            (Failed, Pending, Withdraw, Withdraw),
            (Failed, Approved, Linger, Withdraw),
            (Failed, Active, Linger, Release),
            (BrokenOff, Pending, Withdraw, Withdraw),
            (BrokenOff, Approved, Withdraw, Withdraw),
            (BrokenOff, Active, Release, Release),
            (Useless, Pending, Withdraw, Withdraw),
            (Useless, Approved, Withdraw, Withdraw),
            (Useless, Active, Release, Release),
        ];
        for (happened, standing, planning, applying) in table {
            assert_eq!(
                ending(happened, standing, false),
                planning,
                "{happened:?} {standing:?}"
            );
            assert_eq!(
                ending(happened, standing, true),
                applying,
                "{happened:?} {standing:?} applying"
            );
        }
    }
}
