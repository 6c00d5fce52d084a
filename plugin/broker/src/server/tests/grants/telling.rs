//! Telling people: a real receiver, taking or not, and what the record and the views say of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;
use v1::break_glass::Announcement;

use super::*;
use crate::logging::tests::Page;
use crate::notices::NoticesSettings;

const SECRET: &[u8] = b"canary-secret-of-32-bytes-in-all";

/// What a receiver answers.
#[derive(Clone)]
enum Says {
    Status(&'static str),
    Redirect(String),
    TooMuch,
    Nothing,
}

/// What it was given.
#[derive(Clone, Debug)]
struct Posted {
    head: BTreeMap<String, String>,
    body: String,
}

impl Posted {
    fn event(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn id(&self) -> &str {
        &self.head["webhook-id"]
    }
}

/// A receiver of notices on loopback.
struct Hook {
    address: std::net::SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
    says: Arc<Mutex<Says>>,
    serving: JoinHandle<()>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Hook {
    async fn start(says: Says) -> Hook {
        Hook::at("127.0.0.1:0".parse().unwrap(), says).await
    }

    async fn at(address: std::net::SocketAddr, says: Says) -> Hook {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (posted, says) = (Arc::default(), Arc::new(Mutex::new(says)));
        let serving = tokio::spawn(serve(listener, Arc::clone(&posted), Arc::clone(&says)));
        Hook {
            address,
            posted,
            says,
            serving,
        }
    }

    /// An address at which nobody listens.
    async fn nowhere() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    fn now_says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    /// What it was given once that is `count` notices.
    async fn until(&self, count: usize) -> Vec<Posted> {
        for _ in 0..2_000 {
            let posted = self.posted();
            if posted.len() >= count {
                return posted;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", self.posted());
    }
}

async fn serve(listener: TcpListener, posted: Arc<Mutex<Vec<Posted>>>, says: Arc<Mutex<Says>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let (posted, says) = (Arc::clone(&posted), Arc::clone(&says));
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            assert!(
                head.starts_with("POST /hook?of=tests HTTP/1.1\r\n"),
                "{head}"
            );
            let head: BTreeMap<String, String> = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let mut body = vec![0; head["content-length"].parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            let body = String::from_utf8(body).unwrap();
            posted.lock().unwrap().push(Posted { head, body });
            let says = says.lock().unwrap().clone();
            let answer = match says {
                Says::Status(status) => {
                    format!("HTTP/1.1 {status}\r\ncontent-length: 13\r\n\r\ncanary-answer")
                }
                Says::Redirect(to) => {
                    format!("HTTP/1.1 307 There\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
                }
                Says::TooMuch => "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"x".repeat(8_000_000),
                Says::Nothing => return tokio::time::sleep(Duration::from_secs(600)).await,
            };
            // Whoever has heard enough hangs up.
            let _ = stream.write_all(answer.as_bytes()).await;
        });
    }
}

async fn telling(address: std::net::SocketAddr) -> Grants {
    grants_with(|config, folder| {
        let secret_file = folder.join("notices.secret");
        let text = format!("whsec_{}", STANDARD.encode(SECRET));
        std::fs::write(&secret_file, text).unwrap();
        std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let url = format!("http://{address}/hook?of=tests");
        config.notices = Some(NoticesSettings {
            url: writ_api::address::Address::parse(&url).unwrap(),
            secret_file,
            ca_cert_file: None,
        });
    })
    .await
}

/// HMAC-SHA256 by its definition (RFC 2104), with nothing of what the broker signs with.
fn mac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::digest([&padded(0x36)[..], message].concat());
    STANDARD.encode(Sha256::digest([&padded(0x5c)[..], &inner].concat()))
}

fn announcement(request: &v1::Request) -> Announcement {
    request.break_glass.as_ref().unwrap().announcement()
}

/// The request, once the receiver has taken that it is an emergency.
async fn announced(person: &Person, id: &str) -> v1::Request {
    // Slower than a caller may ask.
    for _ in 0..200 {
        let seen = person.show(id).await.unwrap();
        if announcement(&seen) == Announcement::Taken {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody was told");
}

#[tokio::test]
async fn an_emergency_is_announced_once_signed_and_on_record() {
    let hook = Hook::start(Says::Status("204 Taken")).await;
    let world = telling(hook.address).await;
    let sam = world.person("sam").await;
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    let seen = announced(&sam, &asked.id).await;
    assert!(seen.break_glass.as_ref().unwrap().announced_at.is_some());
    let posted = hook.until(1).await;
    let (head, event) = (&posted[0].head, posted[0].event());
    assert_eq!(head["content-type"], "application/cloudevents+json");
    assert_eq!(event["type"], "dev.writ.notice.emergency.v1");
    assert_eq!(event["source"], "writ.example.com/journal");
    assert_eq!(event["subject"], asked.id);
    assert_eq!(event["data"]["told"], json!(["kim", "lee", "pat", "zoe"]));
    assert_eq!(event["data"]["show"], format!("writ show {}", asked.id));
    let id = format!("{}-emergency", asked.id);
    assert_eq!((posted[0].id(), &event["id"]), (id.as_str(), &json!(id)));
    let timestamp = &head["webhook-timestamp"];
    assert_eq!(*timestamp, (noon().as_ms() / 1_000).to_string());
    let signed = format!("{id}.{timestamp}.{}", posted[0].body);
    let expected = format!("v1,{}", mac(SECRET, signed.as_bytes()));
    assert_eq!(head["webhook-signature"], expected);
    assert_eq!(sam.chapters(&asked.id).await, ["requested", "notified"]);

    // Neither time nor a restart nor anything that becomes of it makes anybody hear of it again.
    sam.issue(&asked.id).await.unwrap();
    let world = world.restarted().await;
    world.person("sam").await.release(&asked.id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(hook.posted().len(), 1, "{:?}", hook.posted());
    let seen = world.person("zoe").await.show(&asked.id).await.unwrap();
    assert_eq!(announcement(&seen), Announcement::Taken);
}

#[tokio::test]
async fn without_a_receiver_the_views_say_that_nobody_is_told() {
    let world = grants().await;
    let sam = world.person("sam").await;
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    assert_eq!(announcement(&asked), Announcement::NotPossible);
    let plain = sam.ask(want("ledger-read", HOUR)).await.unwrap();
    assert_eq!(plain.break_glass, None);
}

#[tokio::test]
async fn an_emergency_is_answered_and_used_while_the_receiver_says_nothing() {
    let hook = Hook::start(Says::Nothing).await;
    let world = telling(hook.address).await;
    let sam = world.person("sam").await;
    // One that waits for an answer already.
    let first = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    hook.until(1).await;
    let soon = Duration::from_secs(3);
    let used = timeout(soon, async {
        let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
        assert_eq!(announcement(&asked), Announcement::Waiting);
        sam.issue(&asked.id).await.unwrap()
    });
    let used = used.await.unwrap();
    assert_eq!(state(&used), "ACTIVE");
    hook.now_says(Says::Status("200 OK"));
    announced(&sam, &first.id).await;
    announced(&sam, &used.id).await;
}

#[tokio::test]
async fn whatever_a_receiver_does_but_take_it_makes_the_broker_try_again_under_the_same_id() {
    let lure = Hook::start(Says::Status("200 OK")).await;
    let tried = async |says: Says| {
        let hook = Hook::start(says).await;
        let world = telling(hook.address).await;
        let sam = world.person("sam").await;
        let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
        hook.until(1).await;
        assert_eq!(sam.chapters(&asked.id).await, ["requested"]);
        hook.now_says(Says::Status("200 OK"));
        announced(&sam, &asked.id).await;
        let posted = hook.until(2).await;
        assert_eq!(posted.len(), 2, "{posted:?}");
        assert_eq!(posted[0].id(), posted[1].id());
        assert_eq!(posted[0].body, posted[1].body);
    };
    let redirect = Says::Redirect(format!("http://{}/hook?of=tests", lure.address));
    tokio::join!(
        tried(Says::Status("500 Broken")),
        tried(Says::Status("410 Gone")),
        tried(redirect),
        tried(Says::Nothing),
    );
    assert!(lure.posted().is_empty(), "no redirect is followed");
}

#[tokio::test]
async fn a_receiver_that_takes_it_and_says_too_much_has_taken_it() {
    let hook = Hook::start(Says::TooMuch).await;
    let world = telling(hook.address).await;
    let sam = world.person("sam").await;
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    announced(&sam, &asked.id).await;
    assert_eq!(hook.posted().len(), 1);
}

#[tokio::test]
async fn what_nobody_took_before_a_restart_is_given_after_it_also_when_the_request_has_ended() {
    let address = Hook::nowhere().await;
    let world = telling(address).await;
    let sam = world.person("sam").await;
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    sam.withdraw(&asked.id).await.unwrap();
    let world = world.restarted().await;
    world.pass(30 * DAY);
    let sam = world.person("sam").await;
    let seen = sam.show(&asked.id).await.unwrap();
    assert_eq!(
        (state(&seen), announcement(&seen)),
        ("WITHDRAWN", Announcement::Waiting)
    );
    let hook = Hook::at(address, Says::Status("200 OK")).await;
    announced(&sam, &asked.id).await;
    assert_eq!(hook.posted().len(), 1);
    assert_eq!(hook.posted()[0].event()["time"], "2026-11-21T12:00:00Z");
}

#[tokio::test]
async fn a_broker_that_stops_between_giving_and_recording_gives_it_again_under_the_same_id() {
    let hook = Hook::start(Says::Nothing).await;
    let world = telling(hook.address).await;
    let sam = world.person("sam").await;
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    // The receiver has it; the broker never learns that.
    hook.until(1).await;
    hook.now_says(Says::Status("200 OK"));
    let world = world.restarted().await;
    announced(&world.person("sam").await, &asked.id).await;
    let posted = hook.until(2).await;
    assert_eq!(posted[0].id(), posted[1].id());
    assert_eq!(posted[0].body, posted[1].body);
}

/// The scope has it that Kim and Zoe are asked next after ten minutes.
async fn escalates(world: &Grants, after: &str) {
    let terms = format!("  escalation {{\n    after = \"{after}\"\n    to = \"security\"\n  }}\n");
    world
        .change("scopes.hcl", |text| {
            text.replacen("  break_glass {", &format!("{terms}\n  break_glass {{"), 1)
        })
        .await;
}

#[tokio::test]
async fn who_could_consent_is_told_at_once_and_who_is_asked_next_in_time() {
    let hook = Hook::start(Says::Status("200 OK")).await;
    let world = telling(hook.address).await;
    escalates(&world, "10m").await;
    let mia = world.person("mia").await;
    let asked = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    assert_eq!(state(&asked), "PENDING");
    let first = hook.until(1).await[0].event();
    assert_eq!(first["type"], "dev.writ.notice.consent_wanted.v1");
    assert_eq!(first["data"]["deadline"], "2026-11-22T12:00:00Z");
    let people = |event: &serde_json::Value| event["data"]["told"].to_string();
    assert!(people(&first).contains("pat"), "{first}");
    assert!(!people(&first).contains("mia"), "{first}");
    world.pass(10 * MINUTE - 1);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(hook.posted().len(), 1);
    world.pass(1);
    let second = hook.until(2).await[1].event();
    assert_eq!(second["type"], "dev.writ.notice.escalated.v1");
    assert_eq!(second["time"], "2026-11-21T12:10:00Z");
    // As the view has it.
    let seen = mia.show(&asked.id).await.unwrap().escalation.unwrap();
    assert_eq!(second["data"]["told"], json!(seen.people));
    // Of one that was decided in time nobody hears anything more.
    let other = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    hook.until(3).await;
    mia.withdraw(&other.id).await.unwrap();
    world.pass(DAY);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(hook.posted().len(), 3, "{:?}", hook.posted());
}

#[tokio::test]
async fn a_late_post_review_is_told_to_those_who_may_close_it() {
    let hook = Hook::start(Says::Status("200 OK")).await;
    let world = telling(hook.address).await;
    let sam = world.person("sam").await;
    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    sam.issue(&asked.id).await.unwrap();
    announced(&sam, &asked.id).await;
    world.pass(DAY - 1);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(hook.posted().len(), 1);
    world.pass(1);
    let late = hook.until(2).await[1].event();
    assert_eq!(late["type"], "dev.writ.notice.review_overdue.v1");
    assert_eq!(late["data"]["deadline"], late["time"]);
    assert!(late["data"]["told"].to_string().contains("zoe"), "{late}");
    let seen = world.person("zoe").await.show(&asked.id).await.unwrap();
    assert!(seen.break_glass.unwrap().review_overdue);
}

#[tokio::test]
async fn an_emergency_nobody_was_told_of_for_a_minute_is_an_alarm_and_no_log_line_says_too_much() {
    let page = Page::default();
    let _guard = page.log_this_thread();
    let hook = Hook::start(Says::Status("500 Broken")).await;
    let world = telling(hook.address).await;
    let sam = world.person("sam").await;
    let mut wish = glass("ledger-read", HOUR);
    wish.reason = "canary-reason".to_owned();
    wish.ticket = Some("canary-ticket".to_owned());
    let asked = sam.ask(wish).await.unwrap();
    hook.until(1).await;
    let alarm = "alarm: nobody was told of an emergency yet";
    assert!(!page.text().contains(alarm), "not yet");
    world.pass(MINUTE);
    for _ in 0..1_000 {
        if page.text().contains(alarm) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    hook.now_says(Says::Status("200 OK"));
    announced(&sam, &asked.id).await;
    world.broker.stop().await.unwrap();
    let log = page.text();
    for said in [alarm, "answered with status 500", "a notice was given"] {
        assert!(log.contains(said), "{said} is missing:\n{log}");
    }
    let encoded = STANDARD.encode(SECRET);
    let bodies: Vec<String> = hook.posted().into_iter().map(|it| it.body).collect();
    for text in bodies.iter().chain([&log]) {
        assert!(
            !text.contains("canary") && !text.contains(&encoded),
            "{text}"
        );
    }
    // Where it is posted to may hold a key of somebody's, and is not logged either.
    assert!(!log.contains("of=tests"), "{log}");
}

#[tokio::test]
async fn a_broker_that_gives_no_notices_says_at_its_start_that_nobody_is_told() {
    let page = Page::default();
    let _guard = page.log_this_thread();
    let silent = "nobody is told but who looks";
    let hook = Hook::start(Says::Status("200 OK")).await;
    let told = telling(hook.address).await;
    assert!(!page.text().contains(silent), "{}", page.text());
    told.broker.stop().await.unwrap();
    let world = grants().await;
    assert!(page.text().contains(silent), "{}", page.text());
    world.broker.stop().await.unwrap();
}

#[tokio::test]
async fn a_secret_that_others_can_read_keeps_the_broker_from_starting() {
    let world = telling(Hook::nowhere().await).await;
    let Grants { broker, config, .. } = world;
    broker.stop().await.unwrap();
    let file = &config.notices.as_ref().unwrap().secret_file;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (clock, _hand) = Clock::manual(noon());
    let refused = Broker::start_at(config.clone(), clock, plenty()).await;
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("others can read it"), "{refused}");
    assert!(check(&config).is_err());
}

#[tokio::test]
async fn a_watcher_sees_that_others_are_asked_next_and_that_a_review_is_late_when_it_happens() {
    let world = grants().await;
    escalates(&world, "1s").await;
    world.replace("scopes.hcl", "\"24h\"", "\"2s\"").await;
    let soon = Duration::from_secs(10);
    let (mia, sam) = (world.person("mia").await, world.person("sam").await);
    let asked = mia.ask(want("ledger-read", HOUR)).await.unwrap();
    let watch = v1::WatchRequestRequest { id: asked.id };
    let watching = mia.client.requests().watch_request(watch).await;
    let mut watching = watching.unwrap().into_inner();
    let next = watching.message().await.unwrap().unwrap().request.unwrap();
    assert_eq!(next.escalation, None);
    world.pass(1);
    let next = timeout(soon, watching.message()).await.unwrap();
    assert!(next.unwrap().unwrap().request.unwrap().escalation.is_some());

    let asked = sam.ask(glass("ledger-read", HOUR)).await.unwrap();
    sam.issue(&asked.id).await.unwrap();
    sam.release(&asked.id).await.unwrap();
    let watch = v1::WatchRequestRequest { id: asked.id };
    let watching = sam.client.requests().watch_request(watch).await;
    let mut watching = watching.unwrap().into_inner();
    let next = watching.message().await.unwrap().unwrap().request.unwrap();
    assert!(!next.break_glass.unwrap().review_overdue);
    world.pass(2);
    let next = timeout(soon, watching.message()).await.unwrap();
    let next = next.unwrap().unwrap().request.unwrap();
    assert!(next.break_glass.unwrap().review_overdue);
    let end = timeout(soon, watching.message()).await.unwrap();
    assert_eq!(end.unwrap(), None);
}
