//! The values at which some policy can begin to answer differently: what "for everyone and at any time" has to try.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::pst::{BinaryOp, Expr, Literal};

use super::compare::{each, literal_of, path_of};
use super::{ConditionFacts, Policies};

/// What the policies of a bundle compare requests with.
#[derive(Debug, Default)]
pub(crate) struct Landmarks {
    /// The moments compared with a window's opening, in milliseconds since the epoch.
    pub(crate) opens_at_ms: BTreeSet<i64>,
    /// The moments compared with a window's end.
    pub(crate) closes_at_ms: BTreeSet<i64>,
    /// The times of day compared with a window's opening, in milliseconds since midnight.
    pub(crate) times_of_day_ms: BTreeSet<i64>,
    /// Whether the day of the week is looked at.
    pub(crate) weekday: bool,
    /// A text for each literal that a claim, or the reason, is compared with: by path, such as `principal.ref`.
    pub(crate) texts: BTreeMap<String, BTreeSet<String>>,
}

impl Policies {
    /// Gathers them from every policy.
    pub(crate) fn landmarks(&self) -> Landmarks {
        let mut landmarks = Landmarks::default();
        for condition in self.facts.values().flat_map(|facts| &facts.conditions) {
            landmarks.note(condition);
        }
        landmarks
    }
}

impl Landmarks {
    fn note(&mut self, condition: &ConditionFacts) {
        for path in &condition.paths {
            self.weekday |= path.join(".") == "context.window.weekday";
        }
        each(&condition.expr, &mut |expr| match expr {
            Expr::BinaryOp { left, right, op } => {
                for (path, other) in [(left, right), (right, left)] {
                    if let Some(path) = path_of(path) {
                        self.compared(&path.join("."), other, *op);
                    }
                }
            }
            // Read as it is printed: `principal.ref like "refs/heads/*"`.
            Expr::Like { expr: path, .. } => {
                if let Some(path) = path_of(path)
                    && let Some((_, pattern)) = expr.to_string().split_once("like")
                {
                    let text = pattern.trim().trim_matches(['"', ')']).replace('*', "1");
                    self.text(&path.join("."), text);
                }
            }
            _ => {}
        });
    }

    fn compared(&mut self, path: &str, other: &Expr, op: BinaryOp) {
        if let Some(literal) = literal_of(other) {
            match path {
                "context.window.opens_at" => self.opens_at_ms.insert(literal),
                "context.window.closes_at" => self.closes_at_ms.insert(literal),
                "context.window.time_of_day" => self.times_of_day_ms.insert(literal),
                _ => false,
            };
        }
        // `["a", "b"].contains(path)` too.
        let mut texts: Vec<&Expr> = vec![other];
        if let (Expr::Set(members), BinaryOp::Contains) = (other, op) {
            texts.extend(members.iter().map(AsRef::as_ref));
        }
        for text in texts {
            if let Expr::Literal(Literal::String(text)) = text {
                self.text(path, text.to_string());
            }
        }
    }

    fn text(&mut self, path: &str, text: String) {
        self.texts.entry(path.to_owned()).or_default().insert(text);
    }
}
