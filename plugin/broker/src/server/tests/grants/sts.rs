//! An STS that gives a session to whoever asks, by a clock of its own, and keeps what it was asked.
//!
//! It checks nothing: what AWS checks is tested against the sandbox and against MiniStack, by the machine's clock. Here the
//! broker's clock is moved by hand, and this one with it or without it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::iam::{self, Iam};
use super::seams::{Seams, Step, Trouble};
use super::*;

/// One AssumeRole as AWS would have seen it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// When, by AWS's clock.
    pub(super) at: Moment,
    /// The grant that the session is tagged with.
    pub(super) grant: String,
    /// The length asked for, in seconds.
    pub(super) duration_s: i64,
    /// From when the session policy denies everything.
    pub(super) closes_at: Moment,
    /// The role it is of.
    pub(super) role: String,
    /// Whether a session was given, as far as AWS knows.
    pub(super) given: bool,
}

/// What it does with the next call instead of giving a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Says no, for good.
    Refuses,
    /// Gives a session and hangs up before it says so.
    Vanishes,
}

struct State {
    now: Moment,
    calls: Vec<Call>,
    faults: VecDeque<Fault>,
    iam: Iam,
    seams: Option<Seams>,
}

/// Shared by all who hold one.
#[derive(Clone)]
pub(super) struct Sts {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

impl Sts {
    pub(super) async fn start(now: Moment) -> Sts {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sts = Sts {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::new(Mutex::new(State {
                now,
                calls: Vec::new(),
                faults: VecDeque::new(),
                iam: Iam::default(),
                seams: None,
            })),
        };
        let answering = sts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sts = answering.clone();
                tokio::spawn(async move { sts.answer(stream).await });
            }
        });
        sts
    }

    /// Lets time pass at AWS.
    pub(super) fn pass_ms(&self, ms: u32) {
        let mut state = self.state.lock().unwrap();
        state.now = Moment::from_ms(state.now.as_ms() + i64::from(ms)).unwrap();
    }

    /// Every call so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The calls for one grant.
    pub(super) fn calls_of(&self, grant: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.grant == grant);
        calls
    }

    /// What becomes of the call after those that faults are set for already.
    pub(super) fn fail(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push_back(fault);
    }

    /// Every call is a step from now on, at which something may go wrong.
    pub(super) fn count(&self, seams: &Seams) {
        self.state.lock().unwrap().seams = Some(seams.clone());
    }

    /// The grants that a role denies.
    pub(super) fn denied(&self, role: &str) -> BTreeSet<String> {
        self.state.lock().unwrap().iam.denied(role)
    }

    async fn answer(&self, mut stream: TcpStream) {
        let Some(form) = read_form(&mut stream).await else {
            return;
        };
        let step = match form["Action"].as_str() {
            "AssumeRole" => Step::Sts,
            _ => Step::Iam,
        };
        let seams = self.state.lock().unwrap().seams.clone();
        let mut strikes = None;
        if let Some(seams) = &seams {
            match seams.call(step).await {
                Some(fault) => strikes = fault,
                None => return,
            }
        }
        let text = match strikes {
            Some(Trouble::Refused) => self.refuse(step, &form, 403, "AccessDenied"),
            Some(Trouble::Throttled) => self.refuse(step, &form, 400, "Throttling"),
            _ => match step {
                Step::Sts => self.assume(&form),
                Step::Iam => {
                    let (status, body) = self.state.lock().unwrap().iam.answer(&form);
                    Some(reply(status, &body))
                }
                Step::Commit => None,
            },
        };
        if let Some(seams) = &seams {
            seams.done(strikes).await;
        }
        let Some(text) = text else {
            return;
        };
        let whole = match strikes {
            Some(Trouble::Lost | Trouble::DiesAfter) => return,
            Some(Trouble::Garbled) => text.len() - 60,
            _ => text.len(),
        };
        let _ = stream.write_all(&text.as_bytes()[..whole]).await;
        let _ = stream.shutdown().await;
    }

    fn call(&self, form: &BTreeMap<String, String>, given: bool) -> Call {
        Call {
            at: self.state.lock().unwrap().now,
            grant: tag(form, "writ:grant"),
            duration_s: form["DurationSeconds"].parse().unwrap(),
            closes_at: closes_at(&form["Policy"]),
            role: form["RoleArn"].clone(),
            given,
        }
    }

    fn refuse(
        &self,
        step: Step,
        form: &BTreeMap<String, String>,
        status: u16,
        code: &str,
    ) -> Option<String> {
        if step == Step::Sts {
            let call = self.call(form, false);
            self.state.lock().unwrap().calls.push(call);
        }
        Some(reply(status, &iam::error(code)))
    }

    /// Answers nothing where it hangs up.
    fn assume(&self, form: &BTreeMap<String, String>) -> Option<String> {
        let fault = self.state.lock().unwrap().faults.pop_front();
        let call = self.call(form, !matches!(fault, Some(Fault::Refuses)));
        let expires_at = Moment::from_ms(call.at.as_ms() + call.duration_s * 1_000).unwrap();
        let mut state = self.state.lock().unwrap();
        state.calls.push(call);
        match fault {
            None => Some(reply(200, &given(state.calls.len(), expires_at))),
            Some(Fault::Refuses) => Some(reply(403, &iam::error("AccessDenied"))),
            Some(Fault::Vanishes) => None,
        }
    }
}
fn given(number: usize, expires_at: Moment) -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROATEST:writ</AssumedRoleId>\
         <Arn>arn:aws:sts::123456789012:assumed-role/jit/writ</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIATEST{number:012}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>{expires_at}</Expiration></Credentials>\
         </AssumeRoleResult><ResponseMetadata><RequestId>r-{number}</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )
}

fn reply(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

async fn read_form(stream: &mut TcpStream) -> Option<BTreeMap<String, String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1)?;
    let length = length.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = String::from_utf8(body).unwrap();
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
        decoded.unwrap().into_owned()
    };
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    Some(
        pairs
            .map(|(key, value)| (decoded(key), decoded(value)))
            .collect(),
    )
}

fn tag(form: &BTreeMap<String, String>, name: &str) -> String {
    let key = form.iter().find(|(_, value)| *value == name).unwrap().0;
    form[&key.replace(".Key", ".Value")].clone()
}

/// The end that the policy's last statement denies everything from.
fn closes_at(policy: &str) -> Moment {
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
    let last = policy["Statement"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["Effect"], &last["Action"]),
        (&"Deny".into(), &"*".into())
    );
    let end = &last["Condition"]["DateGreaterThanEquals"]["aws:CurrentTime"];
    end.as_str().unwrap().parse().unwrap()
}
