//! `writ credentials`: session credentials of a request, in the form that another program reads.

mod kept;

use serde_json::json;
use writ_api::v1;
use writ_api::v1::request::State;
use writ_engine::Duration;

use super::{requests, show};
use crate::asking;
use crate::clock;
use crate::context::{Context, promised};
use crate::document::{self, document};
use crate::exit::Exit;
use crate::explain::Asked;
use crate::failure::Failure;
use crate::screen::shell_word;
use crate::story;
use kept::Kept;

/// How many of one's newest requests are looked through for one of the scope: two pages.
const LOOKED_THROUGH_MAX: usize = 100;

/// Print session credentials of an approved request (the first time opens its window)
///
/// With `--format process` this is AWS's `credential_process`: one JSON object on stdout, or one line on stderr.
/// In ~/.aws/config:
///
///   [profile prod-db]
///   credential_process = writ credentials prod-db-read --format process
///
/// AWS's programs ask at each start, and a grant has few live sessions. So for `process` the credentials given last are
/// kept in $XDG_RUNTIME_DIR/writ, which is this user's memory until they log out, and given again while the request is
/// active. Without that folder nothing is kept.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A request's id or its end, or a scope: then your newest open request for it
    #[arg(value_name = "ID|SCOPE")]
    what: String,
    /// In which form
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// For a scope without an open request: ask for this long
    #[arg(long = "for", value_name = "DURATION", requires = "reason")]
    duration: Option<Duration>,
    /// For a scope without an open request: why
    #[arg(long, requires = "duration")]
    reason: Option<String>,
    /// For a scope without an open request: the ticket
    #[arg(long, requires = "duration")]
    ticket: Option<String>,
    /// For a scope: your emergency for it, which is never taken otherwise unless you name its id
    #[arg(long)]
    break_glass: bool,
    /// Wait for approvals instead of ending with exit code 7
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this; exit code 6
    #[arg(long, value_name = "DURATION", requires = "wait")]
    timeout: Option<Duration>,
}

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// `export AWS_…=…` lines for a POSIX shell's `eval`
    #[default]
    Env,
    /// A document
    Json,
    /// AWS's `credential_process`
    Process,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let format = match context.json() {
        true if args.format == Format::Env => Format::Json,
        _ => args.format,
    };
    let outcome = issued(context, args).await;
    if format != Format::Process {
        return print(context, &outcome?, format);
    }
    // The contract leaves one line on stderr for whatever went wrong, and AWS's programs show it as it is.
    match outcome.and_then(|issued| print(context, &issued, format)) {
        Ok(exit) => Ok(exit),
        Err(failure) => {
            let failure = context.with_audience(failure);
            context.say(&failure.one_line());
            Ok(failure.exit)
        }
    }
}

async fn issued(context: &Context, args: Args) -> Result<v1::IssueCredentialsResponse, Failure> {
    let request = find(context, &args).await?;
    let request = match (&request.state, args.wait) {
        (Some(State::Pending(_)), true) => asking::wait(context, request, args.timeout).await?,
        _ => asking::usable(request)?,
    };
    if args.format != Format::Process {
        return asking::issue(context, &request.id).await;
    }
    // The broker was asked first, so what was released or has ended is not given again.
    let kept = Kept::of(&request.id);
    if let Some(credentials) = kept.as_ref().and_then(|it| it.read(&request, clock::now())) {
        return Ok(v1::IssueCredentialsResponse {
            credentials: Some(credentials),
            request: Some(request),
            ..v1::IssueCredentialsResponse::default()
        });
    }
    issue_kept(context, &request.id).await
}

/// Issues credentials that the next `--format process` gives again.
pub(super) async fn issue_kept(
    context: &Context,
    id: &str,
) -> Result<v1::IssueCredentialsResponse, Failure> {
    let issued = asking::issue(context, id).await?;
    if let (Some(kept), Some(credentials)) = (Kept::of(id), &issued.credentials) {
        kept.write(&process(credentials), clock::now());
    }
    Ok(issued)
}

/// The request that is meant: by id, or the newest open one of a scope, or a new one where enough is told for that.
async fn find(context: &Context, args: &Args) -> Result<v1::Request, Failure> {
    if is_id(&args.what) {
        return show::get(context, &args.what).await;
    }
    let (mine, _) = requests::list(context, v1::RequestFilter::Mine, LOOKED_THROUGH_MAX).await?;
    let way = |emergency| open_one(&mine, &args.what, emergency);
    if let Some(request) = way(args.break_glass) {
        return Ok(request.clone());
    }
    let (Some(duration), Some(reason)) = (args.duration, &args.reason) else {
        return Err(none_open(args, way(!args.break_glass)));
    };
    let asked = Asked {
        verb: "request",
        what: args.what.clone(),
        duration,
        reason: Some(reason.clone()),
        ticket: args.ticket.clone(),
        break_glass: args.break_glass,
    };
    asking::create(context, &asked, None).await
}

/// Ids end in capitals and digits, scopes are written in small letters; a word of small letters is never taken for an id.
fn is_id(text: &str) -> bool {
    (story::SHORT_MIN..=26).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

/// There is none; `other` is one of the other kind, ordinary or emergency, which is never taken in its place.
fn none_open(args: &Args, other: Option<&v1::Request>) -> Failure {
    let scope = shell_word(&args.what);
    let flag = if args.break_glass {
        " --break-glass"
    } else {
        ""
    };
    let (kind, hint) = match (args.break_glass, other) {
        (true, Some(ordinary)) => (
            "emergency",
            format!(
                "`{}` is an ordinary request for it: leave out `--break-glass`",
                story::short(&ordinary.id)
            ),
        ),
        (false, Some(emergency)) => (
            "ordinary request",
            format!(
                "`{}` is an emergency for it; using that leaves a post-review: say so with `--break-glass`",
                story::short(&emergency.id)
            ),
        ),
        (_, None) => (
            "open request",
            format!(
                "ask for one: `writ request {scope} --for 1h --reason …{flag}`, or give `--for` and `--reason` here"
            ),
        ),
    };
    Failure::usage(format!("you have no {kind} for `{}`", args.what)).hint(hint)
}

/// The one that is furthest: active before approved before pending; the newest of those. Emergencies, or all but those.
fn open_one<'a>(mine: &'a [v1::Request], scope: &str, emergency: bool) -> Option<&'a v1::Request> {
    let rank = |request: &v1::Request| match request.state {
        Some(State::Active(_)) => Some(0),
        Some(State::Approved(_)) => Some(1),
        Some(State::Pending(_)) => Some(2),
        Some(
            State::Expired(_)
            | State::Denied(_)
            | State::Withdrawn(_)
            | State::Lapsed(_)
            | State::Released(_)
            | State::Revoked(_),
        )
        | None => None,
    };
    mine.iter()
        .filter(|request| request.scope == scope && request.break_glass.is_some() == emergency)
        .filter_map(|request| rank(request).map(|rank| (rank, request)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, request)| request)
}

fn print(
    context: &Context,
    issued: &v1::IssueCredentialsResponse,
    format: Format,
) -> Result<Exit, Failure> {
    let credentials = promised(issued.credentials.as_ref(), "credentials")?;
    match format {
        Format::Env => context.print(&env_lines(credentials, &issued.region))?,
        Format::Json => context.print_json(&document(
            "credentials",
            document::credentials(credentials, issued),
        ))?,
        Format::Process => context.print(&format!("{}\n", process(credentials)))?,
    }
    Ok(Exit::Done)
}

/// The variables that AWS's programs read, and those that would win over them.
pub(crate) fn variables(
    credentials: &v1::Credentials,
    region: &str,
) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()),
        (
            "AWS_SECRET_ACCESS_KEY",
            credentials.secret_access_key.clone(),
        ),
        ("AWS_SESSION_TOKEN", credentials.session_token.clone()),
        (
            "AWS_CREDENTIAL_EXPIRATION",
            clock::rfc3339(credentials.expires_at.as_ref()),
        ),
    ];
    if !region.is_empty() {
        variables.push(("AWS_REGION", region.to_owned()));
        variables.push(("AWS_DEFAULT_REGION", region.to_owned()));
    }
    variables
}

/// Variables that would make AWS's programs use something else: another profile, or the token's old name.
pub(crate) const MISLEADING: [&str; 3] =
    ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SECURITY_TOKEN"];

/// The variables of [`variables`] that hold credentials: they would win over a profile.
pub(crate) const STATIC: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
];

fn env_lines(credentials: &v1::Credentials, region: &str) -> String {
    let mut text: String = variables(credentials, region)
        .iter()
        .map(|(name, value)| format!("export {name}={}\n", shell_word(value)))
        .collect();
    text.push_str(&format!("unset {}\n", MISLEADING.join(" ")));
    text
}

/// AWS's `credential_process`: without `Expiration` the credentials would never be refreshed.
fn process(credentials: &v1::Credentials) -> serde_json::Value {
    json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": clock::rfc3339(credentials.expires_at.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> v1::Credentials {
        v1::Credentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "sec/ret+".to_owned(),
            session_token: "tok'en==".to_owned(),
            expires_at: Some(prost_types::Timestamp {
                seconds: 1_795_251_600,
                nanos: 0,
            }),
            session: 1,
        }
    }

    #[test]
    fn the_process_format_is_awss_contract_to_the_letter() {
        let text = process(&credentials()).to_string();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({
                "Version": 1,
                "AccessKeyId": "ASIAEXAMPLE",
                "SecretAccessKey": "sec/ret+",
                "SessionToken": "tok'en==",
                "Expiration": "2026-11-21T09:00:00Z",
            })
        );
        assert!(!text.contains('\n'));
    }

    #[test]
    fn the_shell_lines_survive_quotes_and_remove_what_would_win_over_them() {
        assert_eq!(
            env_lines(&credentials(), "eu-west-1"),
            "export AWS_ACCESS_KEY_ID=ASIAEXAMPLE\n\
             export AWS_SECRET_ACCESS_KEY=sec/ret+\n\
             export AWS_SESSION_TOKEN='tok'\\''en=='\n\
             export AWS_CREDENTIAL_EXPIRATION=2026-11-21T09:00:00Z\n\
             export AWS_REGION=eu-west-1\n\
             export AWS_DEFAULT_REGION=eu-west-1\n\
             unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SECURITY_TOKEN\n"
        );
    }

    #[test]
    fn a_scope_is_never_taken_for_an_id() {
        for id in ["7F3K", "01KB7V3ZKQ8Y6T5R4E3W2Q7F3K"] {
            assert!(is_id(id), "{id}");
        }
        for scope in ["prod-db-read", "prod", "7f3k", "AB", ""] {
            assert!(!is_id(scope), "{scope}");
        }
    }

    #[test]
    fn a_scope_means_its_open_request_that_is_furthest() {
        let request = |id: &str, scope: &str, state| v1::Request {
            id: id.to_owned(),
            scope: scope.to_owned(),
            state: Some(state),
            ..v1::Request::default()
        };
        let mine = || {
            vec![
                request("5", "db", State::Released(v1::ReleasedState::default())),
                request("4", "db", State::Pending(v1::PendingState::default())),
                request("3", "web", State::Active(v1::ActiveState::default())),
                request("2", "db", State::Approved(v1::ApprovedState::default())),
                request("1", "db", State::Approved(v1::ApprovedState::default())),
            ]
        };
        let found = |mine: &[v1::Request], scope: &str, emergency| {
            open_one(mine, scope, emergency).map(|it| it.id.clone())
        };
        assert_eq!(found(&mine(), "db", false), Some("2".to_owned()));
        assert_eq!(found(&mine(), "dns", false), None);
        let mut ended = mine();
        ended.retain(|it| it.id == "5");
        assert_eq!(found(&ended, "db", false), None);

        // An emergency leaves a debt: it is further here, and it is not taken for the other.
        let mut emergency = request("6", "db", State::Active(v1::ActiveState::default()));
        emergency.break_glass = Some(v1::BreakGlass::default());
        let mut with_emergency = mine();
        with_emergency.push(emergency.clone());
        assert_eq!(found(&with_emergency, "db", false), Some("2".to_owned()));
        assert_eq!(found(&with_emergency, "db", true), Some("6".to_owned()));
        assert_eq!(found(&[emergency], "db", false), None);
        assert_eq!(found(&mine(), "db", true), None);
    }
}
