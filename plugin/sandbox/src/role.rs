//! A role as IAM keeps it: whom it trusts, what it may do, and its inline policies, which take effect a while after they are
//! written.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::clock::shifted;
use crate::policy::{Policy, minified_bytes};

/// IAM's limit on all inline policies of a role together, in bytes; white space is not counted.
pub const INLINE_BYTES_MAX: u64 = 10_240;

/// One role.
pub(crate) struct KeptRole {
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) made_at: Timestamp,
    pub(crate) max_session_s: u32,
    pub(crate) trust: (String, Policy),
    /// What it was set up with; `None` allows everything but IAM itself.
    pub(crate) identity: Option<Policy>,
    pub(crate) inline: InlinePolicies,
}

impl KeptRole {
    pub(crate) fn name(&self) -> &str {
        name_of(&self.arn)
    }

    /// `/`, or what stands between `role` and the name.
    pub(crate) fn path(&self) -> &str {
        let from_path = self.arn.split_once(":role").map_or("", |(_, rest)| rest);
        from_path.strip_suffix(self.name()).unwrap_or(from_path)
    }
}

/// The last part of a role's ARN, which is the role's name whatever its path.
pub(crate) fn name_of(role_arn: &str) -> &str {
    role_arn.rsplit('/').next().unwrap_or_default()
}

/// A role's inline policies: as written, and as the rest of AWS goes by them.
#[derive(Default)]
pub(crate) struct InlinePolicies {
    written: BTreeMap<String, (String, Policy)>,
    in_effect: Vec<Policy>,
    /// What will be in effect from when on, in the order written.
    coming: VecDeque<(Timestamp, Vec<Policy>)>,
}

/// The role's inline policies would be over [`INLINE_BYTES_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl InlinePolicies {
    /// Writes one, in the place of the one of that name, to take effect `delay_s` after `now`.
    pub(crate) fn put(
        &mut self,
        name: &str,
        text: String,
        policy: Policy,
        now: Timestamp,
        delay_s: u32,
    ) -> Result<(), TooLarge> {
        let others = self.written.iter().filter(|(other, _)| *other != name);
        let bytes: u64 = others.map(|(_, (text, _))| minified_bytes(text)).sum();
        if bytes + minified_bytes(&text) > INLINE_BYTES_MAX {
            return Err(TooLarge);
        }
        self.written.insert(name.to_owned(), (text, policy));
        self.changed(now, delay_s);
        Ok(())
    }

    /// Removes one, which ends its effect `delay_s` after `now`; `false` if there is none of that name.
    pub(crate) fn delete(&mut self, name: &str, now: Timestamp, delay_s: u32) -> bool {
        let found = self.written.remove(name).is_some();
        if found {
            self.changed(now, delay_s);
        }
        found
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.written.get(name).map(|(text, _)| text.as_str())
    }

    /// Names and texts as written, by name.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.written
            .iter()
            .map(|(name, (text, _))| (name.as_str(), text.as_str()))
    }

    pub(crate) fn written(&self) -> impl Iterator<Item = &Policy> {
        self.written.values().map(|(_, policy)| policy)
    }

    pub(crate) fn in_effect(&self) -> &[Policy] {
        &self.in_effect
    }

    /// Lets what was to take effect by `now` do so. What once took effect stays so when a clock goes back.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        let Some(last) = self.coming.iter().rposition(|(from, _)| *from <= now) else {
            return;
        };
        for (_, policies) in self.coming.drain(..=last) {
            self.in_effect = policies;
        }
    }

    fn changed(&mut self, now: Timestamp, delay_s: u32) {
        let policies = self.written().cloned().collect();
        self.coming
            .push_back((shifted(now, i64::from(delay_s)), policies));
        self.settle(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Kind;

    const POLICY: &str = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

    fn put(
        inline: &mut InlinePolicies,
        name: &str,
        text: &str,
        now: Timestamp,
        delay_s: u32,
    ) -> Result<(), TooLarge> {
        let policy = Policy::parse(text, Kind::Permissions).unwrap();
        inline.put(name, text.to_owned(), policy, now, delay_s)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    /// A policy of exactly `bytes` without white space.
    fn of_bytes(bytes: usize) -> String {
        let sid = "s".repeat(bytes - POLICY.len() - r#""Sid":"","#.len());
        POLICY.replace(r#"{"Effect""#, &format!(r#"{{"Sid":"{sid}","Effect""#))
    }

    #[test]
    fn all_policies_of_a_role_share_one_limit_and_white_space_is_free() {
        let mut inline = InlinePolicies::default();
        assert!(put(&mut inline, "a", &of_bytes(10_000), at(0), 0).is_ok());
        assert_eq!(
            put(&mut inline, "b", &of_bytes(241), at(0), 0),
            Err(TooLarge)
        );
        assert!(inline.text("b").is_none());
        assert!(put(&mut inline, "b", &of_bytes(240), at(0), 0).is_ok());
        // The one that is replaced no longer counts.
        assert_eq!(
            put(&mut inline, "a", &of_bytes(10_001), at(0), 0),
            Err(TooLarge)
        );
        let wide = of_bytes(10_000).replace(',', &format!(",{}", " \n\t".repeat(5_000)));
        assert!(put(&mut inline, "a", &wide, at(0), 0).is_ok());
        assert!(inline.delete("b", at(0), 0));
        assert!(put(&mut inline, "a", &of_bytes(10_240), at(0), 0).is_ok());
    }

    #[test]
    fn a_policy_takes_effect_when_its_time_has_come_and_in_the_order_written() {
        let mut inline = InlinePolicies::default();
        put(&mut inline, "a", POLICY, at(0), 10).unwrap();
        assert_eq!((inline.written().count(), inline.in_effect().len()), (1, 0));
        inline.settle(at(9));
        assert_eq!(inline.in_effect().len(), 0);
        inline.settle(at(10));
        assert_eq!(inline.in_effect().len(), 1);
        // A clock that goes back revives nothing.
        inline.settle(at(0));
        assert_eq!(inline.in_effect().len(), 1);
        // Removed with a delay, and written again at once: the removal is overtaken and never seen.
        assert!(inline.delete("a", at(20), 10));
        put(&mut inline, "a", POLICY, at(21), 0).unwrap();
        for second in [21, 30, 40] {
            inline.settle(at(second));
            assert_eq!(inline.in_effect().len(), 1, "{second}");
        }
        assert!(inline.delete("a", at(50), 0));
        assert_eq!(inline.in_effect().len(), 0);
        assert!(!inline.delete("a", at(50), 0));
    }

    #[test]
    fn a_path_is_not_part_of_the_name() {
        for (arn, path, name) in [
            ("arn:aws:iam::123456789012:role/jit", "/", "jit"),
            ("arn:aws:iam::123456789012:role/a/b/jit", "/a/b/", "jit"),
            ("arn:aws:iam::123456789012:role/jit/jit", "/jit/", "jit"),
        ] {
            let role = KeptRole {
                arn: arn.to_owned(),
                id: String::new(),
                made_at: at(0),
                max_session_s: 3_600,
                trust: (
                    POLICY.to_owned(),
                    Policy::parse(POLICY, Kind::Permissions).unwrap(),
                ),
                identity: None,
                inline: InlinePolicies::default(),
            };
            assert_eq!((role.path(), role.name()), (path, name));
        }
    }
}
