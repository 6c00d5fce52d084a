//! cvc5, as a process that is asked one question after another. One that runs out of time or dies is given up, and takes no
//! other question with it.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cedar_policy_symcc::CedarSymCompiler;
use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::LocalSolver;
use tokio::process::Command;

/// The variable that names the solver; where it is not set, `cvc5` is looked for on the PATH.
pub const CVC5: &str = "CVC5";

/// How long one question may take. Those about our own policies take some hundred milliseconds.
const QUESTION_MAX: Duration = Duration::from_secs(60);

/// How long the solver itself is given for each, in milliseconds, so that it says `unknown` before its process is given up.
const SOLVER_MS: u64 = 55_000;

/// A solver's program.
#[derive(Debug, Clone)]
pub struct Solver(PathBuf);

impl Solver {
    /// The program that `CVC5` names, or `cvc5` on the PATH.
    pub fn find() -> Option<Solver> {
        let there = |path: &PathBuf| path.is_file();
        if let Some(named) = env::var_os(CVC5).filter(|path| !path.is_empty()) {
            return Some(PathBuf::from(named)).filter(there).map(Solver);
        }
        let path = env::var_os("PATH")?;
        env::split_paths(&path)
            .map(|folder| folder.join("cvc5"))
            .find(there)
            .map(Solver)
    }

    /// This program.
    pub fn at(path: &Path) -> Solver {
        Solver(path.to_owned())
    }

    /// Which program it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// A solver that runs, or will when it is asked.
pub(crate) struct Running {
    program: Solver,
    compiler: Option<CedarSymCompiler<LocalSolver>>,
}

impl Running {
    /// Not started yet.
    pub(crate) fn new(program: &Solver) -> Running {
        Running {
            program: program.clone(),
            compiler: None,
        }
    }

    /// Ready for a question.
    pub(crate) fn compiler(&mut self) -> Result<&mut CedarSymCompiler<LocalSolver>, String> {
        let running = match self.compiler.take() {
            Some(running) => running,
            None => self.program.start()?,
        };
        Ok(self.compiler.insert(running))
    }

    /// Ends the process.
    pub(crate) fn give_up(&mut self) {
        self.compiler = None;
    }
}

impl Solver {
    fn start(&self) -> Result<CedarSymCompiler<LocalSolver>, String> {
        let mut command = Command::new(&self.0);
        command
            .args(["--lang", "smt"])
            .arg(format!("--tlimit-per={SOLVER_MS}"))
            .kill_on_drop(true);
        let solver = LocalSolver::from_command(&mut command)
            .map_err(|error| format!("the solver does not start: {error}"))?;
        CedarSymCompiler::new(solver).map_err(|error| chain(&error))
    }
}

/// Waits for an answer as long as one question may take.
pub(crate) async fn within<T>(
    answer: impl Future<Output = Result<T, Box<Error>>>,
) -> Result<T, String> {
    match tokio::time::timeout(QUESTION_MAX, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(chain(error.as_ref())),
        Err(_) => Err(format!("no answer within {} s", QUESTION_MAX.as_secs())),
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}
