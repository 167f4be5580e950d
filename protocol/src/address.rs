//! Where a station is: the one form in which people write it, the graph keeps it and stations tell it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A socket on this machine, by its whole path; for processes of the same user.
    Unix(PathBuf),
    /// Between machines, and always with TLS. The host is a name or an IP address, as it was written.
    Tls { host: String, port: u16 },
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadAddress {
    #[error(
        "\"{text}\" is no address of a station; write HOST:PORT, or unix:/path/of/its.sock on this machine"
    )]
    Unknown { text: String },
    #[error(
        "an address of {bytes} bytes; a station's has at most {}",
        limits::ADDRESS_BYTES_MAX
    )]
    TooLong { bytes: usize },
}

const UNIX: &str = "unix:";

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.len() > limits::ADDRESS_BYTES_MAX {
            return Err(BadAddress::TooLong { bytes: text.len() });
        }
        let unknown = || BadAddress::Unknown {
            text: text.to_owned(),
        };
        if let Some(path) = text.strip_prefix(UNIX) {
            let whole = path.starts_with('/') && !path.contains('\0');
            return whole.then(|| Self::Unix(path.into())).ok_or_else(unknown);
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(unknown)?;
        let port = port.parse().ok().filter(|port| *port > 0);
        Ok(Self::Tls {
            host: host_of(host).ok_or_else(unknown)?,
            port: port.ok_or_else(unknown)?,
        })
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets, which it loses.
fn host_of(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return inner
            .parse::<core::net::Ipv6Addr>()
            .is_ok()
            .then(|| inner.to_owned());
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!text.is_empty() && text.bytes().all(fits)).then(|| text.to_owned())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Self::Tls { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tls { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written_and_nothing_else_is_one() {
        for text in [
            "unix:/run/s1.sock",
            "host.example:7400",
            "10.0.0.1:7400",
            "[fd00::1]:7400",
            "s_1:1",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ":",
            "unix:",
            "unix:run/s1.sock",
            "/run/s1.sock",
            "host",
            "host:",
            "host:0",
            "host:65536",
            ":7400",
            "fd00::1:7400",
            "[fd00::1]",
            "[fd00::g]:1",
            "[host]:1",
            "ho st:1",
            "UNIX:/a",
            "https://a:1",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("write HOST:PORT"), "{text}: {error}");
        }
        let long = format!("{}:1", "x".repeat(limits::ADDRESS_BYTES_MAX));
        let error = long.parse::<Address>().unwrap_err().to_string();
        assert!(error.contains("at most 300"), "{error}");
    }
}
