//! The limits of parameters, and AWS's words for each that is broken.

use crate::error::AwsError;

/// The shortest session (`DurationSeconds`).
pub const DURATION_MIN_S: u32 = 900;

/// The longest session of any role, and the most a role's own maximum can be.
pub const DURATION_MAX_S: u32 = 43_200;

/// What a session lasts if nothing is said.
const DURATION_DEFAULT_S: u32 = 3_600;

/// The most characters of an inline session policy.
pub const SESSION_POLICY_MAX: usize = 2_048;

/// The most session tags.
pub const TAGS_MAX: usize = 50;

/// Which characters a parameter may have.
pub(crate) struct Alphabet {
    /// As AWS's messages print it.
    pattern: &'static str,
    holds: fn(char) -> bool,
}

/// Session names and source identities.
pub(crate) const NAME: Alphabet = Alphabet {
    pattern: r"[\w+=,.@-]*",
    holds: is_name,
};

/// External ids.
pub(crate) const EXTERNAL_ID: Alphabet = Alphabet {
    pattern: r"[\w+=,.@:\/-]*",
    holds: is_external_id,
};

/// Policies.
pub(crate) const POLICY: Alphabet = Alphabet {
    pattern: r"[\u0009\u000A\u000D\u0020-\u00FF]+",
    holds: is_policy,
};

/// Tags' keys.
const TAG_KEY: Alphabet = Alphabet {
    pattern: r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+",
    holds: is_tag,
};

/// Tags' values, which may be empty.
const TAG_VALUE: Alphabet = Alphabet {
    pattern: r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*",
    holds: is_tag,
};

/// The constraints a request breaks, each in AWS's words.
#[derive(Default)]
pub(crate) struct Broken(Vec<String>);

impl Broken {
    fn add(&mut self, value: &str, at: &str, constraint: &str) {
        self.0.push(format!(
            "Value {value} at '{at}' failed to satisfy constraint: Member must {constraint}"
        ));
    }

    pub(crate) fn text(
        &mut self,
        at: &str,
        value: Option<&str>,
        length: std::ops::RangeInclusive<usize>,
        alphabet: Option<&Alphabet>,
    ) {
        let Some(value) = value else {
            return self.add("null", at, "not be null");
        };
        let quoted = format!("'{value}'");
        let characters = value.chars().count();
        if characters < *length.start() {
            self.add(
                &quoted,
                at,
                &format!("have length greater than or equal to {}", length.start()),
            );
        }
        if characters > *length.end() {
            self.add(
                &quoted,
                at,
                &format!("have length less than or equal to {}", length.end()),
            );
        }
        if let Some(alphabet) = alphabet
            && !value.chars().all(alphabet.holds)
        {
            self.add(
                &quoted,
                at,
                &format!("satisfy regular expression pattern: {}", alphabet.pattern),
            );
        }
    }

    pub(crate) fn tags(&mut self, tags: &[(String, String)], transitive: &[String]) {
        for (list, at) in [
            (tags.len(), "tags"),
            (transitive.len(), "transitiveTagKeys"),
        ] {
            if list > TAGS_MAX {
                let count = format!("'[{list} members]'");
                self.add(
                    &count,
                    at,
                    &format!("have length less than or equal to {TAGS_MAX}"),
                );
            }
        }
        for (at, (key, value)) in (1..).zip(tags) {
            self.text(
                &format!("tags.{at}.member.key"),
                Some(key),
                1..=128,
                Some(&TAG_KEY),
            );
            self.text(
                &format!("tags.{at}.member.value"),
                Some(value),
                0..=256,
                Some(&TAG_VALUE),
            );
        }
        for (at, key) in (1..).zip(transitive) {
            self.text(
                &format!("transitiveTagKeys.{at}.member"),
                Some(key),
                1..=128,
                Some(&TAG_KEY),
            );
        }
    }

    pub(crate) fn duration(&mut self, text: Option<&str>) -> Result<u32, AwsError> {
        self.number("durationSeconds", text, DURATION_MIN_S..=DURATION_MAX_S)
            .map(|seconds| seconds.unwrap_or(DURATION_DEFAULT_S))
    }

    /// `None` if it is not given.
    pub(crate) fn number(
        &mut self,
        at: &str,
        text: Option<&str>,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, AwsError> {
        let Some(text) = text else {
            return Ok(None);
        };
        let number: u32 = text
            .parse()
            .map_err(|_| AwsError::malformed_query(format!("`{text}` is not a number")))?;
        let quoted = format!("'{number}'");
        if number < *range.start() {
            self.add(
                &quoted,
                at,
                &format!("have value greater than or equal to {}", range.start()),
            );
        }
        if number > *range.end() {
            self.add(
                &quoted,
                at,
                &format!("have value less than or equal to {}", range.end()),
            );
        }
        Ok(Some(number))
    }

    pub(crate) fn done(self) -> Result<(), AwsError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(AwsError::constraints(&self.0))
        }
    }
}

/// Also the letters of IAM's own names.
pub(crate) fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
}

fn is_external_id(letter: char) -> bool {
    is_name(letter) || ":/".contains(letter)
}

/// Unicode's letters, numbers and separators; the standard library's classes differ from them in a few marks only.
fn is_tag(letter: char) -> bool {
    let separator = letter.is_whitespace() && !letter.is_control();
    letter.is_alphanumeric() || separator || "_.:/=+-@".contains(letter)
}

fn is_policy(letter: char) -> bool {
    matches!(letter, '\u{9}' | '\u{a}' | '\u{d}' | '\u{20}'..='\u{ff}')
}
