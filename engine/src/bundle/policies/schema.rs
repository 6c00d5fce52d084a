//! The schema: parsed, and compared with what the engine supplies.

use std::collections::BTreeSet;

use cedar_policy::{Schema, schema_str_to_json_with_resolved_types};
use serde_json::Value;

use super::SCHEMA_FILE;
use super::nesting;
use super::problem::{Problem, of_cedar};
use super::tokens::{Kind as TokenKind, Token, tokens};
use crate::approval::Kind;
use crate::principal::{GITHUB_CLAIMS, Presence};

/// A schema that has what the engine supplies, and nothing that nobody does.
pub(super) struct Vocabulary {
    pub(super) schema: Schema,
    /// The approval kinds.
    pub(super) kinds: BTreeSet<Kind>,
    /// The enumerated entity types: Cedar checks their members itself.
    pub(super) enums: BTreeSet<String>,
}

/// Actions a schema may leave out: nobody may then do what they are about.
const MAY_BE_ABSENT: [&str; 5] = ["breakGlass", "extend", "revoke", "review", "delegate"];

/// What the engine supplies to policies that want to know it, and others need not declare.
const MAY_BE_LEFT_OUT: [&str; 1] = ["context.delegate"];

/// What the engine supplies, as a schema of its own. `{claims}` and `{kinds}` are filled in.
const CONTRACT: &str = r#"
entity Group in [Group];
entity User in [Group] { manager?: User };
entity Workload in [Group] { owner: User, {claims} };
entity System;
entity Scope in [System] { system: System, environment: String, owners: Group };
action activate appliesTo { principal: [User, Workload], resource: [Scope], context: {
  window: { opens_at: datetime, closes_at: datetime, duration: duration, weekday: Long, time_of_day: duration },
  approvals: { {kinds} },
  reason: String,
  ticket?: String,
} };
action breakGlass appliesTo { principal: [User, Workload], resource: [Scope], context: {
  window: { opens_at: datetime, closes_at: datetime, duration: duration, weekday: Long, time_of_day: duration },
  approvals: { {kinds} },
  open_reviews: Long,
  reason: String,
  ticket?: String,
} };
action extend appliesTo { principal: [User, Workload], resource: [Scope], context: {
  window: { opens_at: datetime, closes_at: datetime, duration: duration, weekday: Long, time_of_day: duration },
  approvals: { {kinds} },
  extensions: Long,
  reason: String,
  ticket?: String,
} };
action approve appliesTo { principal: [User], resource: [Scope], context: {
  requester: User,
  workload?: Workload,
  delegate?: User,
  window: { duration: duration },
  reason: String,
  ticket?: String,
} };
action view appliesTo { principal: [User, Workload], resource: [Scope], context: {
  requester: User,
  workload?: Workload,
} };
action revoke appliesTo { principal: [User, Workload], resource: [Scope], context: {
  requester: User,
  workload?: Workload,
} };
action review appliesTo { principal: [User], resource: [Scope], context: {
  requester: User,
  workload?: Workload,
} };
action delegate appliesTo { principal: [User], resource: [User], context: {} };
"#;

/// Parses the schema and checks it against the contract.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Vocabulary> {
    let before = problems.len();
    let tokens = tokens(text);
    let declarations = match nesting::declarations(SCHEMA_FILE, &tokens) {
        Ok(declarations) => declarations,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let (schema, warnings) = match Schema::from_cedarschema_str(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.extend(of_cedar(SCHEMA_FILE, 0, &(0..0), &error));
            return None;
        }
    };
    for warning in warnings {
        problems.extend(of_cedar(SCHEMA_FILE, 0, &(0..0), &warning));
    }
    let json = match schema_str_to_json_with_resolved_types(text) {
        Ok((json, _)) => json,
        Err(error) => {
            problems.extend(of_cedar(SCHEMA_FILE, 0, &(0..0), &error));
            return None;
        }
    };
    let mut check = Check {
        given: json.get("").unwrap_or(&Value::Null),
        declarations: &declarations,
        problems,
    };
    let kinds = check.kinds();
    check.contract(&kinds);
    let enums = fields(check.given.get("entityTypes"))
        .filter(|(_, entity)| entity.get("enum").is_some())
        .map(|(name, _)| name.clone())
        .collect();
    // What follows would only repeat what is wrong with the schema.
    (problems.len() == before).then_some(Vocabulary {
        schema,
        kinds,
        enums,
    })
}

struct Check<'a> {
    given: &'a Value,
    declarations: &'a [&'a [Token<'a>]],
    problems: &'a mut Vec<Problem>,
}

/// Where an attribute is declared: `("action", "activate")`, or the common type it was given.
type Declared = (String, String);

impl Check<'_> {
    /// The approval kinds: the members of the action group `approve`.
    fn kinds(&mut self) -> BTreeSet<Kind> {
        let mut kinds = BTreeSet::new();
        for (name, action) in fields(self.given.get("actions")) {
            let member = items(action.get("memberOf"))
                .any(|group| group.get("id").and_then(Value::as_str) == Some("approve"));
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let place = ("action".to_owned(), name.clone());
            match Kind::of_action(name).filter(|_| plain) {
                Some(kind) => {
                    kinds.insert(kind);
                    if !member {
                        self.refuse(
                            &place,
                            name,
                            format!("action `{name}` is not in the group `approve`"),
                            format!("write `action {name} in [approve] appliesTo …`"),
                        );
                    }
                }
                None if member => self.refuse(
                    &place,
                    name,
                    format!("action `{name}` is in the group `approve` and names no approval kind"),
                    "name it like `approveManager`".to_owned(),
                ),
                None => {}
            }
        }
        kinds
    }

    fn contract(&mut self, kinds: &BTreeSet<Kind>) {
        let claims = GITHUB_CLAIMS
            .map(|(claim, presence)| match presence {
                Presence::Always => format!("{claim}: String"),
                Presence::Sometimes => format!("{claim}?: String"),
            })
            .join(", ");
        let counts: Vec<String> = kinds.iter().map(|kind| format!("{kind}: Long")).collect();
        let contract = CONTRACT
            .replace("{claims}", &claims)
            .replace("{kinds}", &counts.join(", "));
        let contract = match schema_str_to_json_with_resolved_types(&contract) {
            Ok((json, _)) => json,
            Err(error) => {
                let message = format!("these approval kinds cannot be attributes: {error}");
                return self.problems.push(Problem::new(SCHEMA_FILE, 0..0, message));
            }
        };
        let contract = contract.get("").unwrap_or(&Value::Null);
        for (name, entity) in fields(contract.get("entityTypes")) {
            self.entity(name, entity);
        }
        for (name, action) in fields(contract.get("actions")) {
            let given = self.given.get("actions").and_then(|all| all.get(name));
            if given.is_none() && MAY_BE_ABSENT.contains(&name.as_str()) {
                continue;
            }
            if name == "approve" {
                for kind in kinds {
                    self.action(&kind.action(), action);
                }
            } else {
                self.action(name, action);
            }
        }
    }

    fn entity(&mut self, name: &str, wanted: &Value) {
        let place = ("entity".to_owned(), name.to_owned());
        let Some(given) = self.given.get("entityTypes").and_then(|all| all.get(name)) else {
            return self.refuse(
                &place,
                name,
                format!("entity type `{name}` is missing"),
                format!("the broker supplies every `{name}`; declare `entity {name}`"),
            );
        };
        for group in texts(wanted.get("memberOfTypes")) {
            if !texts(given.get("memberOfTypes")).any(|other| other == group) {
                self.refuse(
                    &place,
                    name,
                    format!("a `{name}` must be able to be in a `{group}`"),
                    format!("write `entity {name} in [{group}]`"),
                );
            }
        }
        let nothing = serde_json::json!({ "type": "Record", "attributes": {} });
        let wanted = wanted.get("shape").unwrap_or(&nothing);
        let given = given.get("shape").unwrap_or(&nothing);
        // The directory may give users further attributes; everything else comes from the broker alone.
        self.compare(name, wanted, given, &place, name == "User");
    }

    fn action(&mut self, name: &str, wanted: &Value) {
        let place = ("action".to_owned(), name.to_owned());
        let Some(given) = self.given.get("actions").and_then(|all| all.get(name)) else {
            return self.refuse(
                &place,
                name,
                format!("action `{name}` is missing"),
                format!("the broker asks about it; declare `action {name} appliesTo …`"),
            );
        };
        let at =
            |action: &Value, key: &str| action.get("appliesTo").and_then(|to| to.get(key)).cloned();
        for (key, word) in [
            ("principalTypes", "principal"),
            ("resourceTypes", "resource"),
        ] {
            let (wanted, given) = (at(wanted, key), at(given, key));
            let wanted: BTreeSet<&str> = texts(wanted.as_ref()).collect();
            let given: BTreeSet<&str> = texts(given.as_ref()).collect();
            if wanted != given {
                let list = wanted.into_iter().collect::<Vec<_>>().join(", ");
                self.refuse(
                    &place,
                    word,
                    format!("the {word} of action `{name}` must be one of [{list}]"),
                    format!("write `{word}: [{list}]`"),
                );
            }
        }
        let nothing = serde_json::json!({ "type": "Record", "attributes": {} });
        let wanted = at(wanted, "context").unwrap_or_else(|| nothing.clone());
        let given = at(given, "context").unwrap_or(nothing);
        self.compare("context", &wanted, &given, &place, false);
    }

    /// Compares a type the engine supplies with the one the schema declares at `path`.
    fn compare(
        &mut self,
        path: &str,
        wanted: &Value,
        given: &Value,
        place: &Declared,
        may_have_more: bool,
    ) {
        let (given, place) = self.resolved(given, place);
        let (wanted_name, given_name) = (type_name(wanted), type_name(&given));
        if wanted_name != given_name {
            let leaf = path.rsplit('.').next().unwrap_or(path);
            return self.refuse(
                &place,
                leaf,
                format!(
                    "`{path}`{} is a {given_name}, the broker supplies a {wanted_name}",
                    of(&place)
                ),
                format!("declare it as `{wanted_name}`"),
            );
        }
        let (wanted, given) = (wanted.get("attributes"), given.get("attributes"));
        for (name, attribute) in fields(wanted) {
            let path = format!("{path}.{name}");
            let mark = if is_required(attribute) { "" } else { "?" };
            let form = format!("{name}{mark}: {}", type_name(attribute));
            match given.and_then(|given| given.get(name)) {
                None if MAY_BE_LEFT_OUT.contains(&path.as_str()) => {}
                None => self.refuse(
                    &place,
                    &place.1,
                    format!("`{path}`{} is missing", of(&place)),
                    format!("the broker supplies it; declare `{form}`"),
                ),
                Some(other) => {
                    if !is_required(attribute) && is_required(other) {
                        self.refuse(
                            &place,
                            name,
                            format!("`{path}`{} is required, and not always there", of(&place)),
                            format!("declare `{form}`"),
                        );
                    }
                    self.compare(&path, attribute, other, &place, false);
                }
            }
        }
        for (name, _) in fields(given) {
            if !may_have_more && wanted.and_then(|wanted| wanted.get(name)).is_none() {
                self.refuse(
                    &place,
                    name,
                    format!("nothing ever supplies `{path}.{name}`{}", of(&place)),
                    "remove it: a policy that reads it would never match".to_owned(),
                );
            }
        }
    }

    /// What a common type stands for, and where that stands.
    fn resolved(&self, given: &Value, place: &Declared) -> (Value, Declared) {
        let mut given = given.clone();
        let mut place = place.clone();
        // Cedar refuses circles of common types.
        while let Some(name) = given.get("type").and_then(Value::as_str).map(str::to_owned)
            && let Some(common) = self.given.get("commonTypes").and_then(|all| all.get(&name))
        {
            given = common.clone();
            place = ("type".to_owned(), name);
        }
        (given, place)
    }

    /// Points at `word` within a declaration, or at the declaration's own name, or at the file.
    fn refuse(&mut self, place: &Declared, word: &str, message: String, help: String) {
        let names = |token: &Token<'_>, name: &str| match token.kind {
            TokenKind::Text => token.text.trim_matches('"') == name,
            _ => token.text == name,
        };
        let declaration = self.declarations.iter().find(|declaration| {
            let head = declaration
                .iter()
                .take_while(|token| !["{", "in", "appliesTo", "="].contains(&token.text));
            let mut keyword = false;
            let mut named = false;
            for token in head {
                named |= keyword && names(token, &place.1);
                keyword |= token.text == place.0;
            }
            named
        });
        let span = declaration.map_or(0..0, |declaration| {
            let declares = |pair: &&[Token<'_>]| {
                matches!(pair, [name, next] if names(name, word) && (next.is(":") || next.is("?")))
            };
            let attribute = declaration.windows(2).find(declares).and_then(|pair| pair.first());
            let own = declaration.iter().find(|token| names(token, &place.1));
            attribute.or(own).map_or(0..0, Token::span)
        });
        let problem = Problem::new(SCHEMA_FILE, span, message).help(help);
        // What is wrong with a type is told once, however many actions use it.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// ` of action `activate`` where the path alone does not say whose it is.
fn of(place: &Declared) -> String {
    let (keyword, name) = place;
    if keyword == "entity" {
        String::new()
    } else {
        format!(" of {keyword} `{name}`")
    }
}

fn type_name(value: &Value) -> String {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match (text("type"), text("name")) {
        (Some("Entity"), Some(name)) => name.to_owned(),
        (Some("Record"), _) => "record".to_owned(),
        (Some(kind), _) => kind.to_owned(),
        (None, _) => "thing of no type".to_owned(),
    }
}

fn is_required(attribute: &Value) -> bool {
    attribute.get("required").and_then(Value::as_bool) != Some(false)
}

fn fields(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    items(value).filter_map(Value::as_str)
}
