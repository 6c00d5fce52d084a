//! Why not: the forbids that matched, or the conditions of the permits that were not met, with the values they read.

use cedar_policy::{Entities, EvalResult, Request};

use crate::bundle::policies::{ConditionFacts, PolicyFacts};

use super::ask::{Ask, Wish};
use super::evaluate::holds;
use super::search::Search;
use super::{Condition, Unmet, Why};

/// Why this wish is denied even with all the approvals there could be, so that only real obstacles are named.
pub(super) fn why(search: &Search<'_>, wish: Wish<'_>) -> Why {
    let (ask, slice) = (search.ask, &search.slice);
    let Some(request) = ask.activation(wish, &search.tops) else {
        return Why::Unknown;
    };
    let answer = ask.evaluate(slice, &ask.entities, &request);
    let evidence = Evidence {
        ask,
        wish,
        request: &request,
    };
    if !answer.forbids.is_empty() {
        let facts = ask
            .facts(slice)
            .filter(|(head, _)| answer.forbids.contains(&head.id));
        return Why::Forbidden(facts.map(|(_, facts)| evidence.of(facts, true)).collect());
    }
    if !answer.errored_forbids.is_empty() {
        return Why::Errored(ask.places(&answer.errored_forbids));
    }
    let line = &ask.asker.line;
    let mut unmet: Vec<Unmet> = ask
        .facts(slice)
        .filter(|(head, _)| !head.forbids && head.matches(line, &ask.line))
        .map(|(_, facts)| evidence.of(facts, false))
        .collect();
    if unmet.is_empty() {
        return Why::NoPolicy;
    }
    unmet.sort_by(|one, other| {
        let key = |unmet: &Unmet| (unmet.conditions.len(), unmet.policy.clone());
        key(one).cmp(&key(other))
    });
    Why::Unmet(unmet)
}

struct Evidence<'e> {
    ask: &'e Ask<'e>,
    wish: Wish<'e>,
    request: &'e Request,
}

impl Evidence<'_> {
    /// The conditions of a policy that `held`, or those that did not.
    fn of(&self, facts: &PolicyFacts, held: bool) -> Unmet {
        let decided = |condition: &&ConditionFacts| self.holds(condition) == Some(held);
        let mut conditions: Vec<&ConditionFacts> =
            facts.conditions.iter().filter(decided).collect();
        if conditions.is_empty() {
            // All that is left are conditions that cannot be evaluated by themselves.
            let unclear = |condition: &&ConditionFacts| self.holds(condition).is_none();
            conditions = facts.conditions.iter().filter(unclear).collect();
        }
        Unmet {
            policy: facts.place.clone(),
            advice: facts.advice.clone(),
            conditions: conditions
                .into_iter()
                .map(|condition| self.shown(condition))
                .collect(),
        }
    }

    fn holds(&self, condition: &ConditionFacts) -> Option<bool> {
        holds(condition, &self.ask.entities, self.request)
    }

    fn shown(&self, condition: &ConditionFacts) -> Condition {
        let values = condition
            .paths
            .iter()
            .filter_map(|path| Some((path.join("."), self.value(path)?)));
        Condition {
            text: condition.text.clone(),
            values: values.collect(),
        }
    }

    fn value(&self, path: &[String]) -> Option<String> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let (start, further) = match path.as_slice() {
            ["principal", further @ ..] => {
                (EvalResult::EntityUid(self.ask.asker.uid.clone()), further)
            }
            ["resource", further @ ..] => (EvalResult::EntityUid(self.ask.uid.clone()), further),
            // Cedar shows moments and durations as calls; people know them better as they wrote them.
            ["context", "window", name] => return self.of_window(name),
            ["context", name, further @ ..] => (self.request.context()?.get(name)?, further),
            _ => return None,
        };
        walk(&self.ask.entities, start, further).map(|value| value.to_string())
    }

    fn of_window(&self, name: &str) -> Option<String> {
        let window = self.wish.window;
        match name {
            "opens_at" => Some(window.opens_at().to_string()),
            "closes_at" => Some(window.closes_at().to_string()),
            "duration" => Some(window.duration().to_string()),
            "weekday" => Some(self.ask.weekday().to_string()),
            "time_of_day" => Some(self.ask.time_of_day()),
            _ => None,
        }
    }
}

/// The value at the end of a path of attributes, where there is one.
pub(super) fn walk(entities: &Entities, from: EvalResult, path: &[&str]) -> Option<EvalResult> {
    path.iter().try_fold(from, |at, name| match at {
        EvalResult::Record(record) => record.get(name).cloned(),
        EvalResult::EntityUid(uid) => entities.get(&uid)?.attr(name)?.ok(),
        EvalResult::Bool(_)
        | EvalResult::Long(_)
        | EvalResult::String(_)
        | EvalResult::Set(_)
        | EvalResult::ExtensionValue(_) => None,
    })
}
