//! `application/x-www-form-urlencoded`, read strictly and written as SigV4 wants it.

use std::collections::BTreeMap;

/// Decodes `a=1&b=2`; a name given twice, or text that is not UTF-8 after decoding, is refused with the name.
pub(crate) fn parse(body: &str) -> Result<BTreeMap<String, String>, String> {
    let mut out = BTreeMap::new();
    for (name, value) in pairs(body)? {
        if out.insert(name.clone(), value).is_some() {
            return Err(name);
        }
    }
    Ok(out)
}

/// The decoded pairs in order.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = decode(name).zip(decode(value));
            decoded.ok_or_else(|| name.to_owned())
        })
        .collect()
}

/// Percent-encodes all but the unreserved characters of RFC 3986, as SigV4 does.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            _ => {
                out.push('%');
                out.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_and_a_doubled_name_is_refused() {
        let form = parse("Action=AssumeRole&Policy=%7B%22a%22%3A+1%7D&Empty=").unwrap();
        assert_eq!(form["Policy"], r#"{"a": 1}"#);
        assert_eq!(form["Empty"], "");
        assert_eq!(parse("A=1&A=2").unwrap_err(), "A");
        assert!(parse("A=%zz").is_err());
        assert!(parse("A=%ff").is_err());
        assert!(parse("A=%2").is_err());
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let text = "a b/ü*~+%";
        assert_eq!(encode(text), "a%20b%2F%C3%BC%2A~%2B%25");
        assert_eq!(decode(&encode(text)).unwrap(), text);
    }
}
