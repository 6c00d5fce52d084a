//! The address of something we fetch: HTTPS, or plain HTTP on this very machine, in one spelling only.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// The longest address taken, in bytes: what browsers and proxies agree to carry.
pub const ADDRESS_BYTES_MAX: usize = 2_048;

/// A checked `https://` address, or an `http://` one of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    plain: bool,
}

impl Address {
    /// Reads an address. Refused are other schemes, plain HTTP to anywhere but `localhost` and loopback addresses, names
    /// and passwords before the host, fragments, capitals in the host, and anything outside printable ASCII.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let refuse = |why| AddressError {
            address: shown(text),
            why,
        };
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(refuse("is longer than 2048 bytes"));
        }
        // `\` is read as `/` by browsers and as part of the host by others; `#` never reaches a server.
        if !text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\\#\"<>^`{|}".contains(&b))
        {
            return Err(refuse("has a character that does not belong in an address"));
        }
        let plain = text.starts_with("http://");
        if !plain && !text.starts_with("https://") {
            return Err(refuse("does not start with `https://`"));
        }
        let uri: Uri = text.parse().map_err(|_| refuse("is not an address"))?;
        let authority = uri.authority().ok_or_else(|| refuse("names no host"))?;
        if authority.as_str().contains(['@', '%']) {
            return Err(refuse("has more than a host and a port before its path"));
        }
        let host = authority.host().to_owned();
        let port = match authority.as_str().strip_prefix(host.as_str()) {
            Some("") => {
                if plain {
                    80
                } else {
                    443
                }
            }
            _ => authority
                .port_u16()
                .filter(|port| *port != 0)
                .ok_or_else(|| refuse("has a port that is none"))?,
        };
        if uri
            .path()
            .split('/')
            .any(|part| part == "." || part == "..")
        {
            return Err(refuse("has `.` or `..` in its path"));
        }
        let ip = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => Some(IpAddr::V6(
                inner
                    .parse::<Ipv6Addr>()
                    .map_err(|_| refuse("has a host that is none"))?,
            )),
            None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        };
        let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if ip.is_none() && (host.is_empty() || !host.bytes().all(named)) {
            return Err(refuse(
                "has a host that is not in small letters, digits, `-` and `.`",
            ));
        }
        let here = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        if plain && !here {
            return Err(refuse(
                "is not encrypted; only this machine is reached over `http://`",
            ));
        }
        if ip.is_some_and(|ip| !may_dial(ip)) {
            return Err(refuse("leads to an address that may not be dialled"));
        }
        Ok(Address {
            uri,
            host,
            port,
            plain,
        })
    }

    /// The host, as written.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path, `/` where there is none.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Whether there is a `?`.
    pub fn has_query(&self) -> bool {
        self.uri.query().is_some()
    }

    /// Whether it is plain HTTP on this machine.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether both have the same scheme, host and port.
    pub fn same_origin(&self, other: &Address) -> bool {
        self.plain == other.plain && self.host == other.host && self.port == other.port
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }
}

/// Whether an address is one a public or private server can have. Link-local ones are not: clouds serve a machine's own
/// credentials at 169.254.169.254.
pub(crate) fn may_dial(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            !(ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast())
        }
        IpAddr::V6(ip) => {
            // fd00:ec2::254 is the IPv6 twin of 169.254.169.254.
            let metadata = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
            !(ip.is_unicast_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip == metadata)
        }
    }
}

/// What an error may repeat of an address: nothing after `?`, nothing before `@`, nothing that a terminal would act on.
fn shown(text: &str) -> String {
    let before_query = text.split('?').next().unwrap_or_default();
    let host_on = before_query.rsplit('@').next().unwrap_or_default();
    host_on
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .take(128)
        .collect()
}

/// Why an address is not fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError {
    address: String,
    why: &'static str,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` {}; use an address like `https://issuer.example.com`",
            self.address, self.why
        )
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_in_one_spelling_only() {
        for good in [
            "https://issuer.example.com",
            "https://issuer.example.com/",
            "https://issuer.example.com:8443/a/b?c=d",
            "https://10.0.0.7/keys",
            "https://[2001:db8::1]:8443/keys",
            "https://localhost:9/",
            "http://localhost:8080/keys",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:80/keys",
        ] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "issuer.example.com",
            "ftp://issuer.example.com",
            "HTTPS://issuer.example.com",
            "https:/issuer.example.com",
            "https://",
            "https:///keys",
            "https://Issuer.example.com",
            "https://user@issuer.example.com",
            "https://user:word@issuer.example.com",
            "https://issuer.example.com@evil.example.com",
            "https://issuer.example.com\\@evil.example.com",
            "https://issuer.example.com#x",
            "https://issuer.example.com/a b",
            " https://issuer.example.com",
            "https://issuer.example.com\n",
            "https://issüer.example.com",
            "https://issuer%2eexample.com",
            "https://issuer.example.com:0",
            "https://issuer.example.com:",
            "https://issuer.example.com:99999",
            "https://issuer.example.com/../keys",
            "https://issuer_example.com",
            "https://169.254.169.254/latest/meta-data",
            "https://[fd00:ec2::254]/latest",
            "https://[::ffff:169.254.169.254]/latest",
            "https://[fe80::1]/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
            "http://issuer.example.com",
            "http://localhost.example.com",
            "http://10.0.0.7/",
            "http://127.0.0.1.example.com",
            "http://[::2]/",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
        assert!(Address::parse(&format!("https://a/{}", "x".repeat(2_048))).is_err());
    }

    #[test]
    fn an_error_repeats_neither_a_password_nor_a_query() {
        let error = Address::parse("https://user:hunter2@issuer.example.com/?token=hunter2")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert!(error.contains("issuer.example.com"), "{error}");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let here = Address::parse("https://a.example.com/x").unwrap();
        let same = ["https://a.example.com", "https://a.example.com:443/y?z"];
        let other = [
            "https://b.example.com/x",
            "https://a.example.com:444/x",
            "https://a.example.com.b.example.com/x",
        ];
        for text in same {
            assert!(here.same_origin(&Address::parse(text).unwrap()), "{text}");
        }
        for text in other {
            assert!(!here.same_origin(&Address::parse(text).unwrap()), "{text}");
        }
        let plain = Address::parse("http://127.0.0.1:443").unwrap();
        assert!(!plain.same_origin(&Address::parse("https://127.0.0.1:443").unwrap()));
    }
}
