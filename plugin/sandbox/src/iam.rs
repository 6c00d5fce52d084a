//! The part of IAM that revocation needs: a role and its inline policies, and what they would say of an action.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::caller::{account_of, judge_own};
use crate::condition::{Context, holds_date};
use crate::error::AwsError;
use crate::limits::{Broken, POLICY, is_name};
use crate::policy::{Kind, Policy, Verdict};
use crate::reply::{self, Api, Simulated};
use crate::role::{KeptRole, TooLarge, name_of};
use crate::sts::State;
use crate::verify::Verified;

/// The one version of IAM's interface, which no other service has.
pub(crate) const IAM_VERSION: &str = "2010-05-08";

/// The one region that IAM's requests are signed for: there is one IAM for all of them.
pub(crate) const IAM_REGION: &str = "us-east-1";

/// Every action of IAM there is here.
pub(crate) const IAM_ACTIONS: [&str; 6] = [
    "DeleteRolePolicy",
    "GetRole",
    "GetRolePolicy",
    "ListRolePolicies",
    "PutRolePolicy",
    "SimulatePrincipalPolicy",
];

/// The most items on a page, and how many there are if nothing is said: IAM's figures.
const PAGE_MAX: u32 = 1_000;
const PAGE_DEFAULT: u32 = 100;

/// The most actions of a simulation: what IAM puts on a page, since more pages are not made here.
const SIMULATED_MAX: usize = 100;

/// The characters of a policy document that IAM reads at all.
const DOCUMENT_MAX: usize = 131_072;

impl State {
    /// Answers one request to IAM, whose signature has been checked.
    pub(crate) fn answer_iam(
        &mut self,
        caller: &Verified,
        form: &BTreeMap<String, String>,
        request_id: &str,
    ) -> Result<String, AwsError> {
        let fields = Fields::new(form);
        let action = form.get("Action").map(String::as_str).unwrap_or_default();
        match action {
            "PutRolePolicy" => {
                self.put_role_policy(caller, fields)?;
                Ok(reply::done(Api::Iam, action, request_id))
            }
            "DeleteRolePolicy" => {
                self.delete_role_policy(caller, fields)?;
                Ok(reply::done(Api::Iam, action, request_id))
            }
            "GetRolePolicy" => self.get_role_policy(caller, fields, request_id),
            "ListRolePolicies" => self.list_role_policies(caller, fields, request_id),
            "GetRole" => self.get_role(caller, fields, request_id),
            "SimulatePrincipalPolicy" => self.simulate(caller, fields, request_id),
            _ => Err(AwsError::invalid_action(
                action,
                form.get("Version").map(String::as_str).unwrap_or_default(),
            )),
        }
    }

    fn put_role_policy(&mut self, caller: &Verified, mut fields: Fields) -> Result<(), AwsError> {
        let role_name = fields.name("RoleName", "roleName", 64);
        let policy_name = fields.name("PolicyName", "policyName", 128);
        let document = fields.take("PolicyDocument");
        fields.broken.text(
            "policyDocument",
            document.as_deref(),
            1..=DOCUMENT_MAX,
            Some(&POLICY),
        );
        fields.done(&[("roleName", &role_name), ("policyName", &policy_name)])?;
        let (now, delay_s) = (self.clock.now(), self.propagation_s);
        let role = self.role(caller, "iam:PutRolePolicy", &role_name)?;
        let document = document.unwrap_or_default();
        let policy = Policy::parse(&document, Kind::Permissions)
            .map_err(|error| AwsError::malformed_policy(error.to_string()))?;
        role.inline
            .put(&policy_name, document, policy, now, delay_s)
            .map_err(|TooLarge| AwsError::policies_too_large(&role_name))
    }

    fn delete_role_policy(
        &mut self,
        caller: &Verified,
        mut fields: Fields,
    ) -> Result<(), AwsError> {
        let role_name = fields.name("RoleName", "roleName", 64);
        let policy_name = fields.name("PolicyName", "policyName", 128);
        fields.done(&[("roleName", &role_name), ("policyName", &policy_name)])?;
        let (now, delay_s) = (self.clock.now(), self.propagation_s);
        let role = self.role(caller, "iam:DeleteRolePolicy", &role_name)?;
        if role.inline.delete(&policy_name, now, delay_s) {
            Ok(())
        } else {
            Err(AwsError::no_role_policy(&policy_name))
        }
    }

    fn get_role_policy(
        &mut self,
        caller: &Verified,
        mut fields: Fields,
        request_id: &str,
    ) -> Result<String, AwsError> {
        let role_name = fields.name("RoleName", "roleName", 64);
        let policy_name = fields.name("PolicyName", "policyName", 128);
        fields.done(&[("roleName", &role_name), ("policyName", &policy_name)])?;
        let role = self.role(caller, "iam:GetRolePolicy", &role_name)?;
        let text = role
            .inline
            .text(&policy_name)
            .ok_or_else(|| AwsError::no_role_policy(&policy_name))?;
        Ok(reply::role_policy(
            &role_name,
            &policy_name,
            text,
            request_id,
        ))
    }

    fn list_role_policies(
        &mut self,
        caller: &Verified,
        mut fields: Fields,
        request_id: &str,
    ) -> Result<String, AwsError> {
        let role_name = fields.name("RoleName", "roleName", 64);
        let items = fields.take("MaxItems");
        let marker = fields.take("Marker");
        let items = fields
            .broken
            .number("maxItems", items.as_deref(), 1..=PAGE_MAX)?
            .unwrap_or(PAGE_DEFAULT);
        fields.done(&[("roleName", &role_name)])?;
        let role = self.role(caller, "iam:ListRolePolicies", &role_name)?;
        let after = marker
            .map(|marker| {
                let name = STANDARD.decode(&marker).ok();
                name.and_then(|name| String::from_utf8(name).ok())
                    .ok_or_else(|| AwsError::validation(format!("Invalid Marker: {marker}")))
            })
            .transpose()?;
        let mut left = role
            .inline
            .texts()
            .map(|(name, _)| name)
            .filter(|name| after.as_deref().is_none_or(|after| *name > after));
        let page: Vec<&str> = left
            .by_ref()
            .take(usize::try_from(items).unwrap_or(usize::MAX))
            .collect();
        let marker = left
            .next()
            .and_then(|_| page.last())
            .map(|last| STANDARD.encode(last));
        Ok(reply::role_policies(&page, marker.as_deref(), request_id))
    }

    fn get_role(
        &mut self,
        caller: &Verified,
        mut fields: Fields,
        request_id: &str,
    ) -> Result<String, AwsError> {
        let role_name = fields.name("RoleName", "roleName", 64);
        fields.done(&[("roleName", &role_name)])?;
        let role = self.role(caller, "iam:GetRole", &role_name)?;
        Ok(reply::role(role, request_id))
    }

    /// What the role's policies as written would say: neither a session policy nor the time a policy takes to have its effect
    /// comes into it, so an `explicitDeny` here does not prove that a session is refused already.
    fn simulate(
        &mut self,
        caller: &Verified,
        mut fields: Fields,
        request_id: &str,
    ) -> Result<String, AwsError> {
        let source = fields.take("PolicySourceArn");
        fields
            .broken
            .text("policySourceArn", source.as_deref(), 20..=2_048, None);
        let actions = fields.list("ActionNames");
        if actions.is_empty() {
            fields.broken.text("actionNames", None, 1..=128, None);
        }
        for (at, action) in (1..).zip(&actions) {
            let at = format!("actionNames.{at}.member");
            fields.broken.text(&at, Some(action), 3..=128, None);
        }
        let resources = fields.list("ResourceArns");
        let context = fields.context()?;
        fields.done(&[])?;
        let source = source.unwrap_or_default();
        let resource = match resources.as_slice() {
            [] => None,
            [one] => Some(one.as_str()),
            _ => {
                return Err(AwsError::validation(
                    "the sandbox does not evaluate more than one of `ResourceArns`",
                ));
            }
        };
        check_simulated(&source, &actions, resource)?;

        let (arn, action) = (&source, "iam:SimulatePrincipalPolicy");
        self.allow(caller, action, arn, arn)?;
        let role = self
            .roles
            .get(arn)
            .filter(|_| account_of(arn) == caller.holder.account())
            .ok_or_else(|| AwsError::no_role(name_of(arn)))?;
        let policies = || role.identity.iter().chain(role.inline.written());
        let mut missing: Vec<&str> = policies()
            .flat_map(Policy::keys)
            .filter(|key| !context.has(key))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        let on = resource.unwrap_or("*");
        let simulated: Vec<Simulated<'_>> = actions
            .iter()
            .map(|action| Simulated {
                action,
                decision: decision(judge_own(
                    role.identity.as_ref(),
                    role.inline.written(),
                    action,
                    on,
                    &context,
                )),
            })
            .collect();
        Ok(reply::simulated(&simulated, on, &missing, request_id))
    }

    /// The role of this name in the caller's account, if the caller may do `action` with it. Whoever may not is not told
    /// whether there is one.
    fn role(
        &mut self,
        caller: &Verified,
        action: &str,
        name: &str,
    ) -> Result<&mut KeptRole, AwsError> {
        let account = caller.holder.account();
        let found = self
            .roles
            .keys()
            .find(|arn| account_of(arn) == account && name_of(arn) == name)
            .cloned();
        let arn = found.unwrap_or_else(|| format!("arn:aws:iam::{account}:role/{name}"));
        self.allow(caller, action, &arn, &format!("role {name}"))?;
        self.roles
            .get_mut(&arn)
            .ok_or_else(|| AwsError::no_role(name))
    }

    /// `told` is how IAM names the resource in its refusals: a role by its name.
    fn allow(
        &self,
        caller: &Verified,
        action: &str,
        resource: &str,
        told: &str,
    ) -> Result<(), AwsError> {
        let holder = &caller.holder;
        let context = holder.context(self.clock.now(), &caller.scope.region);
        self.bearing(holder, None)
            .authorize(holder, action, resource, &context)
            .map_err(|why| AwsError::access_denied(&holder.arn, action, told, &why))
    }
}

fn check_simulated(
    source: &str,
    actions: &[String],
    resource: Option<&str>,
) -> Result<(), AwsError> {
    let entity = source
        .strip_prefix("arn:aws:iam::")
        .and_then(|rest| rest.split_once(':'));
    match entity {
        Some((_, entity)) if entity.starts_with("role/") => {}
        Some((_, entity)) if entity.starts_with("user/") || entity.starts_with("group/") => {
            return Err(AwsError::validation(format!(
                "the sandbox does not evaluate the policies of `{source}`, only a role's"
            )));
        }
        Some(_) | None => {
            return Err(AwsError::invalid_input(format!(
                "Invalid Entity Arn: {source} does not clearly define entity type and name."
            )));
        }
    }
    let named = |action: &&String| {
        action.split_once(':').is_some_and(|(vendor, name)| {
            !vendor.is_empty() && !name.is_empty() && !action.contains(['*', '?'])
        })
    };
    if let Some(wrong) = actions.iter().find(|action| !named(action)) {
        return Err(AwsError::invalid_input(format!(
            "`{wrong}` is not an action such as iam:CreateUser"
        )));
    }
    if actions.len() > SIMULATED_MAX {
        return Err(AwsError::validation(format!(
            "the sandbox does not evaluate more than {SIMULATED_MAX} of `ActionNames`"
        )));
    }
    match resource {
        Some(arn) if arn != "*" && !(arn.starts_with("arn:") && arn.split(':').count() >= 6) => {
            Err(AwsError::invalid_input(format!(
                "ResourceNames are not in a valid ARN format: {arn}."
            )))
        }
        Some(_) | None => Ok(()),
    }
}

fn decision(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Denied => "explicitDeny",
        Verdict::Silent => "implicitDeny",
    }
}

/// The parameters of a request, taken one by one; what is left over is refused, not skipped.
struct Fields {
    left: BTreeMap<String, String>,
    broken: Broken,
}

impl Fields {
    fn new(form: &BTreeMap<String, String>) -> Fields {
        let mut left = form.clone();
        left.remove("Action");
        left.remove("Version");
        Fields {
            left,
            broken: Broken::default(),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.left.remove(name)
    }

    /// A name, for [`Fields::done`] to check its letters once its length is known to be right.
    fn name(&mut self, name: &str, at: &str, length_max: usize) -> String {
        let value = self.take(name);
        self.broken.text(at, value.as_deref(), 1..=length_max, None);
        value.unwrap_or_default()
    }

    /// Takes `name.member.1`, `name.member.2` …; a gap leaves the rest behind.
    fn list(&mut self, name: &str) -> Vec<String> {
        self.empty_list(name);
        (1..)
            .map_while(|at: u32| self.left.remove(&format!("{name}.member.{at}")))
            .collect()
    }

    /// The protocol writes a list that is given but empty as `name=`.
    fn empty_list(&mut self, name: &str) {
        if self.left.get(name).is_some_and(String::is_empty) {
            self.left.remove(name);
        }
    }

    /// Nothing is left, and what was taken is within its limits.
    fn done(self, names: &[(&str, &str)]) -> Result<(), AwsError> {
        if let Some(name) = self.left.keys().next() {
            return Err(AwsError::validation(format!(
                "the sandbox does not evaluate the parameter `{name}`"
            )));
        }
        self.broken.done()?;
        match names.iter().find(|(_, name)| !name.chars().all(is_name)) {
            Some((at, _)) => Err(AwsError::validation(format!(
                "The specified value for {at} is invalid. It must contain only alphanumeric characters and/or the \
                 following: +=,.@_-"
            ))),
            None => Ok(()),
        }
    }

    /// A simulation's context: all that its policies will know of the call, since nothing is filled in.
    fn context(&mut self) -> Result<Context, AwsError> {
        let mut context = Context::default();
        self.empty_list("ContextEntries");
        for at in 1_u32.. {
            let entry = format!("ContextEntries.member.{at}");
            let Some(key) = self.take(&format!("{entry}.ContextKeyName")) else {
                break;
            };
            let kind = self.take(&format!("{entry}.ContextKeyType"));
            let values = self.list(&format!("{entry}.ContextKeyValues"));
            let at = format!("contextEntries.{at}.member.contextKeyName");
            self.broken.text(&at, Some(&key), 5..=256, None);
            if context.has(&key) {
                return Err(AwsError::invalid_input(format!(
                    "the context key `{key}` is given twice"
                )));
            }
            match (kind.as_deref(), values.as_slice()) {
                (Some("date"), [one]) => {
                    let moment = one.parse().map_err(|_| {
                        AwsError::invalid_input(format!(
                            "`{one}` is not an instant such as 2026-01-31T09:30:00Z"
                        ))
                    })?;
                    context.date(&key, moment);
                }
                (Some("string"), [one]) if !holds_date(&key) => context.text(&key, one),
                (Some("stringList"), [_, ..]) if !holds_date(&key) => {
                    context.texts(&key, values.iter().map(String::as_str));
                }
                (kind, values) => {
                    return Err(AwsError::validation(format!(
                        "the sandbox does not evaluate {} values of type `{}` for the context key `{key}`",
                        values.len(),
                        kind.unwrap_or_default()
                    )));
                }
            }
        }
        Ok(context)
    }
}
