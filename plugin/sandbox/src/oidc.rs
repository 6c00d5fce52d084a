//! A small OIDC issuer on loopback: discovery, keys, and the tokens of people and CI jobs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::form;
use crate::github::{GITHUB_NOT_BEFORE_S, GITHUB_TOKEN_LIFETIME_S, GithubJob, JobRequest};
use crate::loopback::{Answer, Asked, Server, StartError, empty};
use crate::random::{self, NoRandomness};

/// How long a person's token lives: what identity providers commonly give.
pub const PERSON_TOKEN_LIFETIME_S: i64 = 3_600;

/// How an [`Issuer`] is set up.
pub struct IssuerConfig {
    /// Where to listen: a loopback address; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// The clock tokens are dated by; keep a clone to move it.
    pub clock: Clock,
}

impl Default for IssuerConfig {
    fn default() -> IssuerConfig {
        IssuerConfig {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::new(),
        }
    }
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Claims must be a JSON object.
    #[error("the claims are not a JSON object")]
    Claims,
    /// The signature failed.
    #[error("the token cannot be signed")]
    Signing,
    /// No random number for the token's id.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// A running issuer, until it is dropped.
pub struct Issuer {
    state: Arc<Mutex<State>>,
    url: String,
    clock: Clock,
    server: Server,
}

struct State {
    url: String,
    clock: Clock,
    /// The last one signs.
    keys: Vec<SigningKey>,
    /// By the job's request token.
    jobs: BTreeMap<String, GithubJob>,
    key_fetches: u64,
    out_of_order: bool,
}

struct SigningKey {
    id: String,
    pair: EcdsaKeyPair,
}

impl Issuer {
    /// Starts one, with a key of its own.
    pub async fn start(config: IssuerConfig) -> Result<Issuer, StartError> {
        let state = Arc::new(Mutex::new(State {
            url: String::new(),
            clock: config.clock.clone(),
            keys: vec![SigningKey::generate()?],
            jobs: BTreeMap::new(),
            key_fetches: 0,
            out_of_order: false,
        }));
        let answering = state.clone();
        let server = Server::start(config.bind, move |asked| {
            let answering = answering.clone();
            async move { Answer::Reply(lock(&answering).answer(&asked)) }
        })
        .await?;
        let url = format!("http://{}", server.addr);
        lock(&state).url.clone_from(&url);
        Ok(Issuer {
            state,
            url,
            clock: config.clock,
            server,
        })
    }

    /// The issuer's name, the `iss` of its tokens: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The clock tokens are dated by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A token with `claims`, an object, living `lifetime_s` seconds from now. `iss`, `iat`, `nbf`, `exp` and `jti` are filled in
    /// unless `claims` has them.
    pub fn mint(&self, claims: Value, lifetime_s: i64) -> Result<String, TokenError> {
        let Value::Object(claims) = claims else {
            return Err(TokenError::Claims);
        };
        lock(&self.state).mint(claims, lifetime_s)
    }

    /// A token of the person `subject` for `audience`, living an hour.
    pub fn person_token(&self, subject: &str, audience: &str) -> Result<String, TokenError> {
        self.mint(
            json!({ "sub": subject, "aud": audience }),
            PERSON_TOKEN_LIFETIME_S,
        )
    }

    /// A token of a CI job for `audience`, dated and shaped as GitHub's are.
    pub fn github_token(&self, job: &GithubJob, audience: &str) -> Result<String, TokenError> {
        lock(&self.state).github_token(job, audience)
    }

    /// Signs exactly this header and these claims with the current key, nothing filled in: for tokens that must be refused.
    pub fn sign(&self, header: &Value, claims: &Value) -> Result<String, TokenError> {
        lock(&self.state).key()?.sign(header, claims)
    }

    /// The id of the key that signs.
    pub fn key_id(&self) -> Option<String> {
        lock(&self.state).keys.last().map(|key| key.id.clone())
    }

    /// Registers a running job; what is returned goes into its environment.
    pub fn register_job(&self, job: GithubJob) -> Result<JobRequest, TokenError> {
        let token = random::url_token()?;
        lock(&self.state).jobs.insert(token.clone(), job);
        Ok(JobRequest {
            // GitHub's own URL has a query already, and clients add `&audience=` to it.
            url: format!("{}/token?api-version=2.0", self.url),
            token,
        })
    }

    /// Ends a job: its request token counts no more.
    pub fn end_job(&self, request: &JobRequest) {
        lock(&self.state).jobs.remove(&request.token);
    }

    /// Signs with a new key from now on; older ones stay published.
    pub fn rotate(&self) -> Result<(), StartError> {
        let key = SigningKey::generate()?;
        lock(&self.state).keys.push(key);
        Ok(())
    }

    /// Withdraws every key but the one that signs.
    pub fn withdraw_old_keys(&self) {
        let mut state = lock(&self.state);
        let old = state.keys.len().saturating_sub(1);
        state.keys.drain(..old);
    }

    /// How often the keys were fetched.
    pub fn key_fetches(&self) -> u64 {
        lock(&self.state).key_fetches
    }

    /// While set, every request is answered 503; tokens can still be minted.
    pub fn set_out_of_order(&self, out_of_order: bool) {
        lock(&self.state).out_of_order = out_of_order;
    }

    /// Stops, and returns when the port is free again. Dropping the handle stops it too, without waiting.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, asked: &Asked) -> Response<Full<Bytes>> {
        if self.out_of_order {
            return empty(StatusCode::SERVICE_UNAVAILABLE);
        }
        if asked.method != "GET" {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        match asked.path.as_str() {
            "/.well-known/openid-configuration" => document(&json!({
                "issuer": self.url,
                "jwks_uri": format!("{}/jwks", self.url),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "scopes_supported": ["openid"],
            })),
            "/jwks" => {
                self.key_fetches += 1;
                let keys: Vec<Value> = self.keys.iter().filter_map(SigningKey::public).collect();
                document(&json!({ "keys": keys }))
            }
            "/token" => self.answer_job(asked),
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    /// Imitates `ACTIONS_ID_TOKEN_REQUEST_URL`.
    fn answer_job(&self, asked: &Asked) -> Response<Full<Bytes>> {
        let Some(job) = asked
            .header("authorization")
            .and_then(|header| self.job_of(header))
        else {
            return empty(StatusCode::UNAUTHORIZED);
        };
        let Ok(query) = form::parse(&asked.query) else {
            return empty(StatusCode::BAD_REQUEST);
        };
        let audience = query
            .get("audience")
            .cloned()
            .unwrap_or_else(|| job.default_audience());
        match self.github_token(job, &audience) {
            Ok(token) => document(&json!({ "count": token.len(), "value": token })),
            Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn job_of(&self, header: &str) -> Option<&GithubJob> {
        let (scheme, given) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let same =
            |token: &str| verify_slices_are_equal(token.as_bytes(), given.as_bytes()).is_ok();
        self.jobs
            .iter()
            .find(|(token, _)| same(token))
            .map(|(_, job)| job)
    }

    fn github_token(&self, job: &GithubJob, audience: &str) -> Result<String, TokenError> {
        let mut claims = job.claims();
        let now = self.clock.now().as_second();
        claims.insert("aud".to_owned(), json!(audience));
        claims.insert("nbf".to_owned(), json!(now - GITHUB_NOT_BEFORE_S));
        self.mint(claims, GITHUB_TOKEN_LIFETIME_S)
    }

    fn mint(&self, mut claims: Map<String, Value>, lifetime_s: i64) -> Result<String, TokenError> {
        let now = self.clock.now().as_second();
        for (name, value) in [
            ("iss", json!(self.url)),
            ("iat", json!(now)),
            ("nbf", json!(now)),
            ("exp", json!(now.saturating_add(lifetime_s))),
            ("jti", json!(random::request_id())),
        ] {
            claims.entry(name).or_insert(value);
        }
        let key = self.key()?;
        let header = json!({ "alg": "ES256", "kid": key.id, "typ": "JWT" });
        key.sign(&header, &Value::Object(claims))
    }

    fn key(&self) -> Result<&SigningKey, TokenError> {
        self.keys.last().ok_or(TokenError::Signing)
    }
}

impl SigningKey {
    fn generate() -> Result<SigningKey, NoRandomness> {
        Ok(SigningKey {
            id: hex::encode(random::bytes::<8>()?),
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .map_err(|_| NoRandomness)?,
        })
    }

    /// The public half as a JWK.
    fn public(&self) -> Option<Value> {
        // An uncompressed point: 0x04, then 32 bytes of each coordinate.
        let coordinates = self.pair.public_key().as_ref().strip_prefix(&[4])?;
        let (x, y) = coordinates.split_at_checked(32)?;
        Some(json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }))
    }

    fn sign(&self, header: &Value, claims: &Value) -> Result<String, TokenError> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_| TokenError::Signing)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn document(value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
