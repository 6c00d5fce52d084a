//! The stories of a grant's life as people type them, against a real broker: `tests/transcripts/life/*.txt`. WRIT_BLESS=1
//! writes them anew, for review. Ids and moments stand there as names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops where it cannot go on"
)]

mod dev;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use similar::TextDiff;
use writ_sandbox::{Credentials, Session};

use dev::{Dev, Ran};

/// The longest that anything here may take: a machine that does much else is slow.
const PATIENCE: Duration = Duration::from_secs(60);

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// What was typed and what was answered, as it goes into the transcript.
struct Story {
    dev: Dev,
    text: String,
    names: Vec<(String, &'static str)>,
}

impl Story {
    fn begin() -> Story {
        Story {
            dev: Dev::start(Some(&here().join("life/policies"))),
            text: String::new(),
            names: Vec::new(),
        }
    }

    /// Somebody types a command, and it ends with this code.
    fn types(&mut self, who: &str, arguments: &[&str], code: i32) -> Ran {
        let ran = self.dev.run(who, arguments);
        self.tell(who, arguments, &ran);
        ran.ends(code)
    }

    /// Somebody types a command that prints an id, which is called `name` from now on.
    fn names(&mut self, name: &'static str, who: &str, arguments: &[&str], code: i32) -> String {
        let ran = self.dev.run(who, arguments);
        let id = ran.stdout.lines().next().unwrap_or_default().to_owned();
        assert_eq!(id.len(), 26, "{}{}", ran.stdout, ran.stderr);
        self.names.push((id.clone(), name));
        self.tell(who, arguments, &ran);
        ran.ends(code);
        id
    }

    /// Somebody types a command that waits.
    fn starts(&self, who: &str, arguments: &[&str]) -> Child {
        let mut command = self.dev.writ(who, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// What became of it.
    fn sees(&mut self, who: &str, arguments: &[&str], waiting: Child, code: i32) -> Ran {
        let ran = Ran::of(&waiting.wait_with_output().unwrap());
        self.tell(who, arguments, &ran);
        ran.ends(code)
    }

    /// A request as a script sees it; nothing of it is told.
    fn request(&self, who: &str, id: &str) -> Value {
        let shown = self.dev.run(who, &["show", id, "--json"]).ends(0).json();
        shown["request"].clone()
    }

    fn tell(&mut self, who: &str, arguments: &[&str], ran: &Ran) {
        let words: Vec<_> = arguments.iter().map(|word| quoted(word)).collect();
        let mut text = format!("{who}$ writ {}\n{}", words.join(" "), ran.stdout);
        for line in ran.stderr.lines() {
            text.push_str(&format!("! {line}\n"));
        }
        text.push_str(&format!("[{}]\n\n", ran.code));
        let text = self.named(&text);
        self.text.push_str(&text);
    }

    /// With names for what differs from run to run.
    fn named(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, name) in &self.names {
            text = text.replace(id, &format!("…{name}"));
            text = text.replace(&id[22..], name);
        }
        steady(&text)
    }

    /// Compares the transcript with the one of last time.
    fn ends(self, name: &str) {
        let path = here().join("transcripts/life").join(name);
        if std::env::var_os("WRIT_BLESS").is_some() {
            std::fs::write(&path, &self.text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expected == self.text,
            "{name} differs; WRIT_BLESS=1 takes the new text\n{}",
            TextDiff::from_lines(expected.as_str(), &self.text).unified_diff()
        );
    }
}

fn quoted(word: &str) -> String {
    match word.contains(' ') {
        true => format!("'{word}'"),
        false => word.to_owned(),
    }
}

/// Moments, spans from now, digests and keys as words; columns two spaces apart, for they are as wide as what stood there.
fn steady(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || ":-.".contains(c);
    let (mut named, mut rest, mut previous) = (String::new(), text, "");
    while let Some(start) = rest.find(is_word) {
        let from = &rest[start..];
        let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        // Punctuation at the end belongs to the sentence.
        let word = from[..end].trim_end_matches([':', '.', '-']);
        named.push_str(&rest[..start]);
        named.push_str(shape(word, previous).unwrap_or(word));
        named.push_str(&from[word.len()..end]);
        (rest, previous) = (&from[end..], word);
    }
    named.push_str(rest);
    named
        .lines()
        .filter(|line| !is_on_the_way(line))
        .map(|line| narrow(&how_far(line)))
        .collect()
}

/// The steps that an end at AWS takes, as far as they are waited for: which of them is seen depends on who is faster.
const STEPS: [&str; 3] = ["requested", "written", "verified"];

/// A step before the last one, told while it is waited for.
fn is_on_the_way(line: &str) -> bool {
    let told = |step: &&str| line.contains(&format!(" at AWS: {step} <moment>"));
    line.starts_with("! ") && STEPS.iter().take(2).any(told)
}

/// Without the step that a view happens to be at.
fn how_far(line: &str) -> String {
    for step in STEPS {
        for (shown, end) in [("at AWS: ", ';'), ("  at AWS   ", '\n')] {
            let start = format!("{shown}{step}");
            if let Some((before, after)) = line.split_once(&start)
                && !line.starts_with("! ")
            {
                let rest = after.find(end).map_or("", |at| &after[at..]);
                // In a table, what stands in the columns after it stays.
                let rest = match (end, after.find("  ")) {
                    (';', Some(at)) if !after[..at].contains(';') => &after[at..],
                    _ => rest,
                };
                return format!("{before}{shown}<how far>{rest}");
            }
        }
    }
    line.to_owned()
}

fn shape(word: &str, previous: &str) -> Option<&'static str> {
    let units = ['d', 'h', 'm', 's'];
    let counts = || {
        word.split(units)
            .all(|it| it.bytes().all(|b| b.is_ascii_digit()))
    };
    if word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T' {
        Some("<moment>")
    } else if word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
        Some("<digest>")
    } else if word.starts_with("ASIA") {
        Some("<key>")
    } else if previous == "in" && word.len() > 1 && word.ends_with(units) && counts() {
        Some("<while>")
    } else {
        None
    }
}

fn narrow(line: &str) -> String {
    // An event's place in the journal.
    let trimmed = line
        .trim_start()
        .trim_start_matches(|c: char| c.is_ascii_digit());
    if let Some(event) = trimmed.strip_prefix(" <moment> ") {
        return format!("  <moment> {event}\n");
    }
    match line.trim_start_matches("! ").starts_with(' ') {
        true => format!("{line}\n"),
        false => {
            let cells = line
                .split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty());
            format!("{}\n", cells.collect::<Vec<_>>().join("  "))
        }
    }
}

/// Waits until `is` holds.
fn until(mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "it took too long");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const SLOW: &str = "INC-7: slow queries";

fn ask<'a>(scope: &'a str, length: &'a str) -> Vec<&'a str> {
    vec![
        "request",
        scope,
        "--for",
        length,
        "--reason",
        SLOW,
        "--no-wait",
    ]
}

/// The words of an extension.
fn longer<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["extend", id], more, &["--reason", "not done yet"]].concat()
}

#[test]
fn an_approver_gives_less_than_was_asked() {
    let mut story = Story::begin();
    let id = story.names("ASKED", "mia", &ask("db", "2h"), 7);
    let asked_for = story.request("mia", &id)["digest"].clone();
    story.types("pat", &["approve", &id, "--for", "3h"], 2);
    story.types("mia", &["approve", &id, "--for", "1h"], 3);
    story.types("pat", &["approve", &id, "--for", "30m"], 0);
    // What was asked for at first is no longer what anybody consents to.
    let asked_for = asked_for.as_str().unwrap();
    story.types("pat", &["approve", &id, "--digest", asked_for], 1);
    story.types("mia", &["show", &id], 0);
    story.types("mia", &["requests", "--mine"], 0);
    let request = story.request("mia", &id);
    assert_eq!(
        (
            request["duration_s"].as_i64(),
            request["asked_for_s"].as_i64()
        ),
        (Some(1_800), Some(7_200))
    );
    story.ends("less.txt");
}

#[test]
fn a_scope_asks_others_when_nobody_has_decided_for_a_while() {
    let mut story = Story::begin();
    let id = story.names("ASKED", "mia", &ask("db", "2h"), 7);
    until(|| !story.request("mia", &id)["escalation"].is_null());
    story.types("mia", &["show", &id], 0);
    // Being asked gives nobody a right.
    story.types("lee", &["approve", &id], 1);
    story.ends("escalation.txt");
}

#[test]
fn a_window_is_made_longer_while_it_is_open() {
    let mut story = Story::begin();
    let id = story.names("LONG", "sam", &ask("db", "10m"), 0);
    let extend = |story: &mut Story, more: &[&str], code| {
        story.types("sam", &longer(&id, more), code);
    };
    // Only an open window is extended.
    extend(&mut story, &["--by", "10m"], 8);
    extend(&mut story, &["--for", "20m"], 8);
    story.dev.run("sam", &["credentials", &id]).ends(0);
    extend(&mut story, &["--by", "10m"], 0);
    extend(&mut story, &["--for", "15m"], 2);
    extend(&mut story, &["--for", "3h"], 3);
    extend(&mut story, &["--by", "20m", "--for", "1h"], 2);
    story.types(
        "pat",
        &["extend", &id, "--for", "1h", "--reason", "for her"],
        3,
    );
    story.types(
        "mia",
        &["extend", &id, "--for", "1h", "--reason", "for her"],
        1,
    );

    extend(&mut story, &["--by", "40m", "--no-wait"], 7);
    extend(&mut story, &["--for", "1h", "--timeout", "1s"], 6);
    story.types("pat", &["requests", "--to-approve"], 0);
    story.types("sam", &["approve", &id], 3);
    story.types("pat", &["approve", &id, "--for", "30m"], 2);
    story.types("pat", &["deny", &id, "--reason", "hand it over"], 0);

    let words = longer(&id, &["--for", "1h"]);
    let waits = |story: &Story| !story.request("sam", &id)["extension"].is_null();
    let waiting = story.starts("sam", &words);
    until(|| waits(&story));
    story.types("pat", &["approve", &id], 0);
    story.sees("sam", &words, waiting, 0);
    let words = longer(&id, &["--for", "90m"]);
    let waiting = story.starts("sam", &words);
    until(|| waits(&story));
    story.types("pat", &["deny", &id, "--reason", "enough"], 0);
    story.sees("sam", &words, waiting, 5);
    story.types("sam", &["show", &id], 0);
    story.types("sam", &["journal", "list", "--request", &id], 0);
    story.ends("longer.txt");
}

#[test]
fn renewals_go_on_past_the_old_end_of_a_window_that_was_made_longer() {
    let dev = Dev::start(Some(&here().join("life/policies")));
    let asked = ["request", "db", "--for", "30s", "--reason", "paged"];
    let asked = dev.run("sam", &asked).ends(0);
    let process = || {
        let ran = dev.run("sam", &["credentials", "db", "--format", "process"]);
        ran.ends(0).json()
    };
    let first = process();
    assert_eq!(process(), first, "the same are given again");
    let words = ["extend", &asked.id(), "--by", "5m", "--reason", "not done"];
    dev.run("sam", &words).ends(0);
    // The old ones end with the old window; before that they are renewed.
    let mut second = process();
    until(|| {
        second = process();
        second != first
    });
    assert!(
        jiff::Timestamp::now() < expiration(&first),
        "it was too late"
    );
    let longer_s = expiration(&second).as_second() - expiration(&first).as_second();
    assert_eq!(longer_s, 300);
    assert!(
        allows(&dev, &second),
        "the new ones work before the old end"
    );
    until(|| jiff::Timestamp::now() >= expiration(&first));
    assert!(
        !allows(&dev, &first),
        "the old ones end with the old window"
    );
    assert!(allows(&dev, &second), "the new ones work past it");
    assert_eq!(process(), second);
}

#[test]
fn a_command_with_a_profile_renews_past_the_old_end_too() {
    let dev = Dev::start(Some(&here().join("life/policies")));
    let writ = env!("CARGO_BIN_EXE_writ");
    // As AWS's programs do: the profile's command, in a shell. The first ones given live to the window's end.
    let script = format!(
        r#"set -e
           test -z "$AWS_ACCESS_KEY_ID$AWS_SECRET_ACCESS_KEY$AWS_SESSION_TOKEN"
           grep -q "^\[profile $AWS_PROFILE\]$" "$AWS_CONFIG_FILE"
           process=$(sed -n 's/^credential_process = //p' "$AWS_CONFIG_FILE")
           sh -c "$process"
           id=$(echo "$AWS_PROFILE" | sed 's/^writ-//')
           '{writ}' extend "$id" --by 5m --reason 'not done' 2>/dev/null
           sleep 13
           sh -c "$process"
           echo "$AWS_REGION $AWS_CONFIG_FILE""#
    );
    let words = ["exec", "db", "--for", "15s", "--reason", "paged", "--renew"];
    let mut command = dev.writ("sam", &words);
    command.args(["--", "sh", "-c", &script]);
    command
        .env("AWS_ACCESS_KEY_ID", "another")
        .env("AWS_SESSION_TOKEN", "another");
    let ran = Ran::of(&command.output().unwrap()).ends(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let given = |line: usize| serde_json::from_str::<Value>(lines[line]).unwrap();
    let longer_s = expiration(&given(1)).as_second() - expiration(&given(0)).as_second();
    assert_eq!(longer_s, 300, "{}", ran.stdout);
    let (region, profile) = lines[2].split_once(' ').unwrap();
    assert_eq!(region, "eu-west-1");
    // The window ended with the command, and its profile is gone.
    assert!(!Path::new(profile).exists(), "{profile}");
    assert!(ran.stderr.contains("RELEASED"), "{}", ran.stderr);
}

fn expiration(printed: &Value) -> jiff::Timestamp {
    printed["Expiration"].as_str().unwrap().parse().unwrap()
}

fn allows(dev: &Dev, printed: &Value) -> bool {
    let text = |name: &str| printed[name].as_str().unwrap().to_owned();
    let credentials = Credentials {
        access_key_id: text("AccessKeyId"),
        secret_access_key: text("SecretAccessKey"),
        session_token: Some(text("SessionToken")),
    };
    let session = Session::new(credentials, "eu-west-1");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let called = runtime.block_on(session.call(&dev.aws, "rds", "DescribeDBInstances"));
    called.unwrap().allowed()
}

#[test]
fn an_emergency_is_announced_marked_and_reviewed() {
    let mut story = Story::begin();
    let glass = [
        "request",
        "db",
        "--for",
        "20m",
        "--reason",
        "INC-9: down",
        "--break-glass",
    ];
    story.types("mia", &["scopes"], 0);
    story.types("mia", &["can", "db", "--for", "20m"], 7);
    story.types("mia", &["can", "db", "--for", "20m", "--break-glass"], 0);
    story.types("mia", &["can", "db", "--for", "1h", "--break-glass"], 3);
    story.types(
        "kim",
        &[
            "request",
            "web",
            "--for",
            "20m",
            "--reason",
            "down",
            "--break-glass",
        ],
        3,
    );
    story.types(
        "mia",
        &["request", "db", "--for", "20m", "--break-glass"],
        2,
    );
    let id = story.names("GLASS", "mia", &glass, 0);
    story.types("pat", &["requests"], 0);
    story.types("zoe", &["requests", "--to-review"], 0);

    // It is used in so many words only.
    story.types("mia", &["credentials", "db"], 2);
    let used = story
        .dev
        .run("mia", &["credentials", "db", "--break-glass"])
        .ends(0);
    story.text.push_str(&story.named(&format!(
        "mia$ writ credentials db --break-glass\n! {}\n\n",
        used.stderr
    )));
    assert!(used.stdout.contains("AWS_SESSION_TOKEN"));
    story.types("mia", &["show", &id], 0);
    story.types("zoe", &["review", &id, "--finding", "too early"], 8);
    // The bundle makes the debt stand in the way of the next.
    story.types("mia", &glass, 3);
    story.dev.run("mia", &["release", &id]).ends(0);

    story.types("zoe", &["requests", "--to-review"], 0);
    story.types("mia", &["review", &id, "--finding", "all well"], 3);
    story.types("pat", &["review", &id, "--finding", "all well"], 3);
    story.types(
        "zoe",
        &["review", &id, "--finding", "one table was read"],
        0,
    );
    story.types("zoe", &["review", &id, "--finding", "again"], 8);
    story.types("zoe", &["requests", "--to-review"], 0);
    story.types("mia", &["can", "db", "--for", "20m", "--break-glass"], 0);
    let reviewed = story.request("mia", &id)["break_glass"].clone();
    assert_eq!(
        (reviewed["reviewer"].as_str(), reviewed["finding"].as_str()),
        (Some("zoe"), Some("one table was read"))
    );
    story.ends("break-glass.txt");
}

#[test]
fn a_right_to_approve_is_lent_used_and_taken_back() {
    let mut story = Story::begin();
    let lend = |to: &'static str, until: &'static str| {
        [
            "delegate", "--to", to, "--until", until, "--reason", "holiday",
        ]
    };
    story.types("pat", &lend("zoe", "7d"), 3);
    story.types("pat", &lend("lee", "40d"), 2);
    story.types("pat", &lend("lee", "tomorrow"), 2);
    story.types("mia", &lend("lee", "7d"), 3);
    let lent = story.names("LENT", "pat", &lend("lee", "7d"), 0);
    story.types("pat", &["delegations"], 0);
    story.types("lee", &["delegations"], 0);
    story.types("mia", &["delegations"], 0);

    let id = story.names("ASKED", "mia", &ask("db", "1h"), 7);
    story.types("lee", &["approve", &id], 3);
    story.types("lee", &["approve", &id, "--on-behalf-of", "zoe"], 3);
    story.types("lee", &["approve", &id, "--on-behalf-of", "pat"], 0);
    story.types("mia", &["show", &id], 0);

    story.types("lee", &["delegate", "--end", &lent], 1);
    story.types("pat", &["delegate", "--end", &lent[22..]], 0);
    story.types("pat", &["delegate", "--end", &lent], 8);
    story.types("pat", &["delegate", "--end", "ZZZZ"], 1);
    let later = story.names("LATER", "mia", &ask("db", "1h"), 7);
    story.types("lee", &["approve", &later, "--on-behalf-of", "pat"], 1);
    story.types("audrey", &["journal", "list", "--request", &id], 0);
    story.ends("delegate.txt");
}

#[test]
fn somebody_else_ends_a_grant() {
    let mut story = Story::begin();
    let id = story.names("HELD", "sam", &ask("db", "1h"), 0);
    story.dev.run("sam", &["credentials", &id]).ends(0);
    let end = |id: &str| {
        [
            "revoke".to_owned(),
            id.to_owned(),
            "--reason".to_owned(),
            "her laptop is gone".to_owned(),
        ]
    };
    let revoke = |story: &mut Story, who: &str, id: &str, code| {
        let words = end(id);
        story.types(who, &words.each_ref().map(String::as_str), code);
    };
    revoke(&mut story, "mia", &id, 1);
    revoke(&mut story, "pat", &id, 3);
    story.types("zoe", &["revoke", "--reason", "nothing"], 2);
    story.types(
        "zoe",
        &["revoke", &id, "--timeout", "1s", "--reason", "no wait"],
        2,
    );
    revoke(&mut story, "zoe", &id, 0);
    revoke(&mut story, "zoe", &id, 8);
    story.types("sam", &["credentials", &id], 8);
    story.types("sam", &["show", &id], 0);

    // What was never used has nothing at AWS.
    let asked = story.names("ASKED", "mia", &ask("db", "1h"), 7);
    revoke(&mut story, "zoe", &asked, 0);
    story.types("mia", &["credentials", &asked], 8);
    story.types("zoe", &["journal", "list", "--request", &asked], 0);
    story.ends("revoke.txt");
}

#[test]
fn a_command_that_outlives_its_grant_is_told_who_ended_it() {
    let dev = Dev::start(Some(&here().join("life/policies")));
    let mark = dev.folder.path().join("mark");
    let script = format!(
        "until [ -e {} ]; do sleep 0.05; done; exit 3",
        mark.display()
    );
    let mut command = dev.writ("sam", &["exec", "db", "--for", "10m", "--reason", "paged"]);
    command.args(["--", "sh", "-c", &script]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let running = command.spawn().unwrap();
    let held = || {
        let list = dev.run("zoe", &["requests", "--json"]).ends(0).json();
        let active = |it: &&Value| it["state"]["name"] == "ACTIVE";
        list["requests"]
            .as_array()
            .unwrap()
            .iter()
            .find(active)
            .cloned()
    };
    until(|| held().is_some());
    let id = held().unwrap()["id"].as_str().unwrap().to_owned();
    dev.run("zoe", &["revoke", &id, "--reason", "wrong database"])
        .ends(0);
    std::fs::write(&mark, "").unwrap();
    // The command's own code, and what became of its window.
    let ran = Ran::of(&running.wait_with_output().unwrap()).ends(3);
    assert!(
        ran.stderr.contains("REVOKED: zoe ended it"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("at AWS: "), "{}", ran.stderr);
}

#[test]
fn an_end_at_aws_is_waited_for_until_aws_was_seen_to_deny() {
    let mut story = Story::begin();
    let id = story.names("HELD", "sam", &ask("db", "1h"), 0);
    story.dev.run("sam", &["credentials", &id]).ends(0);
    story.types("sam", &["release", &id, "--wait"], 0);
    let id = story.names("AGAIN", "sam", &ask("db", "1h"), 0);
    story.dev.run("sam", &["credentials", &id]).ends(0);
    let revoked = story
        .dev
        .run("zoe", &["revoke", &id, "--reason", "x", "--wait", "--json"])
        .ends(0);
    let revocation = &revoked.json()["request"]["revocation"];
    assert_eq!(revocation["state"], "verified");
    story.ends("release.txt");
}

#[test]
fn everything_a_person_holds_is_ended_and_what_goes_on_is_told() {
    let mut story = Story::begin();
    let web = story.names("WEB", "sam", &ask("web", "1h"), 0);
    let first = story.names("FIRST", "sam", &ask("db", "1h"), 0);
    story.dev.run("sam", &["credentials", &first]).ends(0);
    story.names("SECOND", "sam", &ask("db", "2h"), 7);
    story.types(
        "pat",
        &["revoke", "--person", "sam", "--reason", "she left"],
        3,
    );
    story.types(
        "zoe",
        &["revoke", "--person", "sam", "--reason", "she left"],
        3,
    );
    assert_eq!(story.request("sam", &web)["state"]["name"], "APPROVED");
    let ended = story
        .dev
        .run(
            "zoe",
            &["revoke", "--person", "sam", "--reason", "x", "--json"],
        )
        .ends(3);
    assert_eq!(ended.json()["revoked"]["not_permitted"], 1);
    story.types("sam", &["withdraw", &web], 0);
    story.types(
        "zoe",
        &["revoke", "--person", "sam", "--reason", "she left"],
        0,
    );
    story.types(
        "zoe",
        &["revoke", "--person", "sam", "FIRST", "--reason", "both"],
        2,
    );
    story.ends("revoke-person.txt");
}
