//! AssumeRole: what may be asked, within which limits, and whether the role trusts who asks.

use std::collections::BTreeMap;

use crate::caller::{Holder, SessionTags, same_key};
use crate::condition::Context;
use crate::error::AwsError;
use crate::limits::{Broken, EXTERNAL_ID, NAME, POLICY, SESSION_POLICY_MAX};
use crate::policy::{Kind, Policy, Verdict, minified_bytes};

/// The longest session that credentials that are temporary themselves may ask for.
const CHAINED_MAX_S: u32 = 3_600;

/// The size, in bytes, at which the packed policy is full: an estimate, in which the session policy counts without its white
/// space and each tag its key, its value and two bytes. AWS publishes neither its packing nor its limit; this figure lets
/// the longest policy pass alone and refuses it with a handful of full-size tags.
pub const PACKED_BYTES_MAX: u64 = 4_096;

/// One AssumeRole, within the limits that need no look at the role.
pub(crate) struct AssumeRole {
    pub(crate) role_arn: String,
    pub(crate) session_name: String,
    pub(crate) duration_s: u32,
    pub(crate) policy: Option<(String, Policy)>,
    pub(crate) source_identity: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) transitive_tag_keys: Vec<String>,
}

impl AssumeRole {
    /// Reads the form of an AssumeRole. Parameters that are not evaluated here are refused, not skipped.
    pub(crate) fn parse(form: &BTreeMap<String, String>) -> Result<AssumeRole, AwsError> {
        let mut form = form.clone();
        form.remove("Action");
        form.remove("Version");
        let role_arn = form.remove("RoleArn");
        let session_name = form.remove("RoleSessionName");
        let duration = form.remove("DurationSeconds");
        let policy = form.remove("Policy");
        let source_identity = form.remove("SourceIdentity");
        let external_id = form.remove("ExternalId");
        let tags = take_tags(&mut form);
        let transitive_tag_keys = take_list(&mut form, "TransitiveTagKeys.member.");
        if let Some(name) = form.keys().next() {
            return Err(AwsError::validation(format!(
                "the sandbox does not evaluate the parameter `{name}`"
            )));
        }

        let mut broken = Broken::default();
        broken.text("roleArn", role_arn.as_deref(), 20..=2_048, None);
        broken.text(
            "roleSessionName",
            session_name.as_deref(),
            2..=64,
            Some(&NAME),
        );
        if let Some(text) = &policy {
            broken.text("policy", Some(text), 1..=SESSION_POLICY_MAX, Some(&POLICY));
        }
        if let Some(text) = &source_identity {
            broken.text("sourceIdentity", Some(text), 2..=64, Some(&NAME));
        }
        if let Some(text) = &external_id {
            broken.text("externalId", Some(text), 2..=1_224, Some(&EXTERNAL_ID));
        }
        broken.tags(&tags, &transitive_tag_keys);
        let duration_s = broken.duration(duration.as_deref())?;
        broken.done()?;

        let role_arn = role_arn.unwrap_or_default();
        if !role_arn.starts_with("arn:aws:iam::") || !role_arn.contains(":role/") {
            return Err(AwsError::validation(format!("{role_arn} is invalid")));
        }
        check_keys(&tags, &transitive_tag_keys)?;
        let policy = match policy {
            Some(text) => {
                let parsed = Policy::parse(&text, Kind::Permissions)
                    .map_err(|error| AwsError::malformed_policy(error.to_string()))?;
                Some((text, parsed))
            }
            None => None,
        };
        let asked = AssumeRole {
            role_arn,
            session_name: session_name.unwrap_or_default(),
            duration_s,
            policy,
            source_identity,
            external_id,
            tags,
            transitive_tag_keys,
        };
        match asked.packed_percent() {
            Some(percent) if percent > 100 => Err(AwsError::packed_policy(percent)),
            _ => Ok(asked),
        }
    }

    /// How full the packed policy is, in per cent, rounded up; `None` if there is neither policy nor tag.
    ///
    /// An estimate: AWS compresses in a way it does not publish. Here the policy counts its bytes without the white space
    /// between JSON tokens, and each tag its key, its value and two bytes.
    pub(crate) fn packed_percent(&self) -> Option<u64> {
        if self.policy.is_none() && self.tags.is_empty() {
            return None;
        }
        let policy = self
            .policy
            .as_ref()
            .map_or(0, |(text, _)| minified_bytes(text));
        let tags: u64 = self
            .tags
            .iter()
            .map(|(key, value)| bytes(key) + bytes(value) + 2)
            .sum();
        Some(((policy + tags) * 100).div_ceil(PACKED_BYTES_MAX))
    }

    /// The context of the call: the caller's own facts, and what this request says.
    pub(crate) fn context(&self, mut context: Context) -> Context {
        context.text("sts:RoleSessionName", &self.session_name);
        if let Some(id) = &self.external_id {
            context.text("sts:ExternalId", id);
        }
        if let Some(identity) = &self.source_identity {
            context.text("sts:SourceIdentity", identity);
        }
        for (key, value) in &self.tags {
            context.text(&format!("aws:RequestTag/{key}"), value);
        }
        if !self.tags.is_empty() {
            context.texts("aws:TagKeys", self.tags.iter().map(|(key, _)| key.as_str()));
        }
        if !self.transitive_tag_keys.is_empty() {
            context.texts(
                "sts:TransitiveTagKeys",
                self.transitive_tag_keys.iter().map(String::as_str),
            );
        }
        context
    }

    /// The actions this request needs, each in the caller's policies and in the role's trust policy: the whole call fails
    /// if one is missing.
    pub(crate) fn actions(&self, caller: &Holder) -> Vec<&'static str> {
        let mut actions = vec!["sts:AssumeRole"];
        if !self.tags.is_empty() || !self.transitive_tag_keys.is_empty() {
            actions.push("sts:TagSession");
        }
        if self.source_identity.is_some() || caller.source_identity().is_some() {
            actions.push("sts:SetSourceIdentity");
        }
        actions
    }

    /// Whether the role trusts `caller` for everything this request needs.
    pub(crate) fn trusted(
        &self,
        caller: &Holder,
        trust: &Policy,
        context: &Context,
    ) -> Result<(), AwsError> {
        for action in self.actions(caller) {
            if trust.judge_trust(caller.who(), action, context) != Verdict::Allowed {
                return Err(AwsError::access_denied(
                    &caller.arn,
                    action,
                    &self.role_arn,
                    "",
                ));
            }
        }
        Ok(())
    }

    /// The limits that depend on the role and on the caller's own credentials.
    pub(crate) fn check_duration(&self, caller: &Holder, role_max_s: u32) -> Result<(), AwsError> {
        if caller.credentials.session_token.is_some() && self.duration_s > CHAINED_MAX_S {
            return Err(AwsError::validation(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            ));
        }
        if self.duration_s > role_max_s {
            return Err(AwsError::validation(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        Ok(())
    }

    /// The tags of the new session: those of this request, and the caller's transitive ones, which it may not override.
    pub(crate) fn session_tags(&self, caller: &Holder) -> Result<SessionTags, AwsError> {
        let mut tags = self.tags.clone();
        let mut transitive = self.transitive_tag_keys.clone();
        for (key, value) in caller.transitive_tags() {
            if self.tags.iter().any(|(given, _)| same_key(given, &key)) {
                return Err(AwsError::invalid_parameter(
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key \
                     from the calling session.",
                ));
            }
            transitive.push(key.clone());
            tags.push((key, value));
        }
        Ok(SessionTags {
            all: tags,
            transitive,
        })
    }

    /// The source identity of the new session: once set it can be neither changed nor dropped.
    pub(crate) fn source_identity(&self, caller: &Holder) -> Result<Option<String>, AwsError> {
        match (caller.source_identity(), self.source_identity.as_deref()) {
            (Some(kept), Some(asked)) if kept != asked => Err(AwsError::access_denied(
                &caller.arn,
                "sts:SetSourceIdentity",
                &self.role_arn,
                "",
            )),
            (Some(kept), _) => Ok(Some(kept.to_owned())),
            (None, asked) => Ok(asked.map(str::to_owned)),
        }
    }
}

fn check_keys(tags: &[(String, String)], transitive: &[String]) -> Result<(), AwsError> {
    let mut seen: Vec<&str> = Vec::new();
    for (key, _) in tags {
        if seen.iter().any(|other| same_key(other, key)) {
            return Err(AwsError::invalid_parameter(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        if key.to_lowercase().starts_with("aws:") {
            return Err(AwsError::invalid_parameter(
                "Tag keys beginning with aws: are reserved for system use",
            ));
        }
        seen.push(key);
    }
    let given = |key: &String| seen.iter().any(|other| same_key(other, key));
    if !transitive.iter().all(given) {
        return Err(AwsError::invalid_parameter(
            "The specified transitive tag key must be included in the requested tags.",
        ));
    }
    Ok(())
}

/// Takes `prefix1`, `prefix2` … from the form; a gap leaves the rest behind, to be refused as unknown.
fn take_list(form: &mut BTreeMap<String, String>, prefix: &str) -> Vec<String> {
    (1..)
        .map_while(|at: u32| form.remove(&format!("{prefix}{at}")))
        .collect()
}

fn take_tags(form: &mut BTreeMap<String, String>) -> Vec<(String, String)> {
    (1..)
        .map_while(|at: u32| {
            let key = form.remove(&format!("Tags.member.{at}.Key"))?;
            Some((
                key,
                form.remove(&format!("Tags.member.{at}.Value"))
                    .unwrap_or_default(),
            ))
        })
        .collect()
}

fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/r";

    fn parse(more: &[(&str, &str)]) -> Result<AssumeRole, AwsError> {
        let mut form = BTreeMap::from([
            ("RoleArn".to_owned(), ROLE.to_owned()),
            ("RoleSessionName".to_owned(), "writ-1".to_owned()),
        ]);
        for (name, value) in more {
            form.insert((*name).to_owned(), (*value).to_owned());
        }
        AssumeRole::parse(&form)
    }

    fn refusal(more: &[(&str, &str)]) -> String {
        let error = parse(more).map(|_| ()).unwrap_err();
        format!("{} {}: {}", error.status, error.code, error.message)
    }

    #[test]
    fn each_limit_is_refused_in_awss_words() {
        for (more, expected) in [
            (
                ("DurationSeconds", "899"),
                "400 ValidationError: 1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy \
                 constraint: Member must have value greater than or equal to 900",
            ),
            (
                ("DurationSeconds", "43201"),
                "400 ValidationError: 1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy \
                 constraint: Member must have value less than or equal to 43200",
            ),
            (
                ("RoleSessionName", "a b"),
                r"400 ValidationError: 1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*",
            ),
            (
                ("RoleSessionName", "a"),
                "400 ValidationError: 1 validation error detected: Value 'a' at 'roleSessionName' failed to satisfy \
                 constraint: Member must have length greater than or equal to 2",
            ),
            (
                ("SourceIdentity", "aws:root"),
                r"400 ValidationError: 1 validation error detected: Value 'aws:root' at 'sourceIdentity' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*",
            ),
            (
                ("ExternalId", "a b"),
                r"400 ValidationError: 1 validation error detected: Value 'a b' at 'externalId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@:\/-]*",
            ),
            (
                ("RoleArn", "arn:aws:iam::1:r"),
                "400 ValidationError: 1 validation error detected: Value 'arn:aws:iam::1:r' at 'roleArn' failed to \
                 satisfy constraint: Member must have length greater than or equal to 20",
            ),
            (
                ("RoleArn", "arn:aws:iam::123456789012:user/u"),
                "400 ValidationError: arn:aws:iam::123456789012:user/u is invalid",
            ),
            (
                ("Policy", "{"),
                "400 MalformedPolicyDocument: This policy contains invalid Json",
            ),
            (
                ("Policy", "{\"\u{1f600}\":1}"),
                "400 ValidationError: 1 validation error detected: Value '{\"\u{1f600}\":1}' at 'policy' failed to satisfy \
                 constraint: Member must satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
            ),
            (
                (
                    "PolicyArns.member.1.arn",
                    "arn:aws:iam::aws:policy/ReadOnlyAccess",
                ),
                "400 ValidationError: the sandbox does not evaluate the parameter `PolicyArns.member.1.arn`",
            ),
            (
                ("TransitiveTagKeys.member.1", "a"),
                "400 InvalidParameterValue: The specified transitive tag key must be included in the requested tags.",
            ),
        ] {
            assert_eq!(refusal(&[more]), expected);
        }
    }

    #[test]
    fn the_ends_of_each_range_are_inside_it() {
        let long = "n".repeat(64);
        for more in [
            ("DurationSeconds", "900"),
            ("DurationSeconds", "43200"),
            ("RoleSessionName", "ab"),
            ("RoleSessionName", long.as_str()),
            ("RoleSessionName", "_+=,.@-"),
            ("SourceIdentity", "ana@example.com"),
            ("ExternalId", "a:/b"),
        ] {
            assert!(parse(&[more]).is_ok(), "{more:?}");
        }
        assert!(
            refusal(&[("RoleSessionName", &"n".repeat(65))]).contains("less than or equal to 64")
        );
    }

    #[test]
    fn several_broken_constraints_are_counted() {
        let said = refusal(&[("DurationSeconds", "1"), ("RoleSessionName", "/")]);
        assert!(
            said.starts_with("400 ValidationError: 3 validation errors detected: Value '/' at"),
            "{said}"
        );
    }

    #[test]
    fn tag_keys_are_one_key_whatever_their_case() {
        let twice = [
            ("Tags.member.1.Key", "Team"),
            ("Tags.member.1.Value", "a"),
            ("Tags.member.2.Key", "team"),
            ("Tags.member.2.Value", "b"),
        ];
        assert_eq!(
            refusal(&twice),
            "400 InvalidParameterValue: Duplicate tag keys found. Please note that Tag keys are case insensitive."
        );
        let transitive = [
            ("Tags.member.1.Key", "Team"),
            ("TransitiveTagKeys.member.1", "team"),
        ];
        assert!(parse(&transitive).is_ok());
        assert!(refusal(&[("Tags.member.1.Key", "a*b")]).contains("'tags.1.member.key'"));
        assert!(refusal(&[("Tags.member.1.Key", "AWS:x")]).contains("reserved"));
        assert!(
            refusal(&[("Tags.member.2.Key", "gap")]).contains("does not evaluate the parameter")
        );
    }

    #[test]
    fn the_packed_size_can_be_full_below_2048_characters() {
        let tags: Vec<(String, String)> = (1..=20)
            .map(|at| (format!("Tags.member.{at}.Key"), format!("k{at}")))
            .collect();
        let values: Vec<(String, String)> = (1..=20)
            .map(|at| (format!("Tags.member.{at}.Value"), "v".repeat(256)))
            .collect();
        let all: Vec<(&str, &str)> = tags
            .iter()
            .chain(&values)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            refusal(&all),
            "400 PackedPolicyTooLarge: Packed policy consumes 128% of allotted space, please use smaller policy."
        );
        assert!(parse(&all[..15]).is_ok());
    }

    #[test]
    fn a_policy_of_2048_characters_passes_and_one_more_does_not() {
        let open = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Sid":""#;
        let sid = "s".repeat(2_048 - open.len() - 3);
        let policy = format!("{open}{sid}\"}}}}");
        assert_eq!(policy.len(), 2_048);
        assert!(parse(&[("Policy", &policy)]).is_ok());
        assert!(
            refusal(&[("Policy", &format!("{policy} "))]).contains("less than or equal to 2048")
        );
    }
}
