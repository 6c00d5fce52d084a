//! A real issuer on loopback, real keys, real tokens: what the tests of the door knock with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use writ_engine::bundle::{Bundle, BundleFiles};

use super::*;

mod configs;
mod forged;
mod forgeries;
mod keys;
mod people;
mod repositories;

pub(crate) const AUDIENCE: &str = "https://writ.example.com";

pub(crate) fn noon() -> Moment {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(crate) fn noon_s() -> i64 {
    noon().as_ms() / 1_000
}

/// Ada by `corp`'s subject `00u1ada`; the deploy job by `github`'s repository 4201 of owner 77; and two traps: a user
/// known by a repository's id, and a workload known by a person's subject.
pub(crate) fn bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let directory = r#"
            user "ada" {
              name = "Ada"
              identity {
                issuer = "corp"
                id     = "00u1ada"
              }
              identity {
                issuer = "corp"
                id     = "Ada Lovelace"
              }
              identity {
                issuer = "github"
                id     = "4299"
              }
            }
            workload "deploy" {
              owner = "ada"
              identity {
                issuer              = "github"
                repository_id       = "4201"
                repository_owner_id = "77"
              }
            }
            workload "confused" {
              owner = "ada"
              identity {
                issuer        = "corp"
                repository_id = "4300"
              }
            }
        "#;
        let scopes = r#"
            scope "db" {
              description = "A database"
              system      = "payments"
              environment = "prod"
              owners      = "owners"
              aws {
                role_arn       = "arn:aws:iam::123456789012:role/db"
                region         = "eu-west-1"
                session_policy = { Statement = [{ Effect = "Allow", Action = ["rds-db:connect"], Resource = "*" }] }
              }
            }
        "#;
        let access = r#"
            @id("db") permit (principal, action == Action::"activate", resource == Scope::"db")
            when { context.window.duration <= duration("1h") };
        "#;
        let files = BTreeMap::from([
            (
                "schema.cedarschema".to_owned(),
                include_str!("../../../../../policies/schema.cedarschema").to_owned(),
            ),
            ("access.cedar".to_owned(), access.to_owned()),
            ("scopes.hcl".to_owned(), scopes.to_owned()),
            (
                "directory.hcl".to_owned(),
                format!("group \"owners\" {{}}\n{directory}"),
            ),
        ]);
        Bundle::load(&BundleFiles(files)).unwrap_or_else(|report| panic!("{report:?}"))
    })
}

/// A key pair of one algorithm, made once for all tests.
pub(crate) enum Signer {
    Rs256(RsaKeyPair),
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// The issuer's key of an algorithm, by its name.
pub(crate) fn signer(algorithm: &str) -> &'static Signer {
    static KEYS: OnceLock<BTreeMap<&'static str, Signer>> = OnceLock::new();
    KEYS.get_or_init(|| {
        ["RS256", "ES256", "ES384", "EdDSA"]
            .map(|a| (a, new_signer(a)))
            .into()
    })
    .get(algorithm)
    .unwrap()
}

pub(crate) fn new_signer(algorithm: &str) -> Signer {
    let p256 = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let p384 = &ECDSA_P384_SHA384_FIXED_SIGNING;
    match algorithm {
        "RS256" => Signer::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        "ES256" => Signer::Es256(EcdsaKeyPair::generate(p256).unwrap()),
        "ES384" => Signer::Es384(EcdsaKeyPair::generate(p384).unwrap()),
        _ => Signer::EdDsa(Ed25519KeyPair::generate().unwrap()),
    }
}

impl Signer {
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Signer::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Signer::Es256(pair) | Signer::Es384(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Signer::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public half as an issuer publishes it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let halves = |point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            (b64(x), b64(y))
        };
        match self {
            Signer::Rs256(pair) => {
                // RFC 8017's RSAPublicKey of 2048 bits: a 9-byte head with the modulus' sign byte, then the modulus.
                let der = pair.public_key().as_ref();
                let n = b64(&der[9..265]);
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n, "e": "AQAB"})
            }
            Signer::Es256(pair) => {
                let (x, y) = halves(pair.public_key().as_ref());
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": x, "y": y})
            }
            Signer::Es384(pair) => {
                let (x, y) = halves(pair.public_key().as_ref());
                json!({"kty": "EC", "crv": "P-384", "kid": kid, "alg": "ES384", "x": x, "y": y})
            }
            Signer::EdDsa(pair) => {
                let x = b64(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "key_ops": ["verify"], "x": x})
            }
        }
    }

    /// The public half as PEM-less DER: what an HS256 forger would use as the secret.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match self {
            Signer::Rs256(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Signer::Es256(pair) | Signer::Es384(pair) => pair.public_key().as_ref().to_vec(),
            Signer::EdDsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }
}

pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token before it is signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

impl Draft {
    /// With a header field set, or removed by `null`.
    pub(crate) fn header(mut self, field: &str, value: Value) -> Draft {
        put(&mut self.header, field, value);
        self
    }

    /// With a claim set, or removed by `null`.
    pub(crate) fn claim(mut self, claim: &str, value: Value) -> Draft {
        put(&mut self.claims, claim, value);
        self
    }

    /// Signed by the issuer's key of the header's algorithm, RS256 if that is none.
    pub(crate) fn sign(&self) -> String {
        let algorithm = self.header.get("alg").and_then(Value::as_str).unwrap_or("");
        let known = ["RS256", "ES256", "ES384", "EdDSA"].contains(&algorithm);
        self.sign_by(signer(if known { algorithm } else { "RS256" }))
    }

    pub(crate) fn sign_by(&self, signer: &Signer) -> String {
        let header = serde_json::to_string(&self.header).unwrap();
        let claims = serde_json::to_string(&self.claims).unwrap();
        assemble(header.as_bytes(), claims.as_bytes(), signer)
    }
}

fn put(object: &mut Map<String, Value>, key: &str, value: Value) {
    if value.is_null() {
        object.remove(key);
    } else {
        object.insert(key.to_owned(), value);
    }
}

/// A token of any bytes, properly signed.
pub(crate) fn assemble(header: &[u8], claims: &[u8], signer: &Signer) -> String {
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = b64(&signer.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// How the issuer answers a path.
#[derive(Clone)]
pub(crate) enum Reply {
    Json(Value),
    Raw(String),
    Silence,
}

#[derive(Default)]
struct Site {
    pages: BTreeMap<String, Reply>,
    asked: Vec<String>,
}

/// An issuer on loopback that can misbehave.
pub(crate) struct TestIssuer {
    pub(crate) url: String,
    site: Arc<Mutex<Site>>,
}

impl TestIssuer {
    /// Starts one that publishes [`signer`]'s four keys as `k-RS256`, `k-ES256` …
    pub(crate) async fn start() -> TestIssuer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = Arc::new(Mutex::new(Site::default()));
        let issuer = TestIssuer {
            url: url.clone(),
            site: Arc::clone(&site),
        };
        issuer.publish(json!({"issuer": url, "jwks_uri": format!("{url}/keys")}));
        issuer.publish_keys(
            ["RS256", "ES256", "ES384", "EdDSA"]
                .map(|a| signer(a).jwk(&format!("k-{a}")))
                .to_vec(),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&site)));
            }
        });
        issuer
    }

    pub(crate) fn publish(&self, discovery: Value) {
        self.reply("/.well-known/openid-configuration", Reply::Json(discovery));
    }

    pub(crate) fn publish_keys(&self, keys: Vec<Value>) {
        self.reply("/keys", Reply::Json(json!({"keys": keys})));
    }

    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        let mut site = self.site.lock().unwrap();
        site.pages.insert(path.to_owned(), reply);
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let site = self.site.lock().unwrap();
        site.asked.iter().filter(|asked| *asked == path).count()
    }

    /// How often anything was asked for.
    pub(crate) fn asked_in_all(&self) -> usize {
        self.site.lock().unwrap().asked.len()
    }

    pub(crate) fn config(&self) -> IssuerConfig {
        IssuerConfig {
            name: "corp".to_owned(),
            kind: IssuerKind::Oidc,
            issuer: self.url.clone(),
            audience: AUDIENCE.to_owned(),
            algorithms: ["RS256", "ES256", "ES384", "EdDSA"]
                .map(|name| Algorithm::parse(name).unwrap())
                .to_vec(),
            jwks_uri: None,
            stable_id_claim: "sub".to_owned(),
            ca_cert_file: None,
            required_claims: BTreeMap::new(),
        }
    }

    pub(crate) fn github_config(&self) -> IssuerConfig {
        IssuerConfig {
            name: "github".to_owned(),
            kind: IssuerKind::GithubActions,
            algorithms: vec![Algorithm::Rs256],
            ..self.config()
        }
    }

    /// A good token of Ada's, good for an hour from noon.
    pub(crate) fn draft(&self, algorithm: &str) -> Draft {
        Draft {
            header: object(
                json!({"alg": algorithm, "kid": format!("k-{algorithm}"), "typ": "JWT"}),
            ),
            claims: object(json!({
                "iss": self.url,
                "aud": AUDIENCE,
                "sub": "00u1ada",
                "iat": noon_s(),
                "exp": noon_s() + 3_600,
            })),
        }
    }

    /// A good token of a job of `acme/payments` on `main`, as GitHub makes them.
    pub(crate) fn job(&self) -> Draft {
        let mut draft = self
            .draft("RS256")
            .header("x5t", json!("eBZ_cn3sXYAd0ch4THBKHIgOwOE"));
        draft.claims.extend(object(json!({
            "sub": "repo:acme/payments:ref:refs/heads/main",
            "exp": noon_s() + 300,
            "nbf": noon_s() - 5,
            "jti": "c1f7e2a0-7c7e-4b53-9d0f-2b1a6a3c9f11",
            "repository": "acme/payments",
            "repository_id": "4201",
            "repository_owner": "acme",
            "repository_owner_id": "77",
            "ref": "refs/heads/main",
            "ref_type": "branch",
            "event_name": "push",
            "job_workflow_ref": "acme/payments/.github/workflows/deploy.yml@refs/heads/main",
            "run_id": "9001",
            "runner_environment": "github-hosted",
        })));
        draft
    }
}

async fn answer(mut stream: tokio::net::TcpStream, site: Arc<Mutex<Site>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let reply = {
        let mut site = site.lock().unwrap();
        site.asked.push(path.clone());
        site.pages.get(&path).cloned()
    };
    let text = match reply {
        Some(Reply::Json(value)) => {
            let body = value.to_string();
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
        }
        Some(Reply::Raw(text)) => text,
        Some(Reply::Silence) => {
            // Waits for the other side to give up.
            let _ = stream.read_u8().await;
            return;
        }
        None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
    };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A verifier of these issuers.
pub(crate) fn verifier(configs: impl IntoIterator<Item = IssuerConfig>) -> Verifier {
    Verifier::new(configs.into_iter().collect()).unwrap()
}

/// A verifier that gives up on a silent issuer soon.
pub(super) fn impatient_verifier(config: IssuerConfig) -> Verifier {
    let mut verifier = verifier([config]);
    for issuer in verifier.issuers.values_mut() {
        issuer.keys = Arc::new(Jwks::new(&issuer.config).unwrap().impatient());
    }
    verifier
}

/// What becomes of a token at a moment.
pub(crate) async fn at(verifier: &Verifier, token: &str, now: Moment) -> Result<Identity, Refusal> {
    verifier.verify(token, bundle().directory(), now).await
}

pub(crate) fn is_down(refusal: &Refusal, cause: &str) -> bool {
    matches!(refusal, Refusal::IssuerUnavailable { cause: found, .. } if found.contains(cause))
}
