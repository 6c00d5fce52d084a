//! The rows of the bad-token table: what is wrong, the token, and why it is refused.

use aws_lc_rs::hmac;

use super::*;
use Refusal::{Malformed, Untimely, Untrusted};

/// What is wrong, the token, why it is refused.
pub(super) type Row = (&'static str, String, Refusal);

const HEADER: &str = r#"{"alg":"RS256","kid":"k-RS256"}"#;

pub(super) fn bad_shapes(issuer: &TestIssuer) -> Vec<Row> {
    let good = issuer.draft("RS256").sign();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let raw_header = |text: &str| assemble(text.as_bytes(), br#"{"iss":"x"}"#, signer("RS256"));
    let raw_claims = |text: &[u8]| assemble(HEADER.as_bytes(), text, signer("RS256"));
    let all = serde_json::to_string(&issuer.draft("RS256").claims).unwrap();
    let doubled =
        |extra: &str| raw_claims(format!("{},{extra}}}", &all[..all.len() - 1]).as_bytes());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let three = || Malformed("not three parts");
    let base64 = || Malformed("not base64url without padding");
    let no_header = || Malformed("a header that is not a JSON object");
    let no_claims = || Malformed("claims that are not a JSON object");
    vec![
        ("nothing", String::new(), three()),
        ("a word", "token".to_owned(), three()),
        ("two parts", format!("{header}.{claims}"), three()),
        ("four parts", format!("{good}.{signature}"), three()),
        (
            "five parts, as a JWE",
            format!("{good}.{claims}.{signature}"),
            three(),
        ),
        ("only dots", "..".to_owned(), no_header()),
        (
            "no signature",
            format!("{header}.{claims}."),
            Malformed("no signature"),
        ),
        (
            "too long",
            format!("{header}.{}.{signature}", "A".repeat(16_384)),
            Malformed("longer than 16 KiB"),
        ),
        ("a space before", format!(" {good}"), base64()),
        ("a line after", format!("{good}\n"), base64()),
        ("`Bearer` before", format!("Bearer {good}"), base64()),
        (
            "padding",
            format!("{header}=.{claims}.{signature}"),
            base64(),
        ),
        (
            "the other base64",
            format!("{header}.{claims}.+/{}", &signature[2..]),
            base64(),
        ),
        (
            "loose bits at the end",
            format!("{header}.{claims}.{}B", &signature[..signature.len() - 1]),
            base64(),
        ),
        (
            "a zero byte",
            format!("{header}\0.{claims}.{signature}"),
            base64(),
        ),
        (
            "a letter that is not ASCII",
            format!("{header}.{claims}é.{signature}"),
            base64(),
        ),
        ("a header that is a list", raw_header("[]"), no_header()),
        (
            "a header that is a text",
            raw_header("\"RS256\""),
            no_header(),
        ),
        (
            "a header cut short",
            raw_header(r#"{"alg":"RS256""#),
            no_header(),
        ),
        (
            "something after the header",
            raw_header(&format!("{HEADER}{{}}")),
            no_header(),
        ),
        ("claims that are a list", raw_claims(b"[]"), no_claims()),
        (
            "claims that are a token",
            raw_claims(good.as_bytes()),
            no_claims(),
        ),
        (
            "claims that are not UTF-8",
            raw_claims(b"{\"iss\":\"\xff\"}"),
            no_claims(),
        ),
        ("claims of nothing", raw_claims(b""), no_claims()),
        (
            "an algorithm twice",
            raw_header(r#"{"alg":"RS256","alg":"none","kid":"k"}"#),
            Malformed("a doubled key in the header"),
        ),
        (
            "a subject twice",
            doubled(r#""sub":"00u1ada""#),
            Malformed("a doubled key in the claims"),
        ),
        (
            "a subject twice, once escaped",
            doubled(r#""s\u0075b":"root""#),
            Malformed("a doubled key in the claims"),
        ),
        (
            "a key twice further in",
            doubled(r#""x":[{"a":1,"a":1}]"#),
            Malformed("a doubled key in the claims"),
        ),
        (
            "nested very deep",
            raw_claims(deep.as_bytes()),
            Malformed("nested too deep"),
        ),
    ]
}

pub(super) fn bad_headers(issuer: &TestIssuer) -> Vec<Row> {
    let with = |field: &str, value: Value| issuer.draft("RS256").header(field, value).sign();
    let field = || Malformed("a header field we do not take");
    let typ = || Malformed("another type of token");
    let unchecked = || Untrusted("an algorithm we do not check");
    let key_id = || Malformed("no key id of 1 to 128 bytes");
    let own_jwk = new_signer("ES256").jwk("k-ES256");
    vec![
        (
            "no algorithm",
            with("alg", Value::Null),
            Malformed("no algorithm"),
        ),
        (
            "an algorithm that is a list",
            with("alg", json!(["RS256"])),
            Malformed("no algorithm"),
        ),
        ("alg none", with("alg", json!("none")), unchecked()),
        ("alg None", with("alg", json!("None")), unchecked()),
        ("alg of nothing", with("alg", json!("")), unchecked()),
        (
            "alg in small letters",
            with("alg", json!("rs256")),
            unchecked(),
        ),
        (
            "alg with a space",
            with("alg", json!("RS256 ")),
            unchecked(),
        ),
        ("HS256", with("alg", json!("HS256")), unchecked()),
        ("PS256", with("alg", json!("PS256")), unchecked()),
        ("RS512", with("alg", json!("RS512")), unchecked()),
        ("ES256K", with("alg", json!("ES256K")), unchecked()),
        ("no key id", with("kid", Value::Null), key_id()),
        ("an empty key id", with("kid", json!("")), key_id()),
        ("a key id that is a number", with("kid", json!(1)), key_id()),
        (
            "a long key id",
            with("kid", json!("k".repeat(129))),
            key_id(),
        ),
        ("crit", with("crit", json!(["exp"])), field()),
        ("an empty crit", with("crit", json!([])), field()),
        ("b64 false", with("b64", json!(false)), field()),
        ("its own key", with("jwk", own_jwk.clone()), field()),
        (
            "its own key's address",
            with("jku", json!("https://evil.example.com/keys")),
            field(),
        ),
        ("its own certificate", with("x5c", json!(["AAAA"])), field()),
        (
            "its own certificate's address",
            with("x5u", json!("https://evil.example.com/cert")),
            field(),
        ),
        ("encrypted", with("enc", json!("A256GCM")), field()),
        ("compressed", with("zip", json!("DEF")), field()),
        ("another type", with("typ", json!("logout+jwt")), typ()),
        ("a DPoP proof", with("typ", json!("dpop+jwt")), typ()),
        ("a type that is a list", with("typ", json!(["JWT"])), typ()),
    ]
}

pub(super) fn bad_claims(issuer: &TestIssuer) -> Vec<Row> {
    let with = |claim: &str, value: Value| issuer.draft("RS256").claim(claim, value).sign();
    let foreign = || Untrusted("not an issuer of ours");
    let audience = || Untrusted("another audience");
    let one = || Untrusted("not exactly one audience");
    let second = || Malformed("a time that is not whole seconds since 1970");
    let url = &issuer.url;
    let host = url.strip_prefix("http://").unwrap();
    let span = |iat: i64, exp: i64| {
        let draft = issuer.draft("RS256").claim("iat", json!(noon_s() + iat));
        draft.claim("exp", json!(noon_s() + exp)).sign()
    };
    vec![
        (
            "no issuer",
            with("iss", Value::Null),
            Malformed("no issuer"),
        ),
        (
            "an issuer in a list",
            with("iss", json!([url])),
            Malformed("an issuer that is not a text"),
        ),
        ("an empty issuer", with("iss", json!("")), foreign()),
        (
            "another issuer",
            with("iss", json!("https://evil.example.com")),
            foreign(),
        ),
        (
            "a slash after the issuer",
            with("iss", json!(format!("{url}/"))),
            foreign(),
        ),
        (
            "an issuer that goes on",
            with("iss", json!(format!("{url}.evil.example.com"))),
            foreign(),
        ),
        (
            "an issuer with a path",
            with("iss", json!(format!("{url}/tenant"))),
            foreign(),
        ),
        (
            "an issuer with a user",
            with("iss", json!(format!("http://a@{host}"))),
            foreign(),
        ),
        (
            "an issuer in capitals",
            with("iss", json!(url.to_uppercase())),
            foreign(),
        ),
        (
            "an issuer with a space",
            with("iss", json!(format!("{url} "))),
            foreign(),
        ),
        (
            "no audience",
            with("aud", Value::Null),
            Untrusted("no audience"),
        ),
        ("an empty audience", with("aud", json!("")), audience()),
        (
            "another audience",
            with("aud", json!("sts.amazonaws.com")),
            audience(),
        ),
        (
            "a slash after the audience",
            with("aud", json!(format!("{AUDIENCE}/"))),
            audience(),
        ),
        (
            "an audience that goes on",
            with("aud", json!(format!("{AUDIENCE}.evil.example.com"))),
            audience(),
        ),
        (
            "an audience in capitals",
            with("aud", json!(AUDIENCE.to_uppercase())),
            audience(),
        ),
        ("no audience in the list", with("aud", json!([])), one()),
        (
            "ours and another",
            with("aud", json!([AUDIENCE, "other"])),
            one(),
        ),
        (
            "ours twice",
            with("aud", json!([AUDIENCE, AUDIENCE])),
            one(),
        ),
        (
            "another in a list",
            with("aud", json!(["other"])),
            audience(),
        ),
        (
            "an audience in two lists",
            with("aud", json!([[AUDIENCE]])),
            audience(),
        ),
        (
            "an audience that is an object",
            with("aud", json!({"a": AUDIENCE})),
            Malformed("an audience that is not a text"),
        ),
        (
            "no subject",
            with("sub", Value::Null),
            Malformed("no subject"),
        ),
        (
            "a subject that is a number",
            with("sub", json!(7)),
            Malformed("no subject"),
        ),
        (
            "an empty subject",
            with("sub", json!("")),
            Malformed("no subject"),
        ),
        (
            "no expiry",
            with("exp", Value::Null),
            Malformed("no expiry"),
        ),
        (
            "an expiry that is a text",
            with("exp", json!((noon_s() + 60).to_string())),
            second(),
        ),
        (
            "an expiry with a fraction",
            with("exp", json!(noon_s() as f64 + 60.5)),
            second(),
        ),
        ("an expiry before 1970", with("exp", json!(-1)), second()),
        (
            "an expiry after the year 9999",
            with("exp", json!(253_402_300_800_i64)),
            second(),
        ),
        (
            "an expiry in milliseconds",
            with("exp", json!(noon_s() * 1_000)),
            second(),
        ),
        (
            "an expiry beyond 64 bits",
            with("exp", json!(u64::MAX)),
            second(),
        ),
        ("expired", span(-3_600, -30), Untimely("expired")),
        (
            "expired long ago",
            span(-7_200, -3_600),
            Untimely("expired"),
        ),
        (
            "no time of issue",
            with("iat", Value::Null),
            Malformed("no time of issue"),
        ),
        (
            "a time of issue that is a text",
            with("iat", json!("now")),
            second(),
        ),
        (
            "issued in the future",
            span(31, 3_600),
            Untimely("issued in the future"),
        ),
        (
            "lives backwards",
            span(10, 5),
            Untimely("expires before it was issued"),
        ),
        (
            "lives no time",
            span(10, 10),
            Untimely("expires before it was issued"),
        ),
        (
            "lives too long",
            span(0, 86_401),
            Untimely("lives longer than we allow"),
        ),
        (
            "lives for ever",
            span(0, 253_402_300_799 - noon_s()),
            Untimely("lives longer than we allow"),
        ),
        (
            "not valid yet",
            with("nbf", json!(noon_s() + 31)),
            Untimely("not valid yet"),
        ),
        (
            "a beginning that is a text",
            with("nbf", json!("now")),
            second(),
        ),
        (
            "a beginning that is a truth",
            with("nbf", json!(true)),
            second(),
        ),
    ]
}

pub(super) fn bad_signatures(issuer: &TestIssuer) -> Vec<Row> {
    let bad = || Untrusted("a bad signature");
    let good = issuer.draft("ES256").sign();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut flipped = bytes.clone();
    flipped[40] ^= 1;
    let cut = bytes[..63].to_vec();
    let other_claims = issuer.draft("ES256").claim("sub", json!("00u1root")).sign();
    let (other_signed, _) = other_claims.rsplit_once('.').unwrap();
    let confused = |algorithm: &str, kid: &str, by: &str| {
        let draft = issuer.draft(algorithm).header("kid", json!(kid));
        draft.sign_by(signer(by))
    };
    // The classic: HMAC with the public key as its secret, under a header that names the RSA key.
    let draft = issuer.draft("RS256").header("alg", json!("HS256"));
    let (hs_signed, _) = draft
        .sign()
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &signer("RS256").public_der());
    let hs = b64(hmac::sign(&secret, hs_signed.as_bytes()).as_ref());
    // The same signature under a header that keeps RS256.
    let rs = issuer.draft("RS256").sign();
    let (rs_signed, _) = rs.rsplit_once('.').unwrap();
    let hs_as_rs = b64(hmac::sign(&secret, rs_signed.as_bytes()).as_ref());
    let der = in_der(&bytes);
    bytes.push(0);
    vec![
        (
            "a flipped bit",
            format!("{signed}.{}", b64(&flipped)),
            bad(),
        ),
        (
            "a signature cut short",
            format!("{signed}.{}", b64(&cut)),
            bad(),
        ),
        (
            "a signature with a byte more",
            format!("{signed}.{}", b64(&bytes)),
            bad(),
        ),
        (
            "a signature of zeros",
            format!("{signed}.{}", b64(&[0; 64])),
            bad(),
        ),
        (
            "a signature in DER",
            format!("{signed}.{}", b64(&der)),
            bad(),
        ),
        (
            "another token's signature",
            format!("{other_signed}.{signature}"),
            bad(),
        ),
        (
            "a stranger's key",
            issuer.draft("ES256").sign_by(&new_signer("ES256")),
            bad(),
        ),
        (
            "a stranger's RSA key",
            issuer.draft("RS256").sign_by(&new_signer("RS256")),
            bad(),
        ),
        (
            "a stranger's Ed25519 key",
            issuer.draft("EdDSA").sign_by(&new_signer("EdDSA")),
            bad(),
        ),
        (
            "HMAC with the public key",
            format!("{hs_signed}.{hs}"),
            Untrusted("an algorithm we do not check"),
        ),
        (
            "HMAC with the public key as RS256",
            format!("{rs_signed}.{hs_as_rs}"),
            bad(),
        ),
        (
            "an EC key under RS256",
            confused("RS256", "k-ES256", "ES256"),
            Untrusted("a key of another algorithm"),
        ),
        (
            "an RSA key under ES256",
            confused("ES256", "k-RS256", "RS256"),
            Untrusted("a key of another algorithm"),
        ),
        (
            "P-384 under ES256",
            confused("ES256", "k-ES384", "ES384"),
            Untrusted("a key of another algorithm"),
        ),
        (
            "P-256 under ES384",
            confused("ES384", "k-ES256", "ES256"),
            Untrusted("a key of another algorithm"),
        ),
        (
            "an unknown key",
            confused("ES256", "k-nobody", "ES256"),
            Untrusted("no key of this id"),
        ),
        (
            "a key id in capitals",
            confused("ES256", "K-ES256", "ES256"),
            Untrusted("no key of this id"),
        ),
        (
            "a key id that is a path",
            confused("ES256", "../../k-ES256", "ES256"),
            Untrusted("no key of this id"),
        ),
        (
            "a key id with a zero byte",
            confused("ES256", "k-ES256\0", "ES256"),
            Untrusted("no key of this id"),
        ),
    ]
}

/// An ECDSA signature in the other encoding, which some libraries take as well.
fn in_der(fixed: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let mut value = half.to_vec();
        if value[0] >= 0x80 {
            value.insert(0, 0);
        }
        [&[2, u8::try_from(value.len()).unwrap()], value.as_slice()].concat()
    };
    let body = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}
