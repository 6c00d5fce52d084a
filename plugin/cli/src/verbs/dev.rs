//! `writ dev`: keeps the demo's world running, to be played with from a second terminal.

use std::path::PathBuf;
use std::time::Duration;

use writ_broker::{logging, server};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::private::{make_folder, write};
use crate::screen::shell_word;
use crate::world::{PEOPLE, Ports, World};

/// How often tokens are made anew, in seconds: a CI job's lives five minutes.
const TOKENS_EVERY_S: u64 = 120;

/// Run a broker, a stand-in for AWS STS and token issuers on this machine, to play with from a second terminal
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where policies, journal and tokens lie; edit the policies there and see what changes
    #[arg(long, value_name = "FOLDER", default_value = ".writ-dev")]
    folder: PathBuf,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    // A broken bundle must be seen here, as it would be in a broker's log.
    logging::start(logging::Format::Terminal, tracing::Level::WARN)
        .map_err(|error| Failure::error(error.to_string()))?;
    let world = World::start(&args.folder, Ports::Usual).await?;
    write_tokens(&world)?;
    context.print(&lines(&world))?;
    let told = server::terminated();
    tokio::pin!(told);
    loop {
        tokio::select! {
            () = &mut told => break,
            () = tokio::time::sleep(Duration::from_secs(TOKENS_EVERY_S)) => write_tokens(&world)?,
        }
    }
    context.say("stopping; the journal and the policies stay");
    world.stop().await?;
    Ok(Exit::Done)
}

fn token_file(world: &World, name: &str) -> PathBuf {
    world.folder().join("tokens").join(name)
}

fn write_tokens(world: &World) -> Result<(), Failure> {
    let folder = world.folder().join("tokens");
    make_folder(&folder)?;
    for (name, _) in PEOPLE {
        write(&token_file(world, name), &world.person_token(name)?)?;
    }
    write(&token_file(world, "ci"), &world.job_token("main")?)?;
    write(&token_file(world, "ci-branch"), &world.job_token("try")?)
}

/// What to paste in a second terminal.
fn lines(world: &World) -> String {
    let token = |name: &str| shell_word(&token_file(world, name).display().to_string());
    let writ = std::env::current_exe().map_or_else(
        |_| "writ".to_owned(),
        |path| shell_word(&path.display().to_string()),
    );
    format!(
        r#"# A broker, a strict stand-in for AWS STS, and two issuers of tokens run on this machine until Ctrl-C.
# Everything of theirs lies in {folder}; edit policies/ there: a saved file counts at once.
# In a second terminal:

export WRIT_ADDR={address}
alias writ={writ}

# Mia, an engineer, sees what she could have, and asks for it. This waits for her manager.
export WRIT_TOKEN_FILE={mia}
writ scopes
writ request prod-db-read --for 45m --reason 'INC-42: which payments hang?'

# In a third one, with the same first two lines: Pat, her manager, looks at it and agrees.
export WRIT_TOKEN_FILE={pat}
writ requests --to-approve
writ approve ID

# Mia opens the window with the first credentials, and uses them at the stand-in for AWS.
eval "$(writ credentials prod-db-read)"
curl -s --aws-sigv4 aws:amz:eu-west-1:rds --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
  -H "x-amz-security-token: $AWS_SESSION_TOKEN" -d 'Action=DescribeDBInstances&Version=2014-10-31' {sts}/

# A CI job of acme/payments on main deploys at once; the same job on another branch is told why not.
WRIT_TOKEN_FILE={ci} writ exec payments-deploy --for 10m --reason 'deploy' -- env
WRIT_TOKEN_FILE={branch} writ can payments-deploy --for 10m

# Sam carries the pager: he has an hour at once, and goes on to two while it is open.
export WRIT_TOKEN_FILE={sam}
writ request prod-db-read --for 1h --reason 'paged'
eval "$(writ credentials prod-db-read)"
writ extend ID --by 1h --reason 'not done yet'

# In an emergency he breaks the glass: every view is marked, and someone else has to review it afterwards.
writ request prod-admin --for 30m --reason 'INC-99: payments are down' --break-glass
eval "$(writ credentials prod-admin --break-glass)"

# Zoe, from security, ends all that Sam holds, and closes the post-review.
export WRIT_TOKEN_FILE={zoe}
writ revoke --person sam --reason 'his laptop is gone'
writ requests --to-review
writ review ID --finding 'two tables were looked at'

# An auditor follows the record.
WRIT_TOKEN_FILE={audrey} writ journal follow
"#,
        folder = world.folder().display(),
        address = world.address(),
        mia = token("mia"),
        pat = token("pat"),
        sam = token("sam"),
        zoe = token("zoe"),
        ci = token("ci"),
        branch = token("ci-branch"),
        audrey = token("audrey"),
        sts = world.sandbox().endpoint_url(),
    )
}
