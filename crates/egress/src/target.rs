//! Where a request goes: what connections are kept by.

use std::net::IpAddr;

use http::HeaderValue;
use url::{Host, Url};

use crate::{error::EgressError, policy::Scheme};

/// A host, and how to talk to it. Requests to equal targets can share a connection.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
}

impl Target {
    /// The target of a URL: `http` or `https`, with a host.
    pub(crate) fn of(url: &Url) -> Result<Self, EgressError> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(invalid("its URL is neither http nor https")),
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(invalid("its URL has no host"));
        };
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
        })
    }

    /// The address that the URL itself names: no resolver is asked for those.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
            Host::Domain(_) => None,
        }
    }
}

/// The value of the `host` header: with the port, unless it is the scheme's own (RFC 9110 §7.2).
pub(crate) fn host_header(url: &Url) -> Result<HeaderValue, EgressError> {
    let host = url.host_str().unwrap_or_default();
    let value = match url.port() {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
        None => HeaderValue::from_str(host),
    };
    value.map_err(|_| invalid("its URL has a host that no header can name"))
}

pub(crate) fn invalid(detail: &str) -> EgressError {
    EgressError::InvalidRequest {
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_has_the_port_only_where_it_is_not_the_schemes_own() {
        for (url, expected) in [
            ("https://app.example/x", "app.example"),
            ("https://app.example:443/x", "app.example"),
            ("https://user:word@app.example:8443/x", "app.example:8443"),
            ("http://[2001:db8::1]:80/", "[2001:db8::1]"),
            ("http://[2001:db8::1]:81/", "[2001:db8::1]:81"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(host_header(&url).unwrap(), expected);
        }
    }

    #[test]
    fn equal_targets_are_equal_however_their_urls_are_written() {
        let target = |url: &str| Target::of(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(
            target("https://App.example/a?b"),
            target("https://app.example:443/c")
        );
        assert_ne!(
            target("https://app.example:80/"),
            target("http://app.example/")
        );
    }
}
