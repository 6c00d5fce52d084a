//! `writ extend`: asks for a longer window while it is open.

use writ_api::v1;
use writ_api::v1::request::State;
use writ_engine::Duration;

use super::show;
use crate::asking;
use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::{self, document};
use crate::exit::{self, Exit};
use crate::explain::Asked;
use crate::failure::Failure;
use crate::screen::Paint;
use crate::story::{self, extension};

/// Ask for a longer window while it is open, and wait until people have decided
///
/// The window goes on meanwhile, and whatever is decided nothing of it is lost. Where it becomes longer, `writ credentials`
/// renews past its old end. A new wish takes the place of one that still waits.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("length").required(true).args(["by", "duration"])))]
pub(crate) struct Args {
    /// The request's id, or its end
    id: String,
    /// How much longer: `30m` makes a window of 1h one of 1h30m
    #[arg(long, value_name = "DURATION")]
    by: Option<Duration>,
    /// How long the whole window is to be, from its opening
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<Duration>,
    /// Why, for the approvers and the record
    #[arg(long)]
    reason: String,
    /// Wait until it is decided (the default)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Answer at once; exit code 7 while approvals are missing
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
    /// Wait no longer than this; exit code 6
    #[arg(long, value_name = "DURATION", conflicts_with = "no_wait")]
    timeout: Option<Duration>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let (id, whole) = match (args.duration, args.by) {
        (Some(whole), _) => (show::whole(&args.id), whole),
        (None, Some(by)) => {
            let request = show::get(context, &args.id).await?;
            let whole = longer(&request, by)?;
            (request.id, whole)
        }
        (None, None) => return Err(Failure::usage("there is neither `--by` nor `--for`")),
    };
    let asked = Asked {
        verb: "extend",
        what: id.clone(),
        duration: whole,
        reason: Some(args.reason.clone()),
        ticket: None,
        break_glass: false,
    };
    let client = context.connect().await?;
    let call = v1::ExtendRequestRequest {
        id,
        duration: Some(clock::on_the_wire(whole)),
        reason: args.reason,
    };
    let answer = answer(client.requests().extend_request(call)).await;
    let answer = answer.map_err(|failure| failure.asked(&asked))?;
    let request = promised(answer.request, "request")?;
    let wish = Wish {
        whole,
        digest: request.extension.as_ref().map(|it| it.digest.clone()),
    };
    let request = match args.no_wait {
        true => {
            if !context.json() {
                context.say(&story::status(context.err, &request));
            }
            request
        }
        false => {
            let id = request.id.clone();
            let left = left(&id);
            let is_over = |it: &v1::Request| wish.stands(it) != Stands::Waits;
            match asking::wait_for(context, request, args.timeout, &left, is_over).await {
                Ok(request) => request,
                Err(failure) => {
                    asking::print_as_it_is(context, &id).await;
                    return Err(failure);
                }
            }
        }
    };
    if context.json() {
        context.print_json(&document("request", document::request(&request)))?;
    }
    match wish.stands(&request) {
        Stands::Longer => Ok(Exit::Done),
        Stands::Waits => Ok(Exit::Pending),
        Stands::Refused | Stands::Replaced | Stands::Ended => Err(wish.failure(&request)),
    }
}

/// The whole window, so much longer than it is now.
fn longer(request: &v1::Request, by: Duration) -> Result<Duration, Failure> {
    let now = match &request.state {
        Some(State::Active(active)) => active.window.as_ref().and_then(extension::whole),
        Some(_) | None => None,
    };
    let Some(now) = now else {
        return Err(Failure::new(
            Exit::Ended,
            "wrong_state",
            format!(
                "only an open window is extended: {}",
                story::status(Paint::Plain, request)
            ),
        ));
    };
    Duration::from_s(now.as_s().saturating_add(by.as_s())).map_err(|_| {
        Failure::usage(format!(
            "the window lasts {now}, and {by} more would be longer than any may be, 12h"
        ))
        .hint("`writ request` asks for a new window")
    })
}

/// The wish for a longer window.
struct Wish {
    /// How long it is to be in all.
    whole: Duration,
    /// What an approval of it consents to; `None` where the policy said yes at once.
    digest: Option<String>,
}

/// Where a wish stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// The window is as long now.
    Longer,
    /// It waits for people.
    Waits,
    /// A person said no; the window there is goes on.
    Refused,
    /// A later wish took its place.
    Replaced,
    /// The request has ended.
    Ended,
}

impl Wish {
    fn stands(&self, request: &v1::Request) -> Stands {
        let whole = extension::window(request).and_then(extension::whole);
        let pending = request.extension.as_ref().map(|it| &it.digest);
        match (&request.state, whole, pending) {
            (Some(State::Active(_)), Some(whole), _) if whole >= self.whole => Stands::Longer,
            (Some(State::Active(_)), _, Some(digest)) if Some(digest) == self.digest.as_ref() => {
                Stands::Waits
            }
            (Some(State::Active(_)), _, Some(_)) => Stands::Replaced,
            (Some(State::Active(_)), _, None) => Stands::Refused,
            (Some(_) | None, _, _) => Stands::Ended,
        }
    }

    /// Why the window is not as long.
    fn failure(&self, request: &v1::Request) -> Failure {
        let id = story::short(&request.id);
        let status = story::status(Paint::Plain, request);
        match self.stands(request) {
            Stands::Refused => Failure::new(
                Exit::Denied,
                "denied",
                format!(
                    "a person said no to the longer window; the one there is goes on: {status}"
                ),
            )
            .hint(format!(
                "`writ journal list --request {id}` says who, and why"
            )),
            Stands::Replaced => Failure::new(
                Exit::Ended,
                "replaced",
                format!("a later wish took the place of this one: {status}"),
            ),
            Stands::Longer | Stands::Waits | Stands::Ended => {
                let exit = match exit::of_state(request.state.as_ref()) {
                    Exit::Done => Exit::Ended,
                    exit => exit,
                };
                Failure::new(exit, "ended", status)
            }
        }
    }
}

fn left(id: &str) -> String {
    let id = story::short(id);
    format!("the window there is goes on, and the wish stays: see it with `writ show {id}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    fn active(length_s: i64, pending: Option<&str>) -> v1::Request {
        v1::Request {
            state: Some(State::Active(v1::ActiveState {
                window: Some(v1::Window {
                    opens_at: at(1_000),
                    closes_at: at(1_000 + length_s),
                }),
                live_sessions: 1,
            })),
            extension: pending.map(|digest| v1::Extension {
                digest: digest.to_owned(),
                ..v1::Extension::default()
            }),
            ..v1::Request::default()
        }
    }

    fn released() -> v1::Request {
        v1::Request {
            state: Some(State::Released(v1::ReleasedState::default())),
            ..v1::Request::default()
        }
    }

    #[test]
    fn a_wish_stands_where_the_request_says() {
        let wish = Wish {
            whole: Duration::from_s(7_200).unwrap(),
            digest: Some("ours".to_owned()),
        };
        for (request, stands) in [
            (active(7_200, None), Stands::Longer),
            (active(7_200, Some("later")), Stands::Longer),
            (active(3_600, Some("ours")), Stands::Waits),
            (active(3_600, Some("later")), Stands::Replaced),
            (active(3_600, None), Stands::Refused),
            (released(), Stands::Ended),
            (v1::Request::default(), Stands::Ended),
        ] {
            assert_eq!(wish.stands(&request), stands, "{request:?}");
        }
    }

    #[test]
    fn so_much_longer_is_told_as_a_whole_window() {
        let minutes = |m: u32| Duration::from_s(m * 60).unwrap();
        let whole = longer(&active(3_600, None), minutes(30)).unwrap();
        assert_eq!(whole, minutes(90));
        let too_long = longer(&active(39_600, None), minutes(61)).unwrap_err();
        assert_eq!(too_long.exit.code(), 2);
        let ended = longer(&released(), minutes(30)).unwrap_err();
        assert_eq!(ended.exit.code(), 8);
    }
}
