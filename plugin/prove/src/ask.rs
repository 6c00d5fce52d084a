//! Puts a claim's questions to the solver, and does not take its word for a counterexample.

use std::time::Instant;

use cedar_policy::{Authorizer, Decision, Policy, PolicySet};
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};

use writ_engine::decide::allows_invented;

use crate::claim::{Asks, Claim, Question, What};
use crate::solver::{Running, within};
use crate::source::name;
use crate::{Answer, Verdict, shown};

/// One question's answer.
enum Found {
    /// There is no such request.
    Nothing,
    /// There is one, and it does what it is said to.
    Example(Vec<String>),
    /// Nobody knows, and why.
    Unknown(String),
}

/// Decides a claim.
pub(crate) async fn answer(claim: Claim<'_>, solver: Option<&mut Running>) -> Answer {
    let began = Instant::now();
    let (verdict, environments) = match (&claim.asks, solver) {
        (Asks::Nothing(why), _) => (not_proved(why), 0),
        (Asks::Each(_) | Asks::Any(_), None) => (
            not_proved("no solver was found: install cvc5, or name it in the variable CVC5"),
            0,
        ),
        // A promise about nobody is kept, but that is for enumeration to say.
        (Asks::Each(questions) | Asks::Any(questions), Some(_)) if questions.is_empty() => {
            (not_proved("it is about nobody who could ask"), 0)
        }
        (Asks::Each(questions), Some(solver)) => (each(questions, solver).await, questions.len()),
        (Asks::Any(questions), Some(solver)) => (any(questions, solver).await, questions.len()),
    };
    Answer {
        kind: claim.kind,
        claim: claim.text,
        place: claim.place,
        rests_on: claim.rests_on,
        decidable: !matches!(claim.asks, Asks::Nothing(_)),
        verdict,
        environments,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

fn not_proved(why: &str) -> Verdict {
    Verdict::NotProved {
        why: why.to_owned(),
    }
}

/// Proved when no question has an example; an example in one environment refutes, whatever the others say.
async fn each(questions: &[Question<'_>], solver: &mut Running) -> Verdict {
    let mut unknown = None;
    for question in questions {
        match ask(question, solver).await {
            Found::Nothing => {}
            Found::Example(counterexample) => return Verdict::Refuted { counterexample },
            Found::Unknown(why) => {
                unknown = Some(format!("{}: {why}", name(&question.environment)));
            }
        }
    }
    unknown.map_or(Verdict::Proved, |why| Verdict::NotProved { why })
}

/// Proved by one example; refuted when there is none in any environment.
async fn any(questions: &[Question<'_>], solver: &mut Running) -> Verdict {
    let mut unknown = None;
    for question in questions {
        match ask(question, solver).await {
            Found::Nothing => {}
            Found::Example(_) => return Verdict::Proved,
            Found::Unknown(why) => {
                unknown = Some(format!("{}: {why}", name(&question.environment)));
            }
        }
    }
    match unknown {
        Some(why) => Verdict::NotProved { why },
        None => Verdict::Refuted {
            counterexample: Vec::new(),
        },
    }
}

async fn ask(question: &Question<'_>, solver: &mut Running) -> Found {
    let found = match solver.compiler() {
        Ok(compiler) => within(look(question, compiler)).await,
        Err(why) => Err(why),
    };
    if found.is_err() {
        // Whatever it was, the next question gets another process.
        solver.give_up();
    }
    match found {
        Ok(None) => Found::Nothing,
        Ok(Some(example)) if holds(question, &example) => Found::Example(shown::lines(&example)),
        Ok(Some(_)) => Found::Unknown(
            "the solver gave a counterexample that evaluating it does not confirm".to_owned(),
        ),
        Err(why) => Found::Unknown(why),
    }
}

/// Looks for an example.
async fn look(
    question: &Question<'_>,
    compiler: &mut CedarSymCompiler<LocalSolver>,
) -> Result<Option<Env>, Box<Error>> {
    let (environment, schema) = (&question.environment, &question.schema);
    let policy =
        |policy: &Policy| CompiledPolicy::compile(policy, environment, schema).map_err(Box::new);
    let set =
        |set: &PolicySet| CompiledPolicySet::compile(set, environment, schema).map_err(Box::new);
    let found = match &question.about {
        What::NeverErrors(about) => {
            let about = policy(about)?;
            compiler
                .check_never_errors_with_counterexample_opt(&about)
                .await
        }
        What::Matches(about) => {
            let about = policy(about)?;
            compiler
                .check_never_matches_with_counterexample_opt(&about)
                .await
        }
        What::AllowsSomething(about) => {
            let about = set(about)?;
            compiler
                .check_always_denies_with_counterexample_opt(&about)
                .await
        }
        What::Implies(one, two) => {
            let (one, two) = (set(one)?, set(two)?);
            compiler
                .check_implies_with_counterexample_opt(&one, &two)
                .await
        }
        What::Disjoint(one, two) => {
            let (one, two) = (set(one)?, set(two)?);
            compiler
                .check_disjoint_with_counterexample_opt(&one, &two)
                .await
        }
    };
    found.map_err(Box::new)
}

/// Whether Cedar's own authorizer says of the example what the solver says of it, and so does the evaluation that decides
/// real requests.
fn holds(question: &Question<'_>, example: &Env) -> bool {
    let decided = question.decided.iter().all(|(bundle, allowed)| {
        allows_invented(bundle, &example.request, &example.entities) == *allowed
    });
    decided && confirmed(&question.about, example)
}

fn confirmed(about: &What, example: &Env) -> bool {
    let authorizer = Authorizer::new();
    let asked =
        |set: &PolicySet| authorizer.is_authorized(&example.request, set, &example.entities);
    let allows = |set: &PolicySet| asked(set).decision() == Decision::Allow;
    let alone = |policy: &Policy| PolicySet::from_policies([policy.clone()]).ok();
    match about {
        What::NeverErrors(policy) => {
            alone(policy).is_some_and(|set| asked(&set).diagnostics().errors().next().is_some())
        }
        What::Matches(policy) => {
            alone(policy).is_some_and(|set| asked(&set).diagnostics().reason().next().is_some())
        }
        What::AllowsSomething(set) => allows(set),
        What::Implies(one, two) => allows(one) && !allows(two),
        What::Disjoint(one, two) => allows(one) && allows(two),
    }
}
