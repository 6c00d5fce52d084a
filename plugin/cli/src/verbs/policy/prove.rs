//! `writ policy prove`: does what the policies promise hold for everyone there could ever be?

use std::path::{Path, PathBuf};

use serde_json::json;
use writ_engine::Bundle;
use writ_engine::suite::Suite;
use writ_prove::{Answer, Kind, Solver, Verdict, prove};

use super::base;
use crate::context::Context;
use crate::document::document;
use crate::exit::Exit;
use crate::failure::Failure;

/// Prove the bundle's promises for all principals and requests there could be, with the solver cvc5
///
/// The promises are the bundle's own invariants; that more approvals and a shorter window never take away; that each policy
/// has a value for every request; and that each one decides something. With a base, also that nothing is permitted that the
/// base does not permit. A claim is proved, refuted by a request that is shown, or not proved, which is never the same as
/// safe. The solver is the program that the variable CVC5 names, or `cvc5` on the PATH.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder (`policies` where none is named); or two folders, the one before and the one after
    #[arg(num_args = 0..=2, value_name = "FOLDER")]
    folders: Vec<PathBuf>,

    /// The git revision to compare the folder with, such as `origin/main`
    #[arg(long, value_name = "REV")]
    base: Option<String>,

    /// Fail where a claim that a solver can decide is not proved: for a pipeline that must have one
    #[arg(long)]
    require: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (base, folder) = match (args.folders.as_slice(), &args.base) {
        ([old, new], None) => (Some(super::load(context, old)?.0), new.as_path()),
        ([_, _], Some(_)) => return Err(super::two_bases()),
        (folders, revision) => {
            let folder = folders
                .first()
                .map_or(Path::new("policies"), PathBuf::as_path);
            let read = |revision: &String| base::read(folder, revision);
            (revision.as_ref().map(read).transpose()?, folder)
        }
    };
    let invalid = |report| super::invalid(context, &report);
    let files = super::read(folder)?.map_err(invalid)?;
    let tests = writ_broker::bundle::read_tests(folder).map_err(invalid)?;
    let suite = Suite::read(&files, &tests).map_err(invalid)?;
    if let Some(base) = &base {
        // A base that no broker takes permits nothing, and would make everything look new.
        Bundle::load(base).map_err(|report| invalid(report).hint("this is the base's bundle"))?;
    }
    let solver = Solver::find();
    let answers = prove(&files, &suite, base.as_ref(), &Kind::ALL, solver.as_ref())
        .await
        .map_err(|error| Failure::error(error.to_string()))?;
    let count = Count::of(&answers);
    if context.json() {
        let it = json!({
            "proved": count.proved,
            "refuted": count.refuted,
            "not_proved": count.not_proved,
            "answers": answers,
        });
        context.print_json(&document("prove", it))?;
    } else {
        context.print(&text(context, &answers, &count))?;
    }
    Ok(
        match count.refuted > 0 || (args.require && count.open > 0) {
            true => Exit::Findings,
            false => Exit::Done,
        },
    )
}

/// How many claims came out how.
struct Count {
    proved: usize,
    refuted: usize,
    not_proved: usize,
    /// Of those not proved, those that a solver might have.
    open: usize,
}

impl Count {
    fn of(answers: &[Answer]) -> Count {
        let mut count = Count {
            proved: 0,
            refuted: 0,
            not_proved: 0,
            open: 0,
        };
        for answer in answers {
            match &answer.verdict {
                Verdict::Proved => count.proved += 1,
                Verdict::Refuted { .. } => count.refuted += 1,
                Verdict::NotProved { .. } => {
                    count.not_proved += 1;
                    count.open += usize::from(answer.decidable);
                }
            }
        }
        count
    }
}

fn text(context: &Context, answers: &[Answer], count: &Count) -> String {
    let mut text = String::new();
    for answer in answers {
        // Two lines for each policy would bury the promises; what is well with all of them is one line below.
        if answer.verdict == Verdict::Proved && of_each_policy(answer.kind) {
            continue;
        }
        let verdict = match &answer.verdict {
            Verdict::Proved => context.out.good("proved    "),
            Verdict::Refuted { .. } => context.out.bad("refuted   "),
            Verdict::NotProved { .. } => context.out.waiting("not proved"),
        };
        text.push_str(&format!("{verdict}  {}\n", answer.claim));
        let mut more = |line: &str| text.push_str(&format!("              {line}\n"));
        if let Some(place) = &answer.place {
            more(&context.out.faint(&format!("{}:{}", place.file, place.line)));
        }
        for row in &answer.rests_on {
            more(&format!("given {row}"));
        }
        match &answer.verdict {
            Verdict::Proved => {}
            Verdict::NotProved { why } => more(why),
            Verdict::Refuted { counterexample } => match counterexample.is_empty() {
                true => more("no request there could be makes it do so"),
                false => counterexample.iter().for_each(|line| more(line)),
            },
        }
    }
    for (kind, claim) in [
        (Kind::NeverErrors, "has a value for every request"),
        (Kind::Alive, "decides something"),
    ] {
        let proved = |answer: &&Answer| answer.kind == kind && answer.verdict == Verdict::Proved;
        let number = answers.iter().filter(proved).count();
        if number > 0 {
            let verdict = context.out.good("proved    ");
            text.push_str(&format!("{verdict}  each of {number} policies {claim}\n"));
        }
    }
    text.push_str(&format!(
        "{} proved, {} refuted, {} not proved\n",
        count.proved, count.refuted, count.not_proved
    ));
    text
}

fn of_each_policy(kind: Kind) -> bool {
    match kind {
        Kind::NeverErrors | Kind::Alive => true,
        Kind::Invariant | Kind::NothingNew | Kind::Monotone => false,
    }
}
