//! AWS Signature Version 4, written once for both sides: [`sign`] makes a signature, the sandbox makes it again and compares.

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;

use crate::clock::amz;
use crate::form;
use crate::session::Credentials;

/// The one algorithm there is here; the asymmetric variant (SigV4a) is refused.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How every credential scope ends.
pub const TERMINATOR: &str = "aws4_request";

/// What of an HTTP request is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    /// `POST`, `GET` …
    pub method: &'a str,
    /// The path as sent, percent-encoded.
    pub path: &'a str,
    /// The query as sent, without the question mark.
    pub query: &'a str,
    /// Name and value of each header, in the order sent.
    pub headers: &'a [(String, String)],
    /// The body's bytes.
    pub body: &'a [u8],
}

/// `date/region/service`: where and when a signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialScope {
    /// Eight digits, `YYYYMMDD`.
    pub date: String,
    /// For example `eu-west-1`.
    pub region: String,
    /// For example `sts`.
    pub service: String,
}

impl CredentialScope {
    /// The text that goes into the `Authorization` header after the access key id.
    pub fn text(&self) -> String {
        format!(
            "{}/{}/{}/{TERMINATOR}",
            self.date, self.region, self.service
        )
    }
}

/// Signs `request` at `now` and returns the headers to add to it: `X-Amz-Date`, `X-Amz-Security-Token` if the credentials
/// are temporary, and `Authorization`. `request.headers` must hold `host`; all of them are signed.
pub fn sign(
    request: Signable<'_>,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: Timestamp,
) -> Vec<(String, String)> {
    let amz_date = amz(now);
    let scope = CredentialScope {
        date: amz_date.chars().take(8).collect(),
        region: region.to_owned(),
        service: service.to_owned(),
    };
    let mut added = vec![("x-amz-date".to_owned(), amz_date.clone())];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token".to_owned(), token.clone()));
    }
    let headers: Vec<(String, String)> = request.headers.iter().chain(&added).cloned().collect();
    let mut signed: Vec<String> = headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    signed.sort();
    signed.dedup();
    let request = Signable {
        headers: &headers,
        ..request
    };
    let signature = signature(
        &credentials.secret_access_key,
        request,
        &signed,
        &amz_date,
        &scope,
    );
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        scope.text(),
        signed.join(";"),
    );
    added.push(("authorization".to_owned(), authorization));
    added
}

/// The signature of `request` over the headers `signed` (lower case, sorted), in hexadecimal.
pub fn signature(
    secret_access_key: &str,
    request: Signable<'_>,
    signed: &[String],
    amz_date: &str,
    scope: &CredentialScope,
) -> String {
    let text = format!(
        "{ALGORITHM}\n{amz_date}\n{}\n{}",
        scope.text(),
        sha256_hex(canonical_request(request, signed).as_bytes()),
    );
    let key = signing_key(secret_access_key, scope);
    hex::encode(mac(key.as_ref(), text.as_bytes()))
}

/// The key a day's signatures in one region and service are made with.
pub fn signing_key(secret_access_key: &str, scope: &CredentialScope) -> hmac::Tag {
    let date = mac(
        format!("AWS4{secret_access_key}").as_bytes(),
        scope.date.as_bytes(),
    );
    let region = mac(date.as_ref(), scope.region.as_bytes());
    let service = mac(region.as_ref(), scope.service.as_bytes());
    mac(service.as_ref(), TERMINATOR.as_bytes())
}

/// The request in the one spelling that both sides hash.
pub fn canonical_request(request: Signable<'_>, signed: &[String]) -> String {
    let mut headers = String::new();
    for name in signed {
        let values: Vec<String> = request
            .headers
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
        signed.join(";"),
        sha256_hex(request.body),
    )
}

/// Every service but S3 encodes the path, already encoded on the wire, a second time.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<String> = Vec::new();
    for segment in path
        .split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".")
    {
        if segment == ".." {
            segments.pop();
        } else {
            segments.push(form::encode(segment));
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", segments.join("/"))
}

fn canonical_query(query: &str) -> String {
    // A query that cannot be decoded is compared as it stands; it can only fail to match.
    let Ok(pairs) = form::pairs(query) else {
        return query.to_owned();
    };
    let mut pairs: Vec<(String, String)> = pairs
        .iter()
        .map(|(name, value)| (form::encode(name), form::encode(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn scope(date: &str, service: &str) -> CredentialScope {
        CredentialScope {
            date: date.to_owned(),
            region: "us-east-1".to_owned(),
            service: service.to_owned(),
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_signing_key_is_the_published_one() {
        let key = signing_key(SECRET, &scope("20120215", "iam"));
        assert_eq!(
            hex::encode(key),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }

    #[test]
    fn the_published_example_request_has_the_published_signature() {
        let headers = headers(&[
            ("Host", "iam.amazonaws.com"),
            (
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("X-Amz-Date", "20150830T123600Z"),
        ]);
        let request = Signable {
            method: "GET",
            path: "/",
            query: "Action=ListUsers&Version=2010-05-08",
            headers: &headers,
            body: b"",
        };
        let signed = ["content-type", "host", "x-amz-date"].map(str::to_owned);
        assert_eq!(
            sha256_hex(canonical_request(request, &signed).as_bytes()),
            "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
        );
        assert_eq!(
            signature(
                SECRET,
                request,
                &signed,
                "20150830T123600Z",
                &scope("20150830", "iam")
            ),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn the_test_suites_plain_get_is_signed_as_published() {
        let headers = headers(&[("Host", "example.amazonaws.com")]);
        let credentials = Credentials::new("AKIDEXAMPLE", SECRET, None);
        let request = Signable {
            method: "GET",
            path: "/",
            query: "",
            headers: &headers,
            body: b"",
        };
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let added = sign(request, &credentials, "us-east-1", "service", now);
        assert_eq!(
            added.last().unwrap().1,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
    }

    #[test]
    fn paths_queries_and_header_values_have_one_spelling() {
        assert_eq!(canonical_path(""), "/");
        assert_eq!(canonical_path("/a/./b/../c%20d/"), "/a/c%2520d/");
        assert_eq!(canonical_query("b=2&a=x%20y&a=1"), "a=1&a=x%20y&b=2");
        let headers = headers(&[("A", "  x   y "), ("a", "z")]);
        let request = Signable {
            method: "GET",
            path: "/",
            query: "",
            headers: &headers,
            body: b"",
        };
        assert!(canonical_request(request, &["a".to_owned()]).contains("a:x y,z\n"));
    }
}
