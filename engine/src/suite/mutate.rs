//! Do the tests notice when a policy is changed? Each small change that none of them notices is a promise nobody tests.

use std::sync::Arc;

use serde::Serialize;

use crate::bundle::policies::Mutant;
use crate::bundle::{Bundle, BundleFiles};

use super::people::with_people;
use super::render::one_line;
use super::{Check, Glob, Place, Suite, What};

/// The most changed bundles that are tried: at some tens of milliseconds each, minutes of a pipeline. Of more, as many are
/// chosen, spread evenly over the policies.
pub const MUTANTS_MAX: usize = 2_000;

/// What became of the changes.
#[derive(Debug, Clone, Serialize)]
pub struct Mutation {
    /// How many changes there are to make.
    pub possible: usize,
    /// How many were tried.
    pub tried: usize,
    /// How many of these the bundle check refuses, so that nobody could make them.
    pub refused: usize,
    /// How many some test noticed.
    pub noticed: usize,
    /// Those that no test noticed, by file and line.
    pub unnoticed: Vec<Unnoticed>,
}

/// A change that no test noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unnoticed {
    /// Where it was made.
    #[serde(flatten)]
    pub place: Place,
    /// The policy's `@id`.
    pub policy: String,
    /// The change in words.
    pub change: String,
}

impl Mutation {
    /// The counts and every change that no test noticed.
    pub fn render(&self) -> String {
        let mut out = format!(
            "mutants: {} tried, {} noticed, {} refused by the check, {} unnoticed\n",
            self.tried,
            self.noticed,
            self.refused,
            self.unnoticed.len()
        );
        if self.tried < self.possible {
            out.push_str(&format!(
                "  {} more were not tried: at most {MUTANTS_MAX} are\n",
                self.possible - self.tried
            ));
        }
        for one in &self.unnoticed {
            out.push_str(&format!(
                "  {}:{}: {}: no test notices that {}\n",
                one.place.file,
                one.place.line,
                one.policy,
                one_line(&one.change)
            ));
        }
        out
    }
}

impl Suite {
    /// Changes the policies one by one and asks the tests whose name fits `only` again. Tests that fail without any change
    /// would notice everything, so run them first.
    pub fn mutate(&self, only: &Glob) -> Mutation {
        let mutants = self.bundle().map(|bundle| bundle.policies().mutants());
        let mutants = mutants.unwrap_or_default();
        let mut mutation = Mutation {
            possible: mutants.len(),
            tried: 0,
            refused: 0,
            noticed: 0,
            unnoticed: Vec::new(),
        };
        for mutant in spread(&mutants) {
            mutation.tried += 1;
            match self.notices(only, mutant) {
                None => mutation.refused += 1,
                Some(true) => mutation.noticed += 1,
                Some(false) => mutation.unnoticed.push(Unnoticed {
                    place: Place {
                        file: mutant.file.clone(),
                        line: mutant.line,
                    },
                    policy: mutant.policy.clone(),
                    change: mutant.words.clone(),
                }),
            }
        }
        mutation
    }

    /// `None` where the bundle check refuses the change.
    fn notices(&self, only: &Glob, mutant: &Mutant) -> Option<bool> {
        let files = changed(&self.files, mutant)?;
        let mut worlds: Vec<Option<Arc<Bundle>>> = vec![None; self.worlds.len()];
        // The bundle as it is, before the people of the tests come in, must be one that could be in force.
        if let Some(first) = worlds.first_mut() {
            *first = Some(Arc::new(Bundle::load(&files).ok()?));
        }
        let is_dear = |check: &&Check| matches!(check.what, What::Invariant(_));
        let (dear, cheap): (Vec<&Check>, Vec<&Check>) = self
            .checks
            .iter()
            .filter(|check| only.fits(&check.test))
            .partition(is_dear);
        // An invariant asks thousands of questions, a case one or two; most changes are noticed by a case.
        for check in cheap.into_iter().chain(dear) {
            let (Some(loaded), Some(world)) =
                (worlds.get_mut(check.world), self.worlds.get(check.world))
            else {
                continue;
            };
            let bundle = match loaded {
                Some(bundle) => Arc::clone(bundle),
                None => {
                    let bundle = Bundle::load(&with_people(&files, &world.people)).ok()?;
                    Arc::clone(loaded.insert(Arc::new(bundle)))
                }
            };
            if !check.run(&bundle).failures.is_empty() {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// At most [`MUTANTS_MAX`], evenly spread.
fn spread(mutants: &[Mutant]) -> impl Iterator<Item = &Mutant> {
    let tried = mutants.len().min(MUTANTS_MAX);
    (0..tried).filter_map(move |at| mutants.get(at * mutants.len() / tried))
}

fn changed(files: &BundleFiles, mutant: &Mutant) -> Option<BundleFiles> {
    let mut files = files.clone();
    let text = files.0.get_mut(&mutant.file)?;
    let before = text.get(..mutant.span.start)?;
    let after = text.get(mutant.span.end..)?;
    *text = format!("{before}{}{after}", mutant.text);
    Some(files)
}
