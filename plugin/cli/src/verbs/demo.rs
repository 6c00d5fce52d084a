//! `writ demo`: the whole story in half a minute, every step of it real.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use writ_api::client::{Client, Token};
use writ_api::problem::Reason;
use writ_api::v1;
use writ_api::v1::decision::Outcome;
use writ_api::v1::denial::Why;
use writ_api::v1::request::State;
use writ_broker::journal::VerifyingKey;
use writ_broker::journal::verify::{Depth, verify};
use writ_sandbox::{Credentials, Sandbox, Session};

use crate::clock;
use crate::context::{Context, answer, promised};
use crate::document::state_name;
use crate::exit::Exit;
use crate::explain::{self, Asked};
use crate::failure::Failure;
use crate::screen::Paint;
use crate::story;
use crate::world::{Ports, World};

/// The short window of the fourth step, in seconds: long enough to be used, short enough to be waited for.
const SHORT_WINDOW_S: u32 = 20;

/// How long before its end the short window is used once more, in milliseconds.
const JUST_BEFORE_MS: i64 = 2_000;

/// What the deploying job may touch, and what anyone would like to touch.
const SERVICE: &str = "arn:aws:ecs:eu-west-1:123456789012:service/payments/api";

/// Watch the whole story, really happening on this machine: a deploy, a refusal, an approval, a window that ends, a record
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(context: &Context, _args: Args) -> Result<Exit, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("writ-demo-")
        .tempdir()
        .map_err(|error| Failure::error(format!("cannot make a temporary folder: {error}")))?;
    let stage = Stage {
        world: World::start(folder.path(), Ports::Any).await?,
        paint: context.out,
        began: Instant::now(),
    };
    stage.opening()?;
    stage.a_job_deploys().await?;
    stage.the_same_job_from_another_branch().await?;
    stage.an_engineer_asks_and_her_manager_agrees().await?;
    stage.a_window_ends_on_the_second().await?;
    stage.the_record_is_proven().await?;
    Ok(Exit::Done)
}

struct Stage {
    world: World,
    paint: Paint,
    began: Instant,
}

impl Stage {
    fn opening(&self) -> Result<(), Failure> {
        print(&format!(
            "On this machine now run a Writ broker ({}) with the shipped policies, an identity provider,\n\
             a CI system's token issuer, and a strict stand-in for AWS STS. Nothing leaves the machine.\n",
            self.world.address()
        ))
    }

    fn title(&self, title: &str) -> Result<(), Failure> {
        print(&format!("\n{}\n", self.paint.strong(title)))
    }

    /// One line of the timeline.
    fn tell(&self, text: &str) -> Result<(), Failure> {
        let time = format!("{:>5.1}s", self.began.elapsed().as_secs_f64());
        print(&format!("{}  {text}\n", self.paint.faint(&time)))
    }

    /// Lines that belong to the one above.
    fn detail(&self, text: &str) -> Result<(), Failure> {
        let lines: String = text
            .lines()
            .map(|line| format!("          {line}\n"))
            .collect();
        print(&lines)
    }

    async fn as_person(&self, name: &str) -> Result<Client, Failure> {
        self.connected(&self.world.person_token(name)?).await
    }

    async fn as_job_on(&self, branch: &str) -> Result<Client, Failure> {
        self.connected(&self.world.job_token(branch)?).await
    }

    async fn connected(&self, token: &str) -> Result<Client, Failure> {
        let address = self
            .world
            .address()
            .parse()
            .map_err(|error| Failure::error(format!("{error}")))?;
        let token = Token::new(token).map_err(|error| Failure::error(error.to_string()))?;
        Client::connect(&address, Some(&token), None)
            .await
            .map_err(|error| Failure::error(error.to_string()))
    }

    async fn a_job_deploys(&self) -> Result<(), Failure> {
        self.title("1. A CI job deploys")?;
        let job = self.as_job_on("main").await?;
        let asked = asked("payments-deploy", 900, "deploy 4f1c2ab")?;
        self.tell("the job of acme/payments on `main` asks for `payments-deploy` for 15m")?;
        let request = ask(&job, &asked).await?;
        expect(
            matches!(request.state, Some(State::Approved(_))),
            "it is approved at once",
            state_name(request.state.as_ref()),
        )?;
        self.tell(&self.paint.good("allowed at once: no person has to agree"))?;
        let issued = issue(&job, &request.id).await?;
        self.tell(&format!(
            "session credentials until {}, of {}",
            expiry(&issued),
            issued.role_arn
        ))?;
        self.uses(&issued, "ecs", "UpdateService", SERVICE, Use::LetThrough)
            .await?;
        // What the scope does not name is not in the session, whatever the role could do.
        self.uses(&issued, "ecs", "DeleteService", SERVICE, Use::Refused)
            .await
    }

    async fn the_same_job_from_another_branch(&self) -> Result<(), Failure> {
        self.title("2. The same job, from another branch")?;
        let job = self.as_job_on("try").await?;
        let asked = asked("payments-deploy", 900, "deploy my branch")?;
        self.tell("the job of acme/payments on `try` asks for `payments-deploy` for 15m")?;
        let Err(refused) = job.requests().create_request(wish(&asked)).await else {
            return Err(unexpected("it is refused", "a request"));
        };
        let problem = writ_api::problem::Problem::from_status(&refused);
        expect(
            problem.reason == Some(Reason::RefusedByPolicy),
            "it is refused by policy",
            &format!("{:?}: {}", problem.reason, problem.message),
        )?;
        let denial = promised(problem.denial, "denial")?;
        let named = denial.findings.iter().any(|finding| {
            let condition = finding
                .conditions
                .iter()
                .any(|it| it.text.contains("refs/heads/main"));
            let place = finding
                .policy
                .as_ref()
                .is_some_and(|it| it.file == "access.cedar" && it.line > 0);
            condition && place
        });
        let text = explain::denial(self.paint, &denial, Some(&asked));
        expect(
            denial.why() == Why::Unmet && named,
            "the denial names the policy's place and the condition on the branch",
            &text,
        )?;
        self.tell(&self.paint.bad("refused"))?;
        self.detail(&text)
    }

    async fn an_engineer_asks_and_her_manager_agrees(&self) -> Result<(), Failure> {
        self.title("3. An engineer asks, her manager agrees")?;
        let mia = self.as_person("mia").await?;
        let pat = self.as_person("pat").await?;
        let asked = asked("prod-db-read", 2_700, "INC-42: which payments hang?")?;
        self.tell("mia asks for `prod-db-read` for 45m: \"INC-42: which payments hang?\"")?;
        let request = ask(&mia, &asked).await?;
        let needs = match &request.state {
            Some(State::Pending(pending)) => match pending.decision.as_ref() {
                Some(v1::Decision {
                    outcome: Some(Outcome::NeedsApproval(needs)),
                }) => needs.clone(),
                _ => return Err(unexpected("it says what is missing", "nothing")),
            },
            state => return Err(unexpected("it needs approval", state_name(state.as_ref()))),
        };
        let by_pat = needs.ways.iter().any(|way| {
            let pat = |need: &v1::Need| {
                need.kind == "manager" && need.people.iter().any(|name| name == "pat")
            };
            way.feasible && way.needs.iter().any(pat)
        });
        expect(
            by_pat,
            "her manager pat could approve",
            &explain::ways(&needs.ways),
        )?;
        self.tell(&format!(
            "{}: {}",
            self.paint.waiting("needs approval"),
            explain::ways(&needs.ways)
        ))?;

        let own = v1::ApproveRequestRequest {
            id: request.id.clone(),
            ..v1::ApproveRequestRequest::default()
        };
        let refused = mia.requests().approve_request(own).await;
        let refused = refused.err().map(|status| status.code());
        expect(
            refused == Some(tonic::Code::PermissionDenied),
            "mia cannot approve her own request",
            &format!("{refused:?}"),
        )?;
        self.tell("mia cannot approve it herself")?;

        let waiting = v1::ListRequestsRequest {
            filter: v1::RequestFilter::ToApprove as i32,
            ..v1::ListRequestsRequest::default()
        };
        let waiting = answer(pat.requests().list_requests(waiting))
            .await?
            .requests;
        let seen = promised(
            waiting.into_iter().find(|it| it.id == request.id),
            "the request among those that wait for pat",
        )?;
        let approval = v1::ApproveRequestRequest {
            id: seen.id.clone(),
            digest: Some(seen.digest),
            ..v1::ApproveRequestRequest::default()
        };
        let approved = answer(pat.requests().approve_request(approval)).await?;
        let approved = promised(approved.request, "request")?;
        expect(
            matches!(approved.state, Some(State::Approved(_))),
            "it is approved",
            state_name(approved.state.as_ref()),
        )?;
        self.tell(&format!(
            "pat sees it and {} exactly this request; the window is not open yet",
            self.paint.good("approves")
        ))?;

        let issued = issue(&mia, &request.id).await?;
        let window = open_window(&issued)?;
        self.tell(&format!(
            "mia takes her first credentials, and the window opens: {} to {}",
            clock::to_the_second(window.opens_at.as_ref()),
            clock::to_the_second(window.closes_at.as_ref())
        ))?;
        self.uses(&issued, "rds", "DescribeDBInstances", "*", Use::LetThrough)
            .await?;
        self.uses(&issued, "rds", "DeleteDBInstance", "*", Use::Refused)
            .await?;
        let release = v1::ReleaseRequestRequest {
            id: request.id.clone(),
        };
        let released = answer(mia.requests().release_request(release)).await?;
        let released = promised(released.request, "request")?;
        expect(
            matches!(released.state, Some(State::Released(_))),
            "the rest of the window is given back",
            state_name(released.state.as_ref()),
        )?;
        self.tell("mia is done and gives the rest of the window back")
    }

    async fn a_window_ends_on_the_second(&self) -> Result<(), Failure> {
        self.title("4. A window ends on the second, at AWS")?;
        let sam = self.as_person("sam").await?;
        let asked = asked("prod-db-read", SHORT_WINDOW_S, "paged: is it up?")?;
        self.tell("sam, on call, asks for `prod-db-read` for 20s and gets it at once")?;
        let request = ask(&sam, &asked).await?;
        let issued = issue(&sam, &request.id).await?;
        let window = open_window(&issued)?;
        let closes_at = promised(clock::moment(window.closes_at.as_ref()), "closes_at")?;
        self.uses(&issued, "rds", "DescribeDBInstances", "*", Use::LetThrough)
            .await?;
        let sts_end = self.end_at_sts(&issued)?;
        expect(
            sts_end > closes_at,
            "the STS session itself would outlive the window",
            &sts_end.to_string(),
        )?;
        self.tell(&format!(
            "STS makes no session under 15m: this one would live until {sts_end}"
        ))?;
        self.count_down(closes_at, JUST_BEFORE_MS).await?;
        self.uses(&issued, "rds", "DescribeDBInstances", "*", Use::LetThrough)
            .await?;
        self.count_down(closes_at, 0).await?;
        self.uses(&issued, "rds", "DescribeDBInstances", "*", Use::Refused)
            .await?;
        self.tell(&format!(
            "the window closed at {closes_at}; the session policy sealed into the session says so"
        ))?;
        let again = sam
            .requests()
            .issue_credentials(v1::IssueCredentialsRequest { id: request.id })
            .await;
        expect(
            again.is_err(),
            "nothing more is issued after the window",
            "credentials",
        )?;
        self.tell("and the broker issues nothing more for it")
    }

    /// When the stand-in for STS would end the session by itself.
    fn end_at_sts(
        &self,
        issued: &v1::IssueCredentialsResponse,
    ) -> Result<writ_engine::Moment, Failure> {
        let key = promised(issued.credentials.as_ref(), "credentials")?
            .access_key_id
            .clone();
        let session = self
            .world
            .sandbox()
            .live_sessions()
            .into_iter()
            .find(|session| session.access_key_id == key);
        let expires_at = promised(session, "the session at the STS")?.expires_at;
        promised(
            writ_engine::Moment::from_ms(expires_at.as_millisecond()),
            "expires_at",
        )
    }

    /// Waits until `before_ms` milliseconds before `moment`; on a terminal, one line counts the seconds down.
    async fn count_down(&self, moment: writ_engine::Moment, before_ms: i64) -> Result<(), Failure> {
        let live = std::io::stdout().is_terminal();
        loop {
            let left_ms = moment.since_ms(clock::now());
            if left_ms <= before_ms {
                break;
            }
            if live {
                let left_s = (left_ms + 999) / 1_000;
                print(&format!("\r        {left_s:>3}s left in the window "))?;
            }
            let step_ms = (left_ms - before_ms).min(if live { 250 } else { left_ms });
            let step_ms = u64::try_from(step_ms).unwrap_or(1).max(1);
            tokio::time::sleep(Duration::from_millis(step_ms)).await;
        }
        if live {
            print("\r\u{1b}[K")?;
        }
        Ok(())
    }

    async fn the_record_is_proven(self) -> Result<(), Failure> {
        self.title("5. The record is proven")?;
        let audrey = self.as_person("audrey").await?;
        let head = answer(audrey.journal().get_checkpoint(v1::GetCheckpointRequest {})).await?;
        let key: VerifyingKey = head
            .verifying_key
            .parse()
            .map_err(|error| Failure::error(format!("{error}")))?;
        let events = v1::ListEventsRequest {
            page_size: 500,
            ..v1::ListEventsRequest::default()
        };
        let events = answer(audrey.journal().list_events(events)).await?.events;
        self.tell("audrey, an auditor, reads the journal and keeps its signed checkpoint:")?;
        for event in &events {
            self.detail(&super::journal::line(self.paint, event))?;
        }

        let path = self.world.journal();
        let copy = self.world.folder().join("copy.db");
        let (paint, began) = (self.paint, self.began);
        let tell = |text: &str| {
            let time = format!("{:>5.1}s", began.elapsed().as_secs_f64());
            print(&format!("{}  {text}\n", paint.faint(&time)))
        };
        self.world.stop().await?;
        let verified = verify(&path, &key, Some(&head.note), Depth::Meaning)
            .map_err(|damage| unexpected("the journal verifies", &damage.to_string()))?;
        tell(&format!(
            "the broker is stopped; offline, with its public key: {}",
            paint.good(&format!("{} events verified", verified.events))
        ))?;
        flip_a_byte(&path, &copy)?;
        match verify(&copy, &key, Some(&head.note), Depth::Meaning) {
            Ok(_) => Err(unexpected("the flipped byte is found", "nothing found")),
            Err(damage) => tell(&format!(
                "in a copy one byte is flipped: {}",
                paint.bad(&damage.to_string())
            )),
        }?;
        print("\nThe same world, to play with: `writ dev`.\n")
    }

    /// Uses credentials at the stand-in for AWS.
    async fn uses(
        &self,
        issued: &v1::IssueCredentialsResponse,
        service: &str,
        action: &str,
        resource: &str,
        expected: Use,
    ) -> Result<(), Failure> {
        let result = call(self.world.sandbox(), issued, service, action, resource).await?;
        let code = result.unwrap_or_default();
        let (good, wanted) = match expected {
            Use::LetThrough => (code.is_empty(), "is let through"),
            Use::Refused => (code == "AccessDenied", "is refused with AccessDenied"),
        };
        let what = format!("{service}:{action}");
        let got = match code.is_empty() {
            true => "let through",
            false => code.as_str(),
        };
        expect(good, &format!("{what} {wanted}"), got)?;
        self.tell(&match expected {
            Use::LetThrough => format!("{what} → {}", self.paint.good("let through")),
            Use::Refused => format!("{what} → {}", self.paint.bad(&code)),
        })
    }
}

/// What is expected of a call.
#[derive(Clone, Copy)]
enum Use {
    LetThrough,
    Refused,
}

/// One signed call; the error code, or `None` when it was let through.
async fn call(
    sandbox: &Sandbox,
    issued: &v1::IssueCredentialsResponse,
    service: &str,
    action: &str,
    resource: &str,
) -> Result<Option<String>, Failure> {
    let credentials = promised(issued.credentials.as_ref(), "credentials")?;
    let session = Session::new(
        Credentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            Some(&credentials.session_token),
        ),
        &issued.region,
    );
    let result = session
        .call_on(&sandbox.endpoint_url(), service, action, resource)
        .await
        .map_err(|error| Failure::error(format!("the stand-in for AWS: {error}")))?;
    Ok(match result.allowed() {
        true => None,
        false => Some(result.code.unwrap_or_else(|| result.status.to_string())),
    })
}

fn asked(scope: &str, seconds: u32, reason: &str) -> Result<Asked, Failure> {
    Ok(Asked {
        verb: "request",
        what: scope.to_owned(),
        duration: writ_engine::Duration::from_s(seconds)
            .map_err(|error| Failure::error(error.to_string()))?,
        reason: Some(reason.to_owned()),
        ticket: None,
        break_glass: false,
    })
}

fn wish(asked: &Asked) -> v1::CreateRequestRequest {
    v1::CreateRequestRequest {
        scope: asked.what.clone(),
        duration: Some(clock::on_the_wire(asked.duration)),
        reason: asked.reason.clone().unwrap_or_default(),
        ..Default::default()
    }
}

async fn ask(client: &Client, asked: &Asked) -> Result<v1::Request, Failure> {
    let created = answer(client.requests().create_request(wish(asked)))
        .await
        .map_err(|failure| failure.asked(asked))?;
    promised(created.request, "request")
}

async fn issue(client: &Client, id: &str) -> Result<v1::IssueCredentialsResponse, Failure> {
    let call = v1::IssueCredentialsRequest { id: id.to_owned() };
    answer(client.requests().issue_credentials(call)).await
}

fn open_window(issued: &v1::IssueCredentialsResponse) -> Result<v1::Window, Failure> {
    let request = promised(issued.request.as_ref(), "request")?;
    match &request.state {
        Some(State::Active(active)) => promised(active.window, "window"),
        _ => Err(unexpected(
            "the window is open",
            &story::status(Paint::Plain, request),
        )),
    }
}

fn expiry(issued: &v1::IssueCredentialsResponse) -> String {
    let credentials = issued.credentials.as_ref();
    clock::to_the_second(credentials.and_then(|it| it.expires_at.as_ref()))
}

/// Copies the journal with one bit of one event changed: a `d` of a scope's name.
fn flip_a_byte(journal: &std::path::Path, copy: &std::path::Path) -> Result<(), Failure> {
    let cannot =
        |error: std::io::Error| Failure::error(format!("cannot copy the journal: {error}"));
    let mut bytes = std::fs::read(journal).map_err(cannot)?;
    let mark = b"\"scope\":\"prod-db-read\"";
    let place = bytes.windows(mark.len()).position(|window| window == mark);
    let place = promised(place, "an event about `prod-db-read`")?;
    if let Some(byte) = bytes.get_mut(place + mark.len() - 2) {
        *byte ^= 1;
    }
    std::fs::write(copy, bytes).map_err(cannot)
}

fn expect(good: bool, expected: &str, got: &str) -> Result<(), Failure> {
    match good {
        true => Ok(()),
        false => Err(unexpected(expected, got)),
    }
}

fn unexpected(expected: &str, got: &str) -> Failure {
    Failure::new(
        Exit::Error,
        "demo_failed",
        format!("expected: {expected}\ngot: {got}"),
    )
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::error(format!("cannot write to stdout: {error}")))
}
