//! Keeps an issuer's keys at hand: fetched when needed, by one at a time, not too often, and never used too old.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Mutex;
use writ_api::address::Address;
use writ_api::fetch::Fetcher;
use writ_engine::Moment;

use super::issuer::{IssuerConfig, IssuerError};
use super::json::{self, Json};
use super::keys::{Key, KeySet};
use super::refusal::Refusal;

/// How long fetched keys are used without asking again, in seconds. It is also how long a key that the issuer withdrew
/// can still be used.
pub const KEYS_FRESH_MAX_S: u32 = 600;

/// How long keys are used while the issuer cannot be reached, in seconds. Past it nobody gets in by this issuer.
pub const KEYS_STALE_MAX_S: u32 = 3_600;

/// How long after one fetch the next may start, in seconds. A flood of made-up key ids causes one fetch in this time;
/// a new key of the issuer is known after it at the latest.
pub const KEYS_REFETCH_MIN_S: u32 = 30;

/// One issuer's keys.
pub(super) struct Jwks {
    name: String,
    issuer: String,
    source: Source,
    fetcher: Fetcher,
    held: RwLock<Option<Held>>,
    /// Held during a fetch: whoever else needs one waits for its outcome.
    fetching: Mutex<Tried>,
}

enum Source {
    /// The configuration names the key set.
    Configured(Address),
    /// The discovery document does; it must be of the issuer's own origin.
    Discovered { issuer: Address, document: Address },
}

#[derive(Clone)]
struct Held {
    keys: Arc<KeySet>,
    fetched_at: Moment,
}

#[derive(Default)]
struct Tried {
    at: Option<Moment>,
    /// What went wrong the last time.
    failure: Option<String>,
}

impl Jwks {
    /// For a checked issuer. Reads its certificate authorities; asks nobody yet.
    pub(super) fn new(config: &IssuerConfig) -> Result<Jwks, IssuerError> {
        let refuse = |field, problem: String| IssuerError {
            issuer: config.name.clone(),
            field,
            problem,
        };
        let source = match &config.jwks_uri {
            Some(text) => Source::Configured(
                Address::parse(text).map_err(|error| refuse("jwks_uri", error.to_string()))?,
            ),
            None => {
                let parse = |text: &str| {
                    Address::parse(text).map_err(|error| refuse("issuer", error.to_string()))
                };
                // OpenID Connect Discovery section 4.1: one trailing `/` is dropped, then the path appended.
                let base = config.issuer.strip_suffix('/').unwrap_or(&config.issuer);
                Source::Discovered {
                    issuer: parse(&config.issuer)?,
                    document: parse(&format!("{base}/.well-known/openid-configuration"))?,
                }
            }
        };
        let ca_pem = match &config.ca_cert_file {
            Some(path) => Some(std::fs::read(path).map_err(|error| {
                refuse("ca_cert_file", format!("`{}`: {error}", path.display()))
            })?),
            None => None,
        };
        let first = match &source {
            Source::Configured(address) => address,
            Source::Discovered { document, .. } => document,
        };
        let fetcher = Fetcher::suited_to(first, ca_pem.as_deref())
            .map_err(|error| refuse("ca_cert_file", error.to_string()))?;
        Ok(Jwks {
            name: config.name.clone(),
            issuer: config.issuer.clone(),
            source,
            fetcher,
            held: RwLock::new(None),
            fetching: Mutex::default(),
        })
    }

    /// With less patience towards the issuer. For tests.
    #[cfg(test)]
    pub(super) fn impatient(mut self) -> Jwks {
        self.fetcher = self.fetcher.within(std::time::Duration::from_secs(1));
        self
    }

    /// The key of an id, fetched if need be. `now` is the broker's time, which never goes back.
    pub(super) async fn find(
        self: &Arc<Jwks>,
        key_id: &str,
        now: Moment,
    ) -> Result<Arc<Key>, Refusal> {
        if let Some(key) = self.fresh(key_id, now) {
            return Ok(key);
        }
        // On its own task: a caller that hangs up must not take the fetch down with it, or whoever sends a made-up key id
        // every half minute and hangs up would keep the keys from ever being refreshed.
        let (this, id) = (Arc::clone(self), key_id.to_owned());
        let failure = match tokio::spawn(async move { this.refresh(&id, now).await }).await {
            Ok(failure) => failure,
            Err(_) => Some("the fetch was broken off".to_owned()),
        };
        match self.held_within(KEYS_STALE_MAX_S, now) {
            Some(keys) => keys
                .get(key_id)
                .cloned()
                .ok_or(Refusal::Untrusted("no key of this id")),
            None => Err(Refusal::IssuerUnavailable {
                issuer: self.name.clone(),
                cause: failure.unwrap_or_else(|| "no keys yet".to_owned()),
            }),
        }
    }

    fn fresh(&self, key_id: &str, now: Moment) -> Option<Arc<Key>> {
        self.held_within(KEYS_FRESH_MAX_S, now)?
            .get(key_id)
            .cloned()
    }

    fn held_within(&self, age_max_s: u32, now: Moment) -> Option<Arc<KeySet>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref()?;
        (now < held.fetched_at.plus_s(age_max_s)).then(|| Arc::clone(&held.keys))
    }

    /// Fetches the keys, unless somebody else just did or tried; returns what last went wrong.
    async fn refresh(&self, key_id: &str, now: Moment) -> Option<String> {
        let mut tried = self.fetching.lock().await;
        let too_soon = tried
            .at
            .is_some_and(|at| now < at.plus_s(KEYS_REFETCH_MIN_S));
        if too_soon || self.fresh(key_id, now).is_some() {
            return tried.failure.clone();
        }
        tried.at = Some(now);
        match self.fetch().await {
            Ok(keys) => {
                let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
                *held = Some(Held {
                    keys: Arc::new(keys),
                    // When the fetch began: how old the answer is at most.
                    fetched_at: now,
                });
                tried.failure = None;
            }
            Err(failure) => {
                tracing::warn!(issuer = %self.name, %failure, "the issuer's keys were not refreshed");
                tried.failure = Some(failure);
            }
        }
        tried.failure.clone()
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let address = match &self.source {
            Source::Configured(address) => address.clone(),
            Source::Discovered { issuer, document } => self.discover(issuer, document).await?,
        };
        let body = self
            .fetcher
            .get(&address, &[])
            .await
            .map_err(|error| error.to_string())?;
        KeySet::read(&body).map_err(str::to_owned)
    }

    /// Asks the issuer where its keys are.
    async fn discover(&self, issuer: &Address, document: &Address) -> Result<Address, String> {
        let body = self
            .fetcher
            .get(document, &[])
            .await
            .map_err(|error| error.to_string())?;
        let document = json::read_object(&body).map_err(
            |_| "the discovery document is not JSON, has a key twice or is nested too deep",
        )?;
        if document.get("issuer") != Some(&Json::Text(self.issuer.clone())) {
            return Err("the discovery document is another issuer's".to_owned());
        }
        let Some(Json::Text(jwks_uri)) = document.get("jwks_uri") else {
            return Err("the discovery document has no `jwks_uri`".to_owned());
        };
        let address = Address::parse(jwks_uri).map_err(|error| error.to_string())?;
        if !address.same_origin(issuer) {
            return Err(
                "the discovery document points to another origin; if that is right, set `jwks_uri`"
                    .to_owned(),
            );
        }
        Ok(address)
    }
}
