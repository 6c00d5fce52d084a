//! Break-glass in words: that it is one, who was told, and the post-review it leaves.

use writ_api::v1;
use writ_api::v1::break_glass::Announcement;
use writ_api::v1::request::State;
use writ_engine::Moment;

use crate::clock::{ahead, behind, moment, to_the_second};
use crate::screen::{escape, names};

/// Stands in every view of an emergency.
pub(crate) const MARK: &str = "[BREAK-GLASS]";

/// What an emergency owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Debt<'a> {
    /// Nothing yet: it was not used.
    None,
    /// Nothing, for it ended unused.
    Never,
    /// A post-review, by this moment.
    Owed(Option<&'a prost_types::Timestamp>),
    /// Nothing any more: somebody closed it.
    Closed(&'a str),
}

fn debt<'a>(request: &'a v1::Request, it: &'a v1::BreakGlass) -> Debt<'a> {
    match (&it.reviewer, &it.review_by, &request.state) {
        (Some(reviewer), _, _) => Debt::Closed(reviewer),
        (None, Some(_), _) => Debt::Owed(it.review_by.as_ref()),
        (None, None, Some(State::Pending(_) | State::Approved(_) | State::Active(_)) | None) => {
            Debt::None
        }
        (
            None,
            None,
            Some(
                State::Expired(_)
                | State::Denied(_)
                | State::Withdrawn(_)
                | State::Lapsed(_)
                | State::Released(_)
                | State::Revoked(_),
            ),
        ) => Debt::Never,
    }
}

/// The debt, to stand behind a request's state; empty for what is no emergency.
pub(super) fn in_status(request: &v1::Request, id: &str) -> String {
    let Some(it) = &request.break_glass else {
        return String::new();
    };
    match debt(request, it) {
        Debt::None => "; a post-review is owed from its first use on".to_owned(),
        Debt::Never => "; it was not used, so no post-review is owed".to_owned(),
        Debt::Owed(by) => {
            let close = match request.state {
                Some(State::Active(_)) => String::new(),
                Some(_) | None => format!(": `writ review {id} --finding …`"),
            };
            format!("; a post-review is owed by {}{close}", to_the_second(by))
        }
        Debt::Closed(reviewer) => format!("; reviewed by {}", escape(reviewer)),
    }
}

/// The debt in a list's cell.
pub(super) fn in_short(request: &v1::Request, now: Moment) -> Option<String> {
    match debt(request, request.break_glass.as_ref()?) {
        Debt::None | Debt::Never | Debt::Closed(_) => None,
        Debt::Owed(by) if is_over(by, now) => {
            Some(format!("review OVERDUE by {}", behind(now, by)))
        }
        Debt::Owed(by) => Some(format!("review in {}", ahead(now, by))),
    }
}

/// What whoever uses it is to know at once; nothing for what is no emergency.
pub(crate) fn announcement(request: &v1::Request) -> Option<String> {
    let it = request.break_glass.as_ref()?;
    let id = super::short(&request.id);
    let told = told(it);
    let verb = match it.announcement() {
        Announcement::Taken | Announcement::Unspecified => "told",
        Announcement::Waiting => "to be told",
        Announcement::NotPossible => "not told",
    };
    let head = MARK;
    Some(match debt(request, it) {
        Debt::None => format!(
            "{head} {verb} at once: {told}; once you use it a post-review is owed, by somebody else and with a deadline"
        ),
        Debt::Owed(by) => format!(
            "{head} {verb}: {told}; somebody else has to close its post-review by {}, with `writ review {id} --finding …`",
            to_the_second(by)
        ),
        Debt::Never | Debt::Closed(_) => return None,
    })
}

/// Who is to be told, and whether they were.
fn told(it: &v1::BreakGlass) -> String {
    let who = match it.announced_to.is_empty() {
        true => "nobody: the scope names nobody to tell".to_owned(),
        false => names(&it.announced_to),
    };
    match it.announcement() {
        Announcement::Unspecified => who,
        Announcement::Taken => {
            format!("{who} (at {})", to_the_second(it.announced_at.as_ref()))
        }
        Announcement::Waiting => format!("{who} (not yet: the notice is not taken)"),
        Announcement::NotPossible => {
            format!("{who} (the broker gives no notices: they see it when they look)")
        }
    }
}

/// The fields of the whole view.
pub(super) fn fields(
    request: &v1::Request,
    it: &v1::BreakGlass,
    now: Moment,
) -> Vec<(&'static str, String)> {
    let mut fields = vec![("told", told(it))];
    let review = match debt(request, it) {
        Debt::None => "owed from the first use on, by somebody else".to_owned(),
        Debt::Never => "none is owed: it was not used".to_owned(),
        Debt::Owed(by) if is_over(by, now) => format!(
            "OVERDUE since {}, for {}",
            to_the_second(by),
            behind(now, by)
        ),
        Debt::Owed(by) => format!("owed by {}, in {}", to_the_second(by), ahead(now, by)),
        Debt::Closed(reviewer) => format!(
            "closed by {}, {}",
            escape(reviewer),
            to_the_second(it.reviewed_at.as_ref())
        ),
    };
    fields.push(("review", review));
    if it.reviewer.is_some() {
        fields.push(("finding", super::text_or_erased(&it.finding)));
    }
    fields
}

fn is_over(by: Option<&prost_types::Timestamp>, now: Moment) -> bool {
    moment(by).is_some_and(|by| by <= now)
}
