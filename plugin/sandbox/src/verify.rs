//! Who signed a request, and whether they did: the door of the sandbox.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::caller::{Holder, Keys};
use crate::clock::{Clock, amz, parse_amz, shifted};
use crate::error::AwsError;
use crate::iam::IAM_REGION;
use crate::loopback::Asked;
use crate::sigv4::{self, ALGORITHM, CredentialScope, TERMINATOR};

/// How old a signature may be. AWS's own message names the figure.
pub(crate) const SIGNATURE_AGE_MAX_S: i64 = 15 * 60;

/// How far in the future a signature may be dated. AWS's own message names the figure.
pub(crate) const SIGNATURE_AHEAD_MAX_S: i64 = 5 * 60;

/// A verified caller, and the service and region the request was signed for.
pub(crate) struct Verified {
    pub(crate) holder: std::sync::Arc<Holder>,
    pub(crate) scope: CredentialScope,
}

/// Checks the signature of `asked`, its date, its scope, and that the key's session is still alive.
pub(crate) fn verify(
    asked: &Asked,
    keys: &Keys,
    region: Option<&str>,
    clock: &Clock,
) -> Result<Verified, AwsError> {
    let header = asked
        .header("authorization")
        .ok_or_else(AwsError::missing_authentication)?;
    let authorization = Authorization::parse(header)?;
    let amz_date = asked.header("x-amz-date").ok_or_else(|| {
        AwsError::incomplete_signature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    })?;
    let holder = keys
        .get(authorization.access_key_id)
        .ok_or_else(AwsError::invalid_client_token)?;
    check_token(asked, holder)?;
    check_date(amz_date, &authorization.scope, clock)?;
    check_region(&authorization.scope, region)?;
    check_signed_headers(asked, &authorization.signed_headers)?;
    let expected = sigv4::signature(
        &holder.credentials.secret_access_key,
        asked.signable(),
        &authorization.signed_headers,
        amz_date,
        &authorization.scope,
    );
    verify_slices_are_equal(expected.as_bytes(), authorization.signature.as_bytes())
        .map_err(|_| AwsError::wrong_signature())?;
    if holder.expires_at().is_some_and(|end| clock.now() >= end) {
        return Err(AwsError::expired_token());
    }
    Ok(Verified {
        holder: holder.clone(),
        scope: authorization.scope,
    })
}

fn check_token(asked: &Asked, holder: &Holder) -> Result<(), AwsError> {
    let given = asked.header("x-amz-security-token").unwrap_or_default();
    let wanted = holder
        .credentials
        .session_token
        .as_deref()
        .unwrap_or_default();
    verify_slices_are_equal(wanted.as_bytes(), given.as_bytes())
        .map_err(|_| AwsError::invalid_client_token())
}

fn check_date(amz_date: &str, scope: &CredentialScope, clock: &Clock) -> Result<(), AwsError> {
    let signed_at = parse_amz(amz_date).ok_or_else(|| {
        AwsError::incomplete_signature(format!(
            "Date must be in ISO-8601 'basic format'. Got '{amz_date}'."
        ))
    })?;
    let day: String = amz_date.chars().take(8).collect();
    if day != scope.date {
        return Err(AwsError::signature(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', \
             from '{amz_date}'.",
            scope.date
        )));
    }
    let now = clock.wire_now();
    let oldest = shifted(now, -SIGNATURE_AGE_MAX_S);
    let newest = shifted(now, SIGNATURE_AHEAD_MAX_S);
    if signed_at < oldest {
        return Err(AwsError::signature(format!(
            "Signature expired: {amz_date} is now earlier than {} ({} - 15 min.)",
            amz(oldest),
            amz(now)
        )));
    }
    if signed_at > newest {
        return Err(AwsError::signature(format!(
            "Signature not yet current: {amz_date} is still later than {} ({} + 5 min.)",
            amz(newest),
            amz(now)
        )));
    }
    Ok(())
}

fn check_region(scope: &CredentialScope, region: Option<&str>) -> Result<(), AwsError> {
    let lower =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let valid = |text: &str| !text.is_empty() && text.chars().all(lower);
    let region = match scope.service.as_str() {
        "iam" => Some(IAM_REGION),
        _ => region,
    };
    if !valid(&scope.region) || region.is_some_and(|region| region != scope.region) {
        return Err(AwsError::signature(format!(
            "Credential should be scoped to a valid region, not '{}'. ",
            scope.region
        )));
    }
    if !valid(&scope.service) {
        return Err(AwsError::wrong_service("sts"));
    }
    Ok(())
}

/// A header that is not signed could be changed on the way: `host` and every `x-amz-` header must be.
fn check_signed_headers(asked: &Asked, signed: &[String]) -> Result<(), AwsError> {
    let is_signed = |name: &str| signed.iter().any(|given| given == name);
    let unsigned = asked
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| *name == "host" || name.starts_with("x-amz-"))
        .find(|name| !is_signed(name));
    let absent = signed.iter().find(|name| asked.header(name).is_none());
    match (unsigned, absent) {
        (Some(name), _) => Err(AwsError::signature(format!(
            "'{name}' must be a 'SignedHeader' in the AWS Authorization."
        ))),
        (None, Some(_)) => Err(AwsError::wrong_signature()),
        (None, None) if !is_signed("host") => Err(AwsError::signature(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        )),
        (None, None) => Ok(()),
    }
}

struct Authorization<'a> {
    access_key_id: &'a str,
    scope: CredentialScope,
    signed_headers: Vec<String>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Result<Authorization<'a>, AwsError> {
        let rest = header.strip_prefix(ALGORITHM).ok_or_else(|| {
            let algorithm = header.split_whitespace().next().unwrap_or_default();
            AwsError::incomplete_signature(format!("Unsupported AWS 'algorithm': '{algorithm}'."))
        })?;
        let field = |name: &str| {
            let mut found = rest
                .split(',')
                .filter_map(|part| part.trim().strip_prefix(name));
            let value = found.next().and_then(|value| value.strip_prefix('='));
            match (value, found.next()) {
                (Some(value), None) => Ok(value),
                // Neither missing nor doubled.
                _ => Err(AwsError::incomplete_signature(format!(
                    "Authorization header requires '{name}' parameter."
                ))),
            }
        };
        let credential = field("Credential")?;
        let signed_headers: Vec<String> = field("SignedHeaders")?
            .split(';')
            .map(str::to_owned)
            .collect();
        if !signed_headers.is_sorted() {
            return Err(AwsError::wrong_signature());
        }
        let mut parts = credential.split('/');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (Some(access_key_id), Some(date), Some(region), Some(service), Some(TERMINATOR), None) =
            (part(), part(), part(), part(), part(), parts.next())
        else {
            return Err(AwsError::incomplete_signature(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term, got '{credential}'"
            )));
        };
        Ok(Authorization {
            access_key_id,
            scope: CredentialScope {
                date: date.to_owned(),
                region: region.to_owned(),
                service: service.to_owned(),
            },
            signed_headers,
            signature: field("Signature")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorization_header_is_taken_whole_or_not_at_all() {
        let good = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host;x-amz-date, \
                    Signature=00";
        let parsed = Authorization::parse(good).unwrap();
        assert_eq!(parsed.access_key_id, "AKID");
        assert_eq!(parsed.scope.text(), "20260101/eu-west-1/sts/aws4_request");
        assert_eq!(parsed.signed_headers, ["host", "x-amz-date"]);
        for (wrong, code) in [
            (
                good.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
                "IncompleteSignature",
            ),
            (good.replace("/aws4_request", ""), "IncompleteSignature"),
            (
                good.replace("/aws4_request", "/aws4_request/more"),
                "IncompleteSignature",
            ),
            (
                good.replace("aws4_request", "aws5_request"),
                "IncompleteSignature",
            ),
            (good.replace("AKID/", "/"), "IncompleteSignature"),
            (good.replace(", Signature=00", ""), "IncompleteSignature"),
            (format!("{good}, Signature=11"), "IncompleteSignature"),
            (
                good.replace("host;x-amz-date", "x-amz-date;host"),
                "SignatureDoesNotMatch",
            ),
        ] {
            let refused = Authorization::parse(&wrong).map(|_| ()).unwrap_err();
            assert_eq!(refused.code, code, "{wrong}");
        }
    }
}
