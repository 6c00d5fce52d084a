//! A bundle as the symbolic compiler reads it: a schema and policies, of which only Cedar's own part matters.

use std::collections::BTreeSet;

use cedar_policy::{
    EntityTypeName, Policy, PolicyId, PolicySet, RequestEnv, Schema, SchemaFragment,
};
use serde_json::{Value, json};
use writ_engine::access::Action;
use writ_engine::bundle::{BundleFiles, SCHEMA};

use crate::Unreadable;

/// The group of the actions that are kinds of approval.
const APPROVE: &str = "approve";

/// A bundle's schema and policies.
pub(crate) struct Source {
    schema_json: Value,
    pub(crate) schema: Schema,
    /// Each under its `@id`.
    pub(crate) policies: Vec<Policy>,
}

/// Two policy sets over one vocabulary, in which a request has its evidence twice: `context.one` and `context.two`.
pub(crate) struct Twice {
    pub(crate) schema: Schema,
    /// Allows what the policies allow by the first evidence, wherever the two stand to each other as was assumed.
    pub(crate) one: PolicySet,
    /// Allows what the policies allow by the second.
    pub(crate) two: PolicySet,
}

impl Source {
    /// Reads the files of a bundle that the engine has taken.
    pub(crate) fn read(files: &BundleFiles) -> Result<Source, Unreadable> {
        let text = files.0.get(SCHEMA).map(String::as_str).unwrap_or_default();
        let (fragment, _) = SchemaFragment::from_cedarschema_str(text).map_err(Unreadable::of)?;
        let schema_json = fragment.clone().to_json_value().map_err(Unreadable::of)?;
        let schema = Schema::from_schema_fragments([fragment]).map_err(Unreadable::of)?;
        let mut policies = Vec::new();
        for (path, text) in &files.0 {
            if !path.ends_with(".cedar") {
                continue;
            }
            let set: PolicySet = text.parse().map_err(Unreadable::of)?;
            for policy in set.policies() {
                let id = policy.annotation("id").unwrap_or_default();
                policies.push(policy.new_id(PolicyId::new(id)));
            }
        }
        policies.sort_by(|a, b| a.id().cmp(b.id()));
        Ok(Source {
            schema_json,
            schema,
            policies,
        })
    }

    /// All policies.
    pub(crate) fn set(&self) -> Result<PolicySet, Unreadable> {
        PolicySet::from_policies(self.policies.iter().cloned()).map_err(Unreadable::of)
    }

    /// All policies, with each permit under a condition more.
    pub(crate) fn set_when(&self, condition: &str) -> Result<PolicySet, Unreadable> {
        let more = conditions(condition)?;
        edited(&self.policies, |policy| under(policy, &more))
    }

    /// One permit, under all forbids.
    pub(crate) fn alone(&self, permit: &Policy) -> Result<PolicySet, Unreadable> {
        let forbids = self.policies.iter().filter(|policy| forbids(policy));
        PolicySet::from_policies(forbids.chain([permit]).cloned()).map_err(Unreadable::of)
    }

    /// The kinds of principals that may ask for a window by one of these actions, each with what there is to ask for; none
    /// for an action that the schema leaves out.
    pub(crate) fn asking(&self, actions: &[Action]) -> Vec<RequestEnv> {
        self.environments(|action| actions.iter().any(|asked| asked.name() == action))
    }

    /// The kinds of consent there are.
    pub(crate) fn consenting(&self) -> Vec<RequestEnv> {
        let kinds: BTreeSet<&str> = self
            .actions()
            .filter(|(_, action)| {
                let groups = action.get("memberOf").and_then(Value::as_array);
                let approves = |group: &Value| group.get("id").is_some_and(|id| id == APPROVE);
                groups.is_some_and(|groups| groups.iter().any(approves))
            })
            .map(|(name, _)| name)
            .collect();
        self.environments(|action| kinds.contains(action))
    }

    /// Everything a policy may be asked about.
    pub(crate) fn all(&self) -> Vec<RequestEnv> {
        self.environments(|_| true)
    }

    fn environments(&self, wanted: impl Fn(&str) -> bool) -> Vec<RequestEnv> {
        let fits = |environment: &RequestEnv| wanted(environment.action().id().unescaped());
        let mut found: Vec<RequestEnv> = self.schema.request_envs().filter(fits).collect();
        found.sort_by_key(name);
        found
    }

    fn actions(&self) -> impl Iterator<Item = (&str, &Value)> {
        let actions = self.schema_json.pointer("//actions");
        actions
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, action)| (name.as_str(), action))
    }

    /// The policies with the evidence of this action twice, where `assumed` says how the second stands to the first.
    pub(crate) fn twice(&self, action: Action, assumed: &str) -> Result<Twice, Unreadable> {
        let mut schema = self.schema_json.clone();
        let action = action.name();
        let Some(context) = schema
            .pointer_mut(&format!("//actions/{action}/appliesTo/context"))
            .filter(|context| !context.is_null())
        else {
            let message = format!("the action `{action}` has no context");
            return Err(Unreadable::of(message));
        };
        let once = context.take();
        *context = json!({ "type": "Record", "attributes": { "one": once, "two": once } });
        let more = conditions(assumed)?;
        Ok(Twice {
            schema: Schema::from_json_value(schema).map_err(Unreadable::of)?,
            one: edited(&self.policies, |mut policy| {
                read_from(&mut policy, "one");
                under(policy, &more)
            })?,
            two: edited(&self.policies, |mut policy| {
                read_from(&mut policy, "two");
                policy
            })?,
        })
    }
}

/// A request environment in words: `User, activate, Scope`.
pub(crate) fn name(environment: &RequestEnv) -> String {
    let kind = |name: &EntityTypeName| name.to_string();
    format!(
        "{}, {}, {}",
        kind(environment.principal()),
        environment.action().id().unescaped(),
        kind(environment.resource())
    )
}

/// Whether it is a `forbid`.
pub(crate) fn forbids(policy: &Policy) -> bool {
    policy.effect() == cedar_policy::Effect::Forbid
}

/// A permit of anything under a condition, in Cedar.
pub(crate) fn permit_when(id: &str, condition: &str) -> Result<Policy, Unreadable> {
    let text = format!("permit (principal, action, resource) when {{ {condition} }};");
    Policy::parse(Some(PolicyId::new(id)), text).map_err(Unreadable::of)
}

fn conditions(condition: &str) -> Result<Vec<Value>, Unreadable> {
    let json = permit_when("assumed", condition)?
        .to_json()
        .map_err(Unreadable::of)?;
    let conditions = json.get("conditions").and_then(Value::as_array);
    Ok(conditions.cloned().unwrap_or_default())
}

/// Adds conditions to a permit, in Cedar's JSON; a forbid stays as it is.
fn under(mut policy: Value, more: &[Value]) -> Value {
    if policy
        .get("effect")
        .is_some_and(|effect| effect == "permit")
        && let Some(conditions) = policy.get_mut("conditions").and_then(Value::as_array_mut)
    {
        conditions.extend_from_slice(more);
    }
    policy
}

/// Reads `context.part` wherever an expression of Cedar's JSON reads `context`.
fn read_from(expression: &mut Value, part: &str) {
    if *expression == json!({ "Var": "context" }) {
        *expression = json!({ ".": { "left": { "Var": "context" }, "attr": part } });
        return;
    }
    match expression {
        Value::Array(parts) => parts.iter_mut().for_each(|it| read_from(it, part)),
        Value::Object(parts) => parts.values_mut().for_each(|it| read_from(it, part)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The policies with each one's Cedar JSON changed.
fn edited(policies: &[Policy], change: impl Fn(Value) -> Value) -> Result<PolicySet, Unreadable> {
    let mut set = PolicySet::new();
    for policy in policies {
        let json = policy.to_json().map_err(Unreadable::of)?;
        let policy = Policy::from_json(Some(policy.id().clone()), change(json));
        set.add(policy.map_err(Unreadable::of)?)
            .map_err(Unreadable::of)?;
    }
    Ok(set)
}
