//! Whether a URL that somebody typed could ever be reached: a first look, so that a typing error is answered at once.
//! What counts is the look at the address at each connect, in `tidings-egress`.

use std::net::IpAddr;

use tidings_domain::config::EgressConfig;
use tidings_egress::{AddressPolicy, policy::Scheme};
use url::{Host, Url};

/// What may be reached, and what the setting is called that opens more.
#[derive(Clone, Debug)]
pub struct Reach {
    policy: AddressPolicy,
    opens_any: bool,
    setting: &'static str,
}

impl Reach {
    /// What webhooks may reach.
    pub fn of_webhooks(config: &EgressConfig) -> Self {
        Self {
            policy: AddressPolicy::new(config.allow.clone()),
            opens_any: !config.allow.is_empty(),
            setting: "egress.allow",
        }
    }

    /// What sign-in and Graph URLs may reach.
    pub fn of_graph(config: &EgressConfig) -> Self {
        Self {
            policy: AddressPolicy::new(config.allow_graph.clone()),
            opens_any: !config.allow_graph.is_empty(),
            setting: "egress.allow_graph",
        }
    }

    /// `Err` says why `url` cannot be reached and what to do.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let setting = self.setting;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            other => return Err(format!("the URL's scheme is `{other}`: use https")),
        };
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            // A name can stand for any address, so that only plain http can be judged: it goes to opened ones alone.
            Some(Host::Domain(_)) if scheme == Scheme::Https || self.opens_any => return Ok(()),
            Some(Host::Domain(_)) => {
                return Err(format!(
                    "plain http reaches only addresses that `{setting}` lists: use https"
                ));
            }
            None => return Err("the URL has no host".to_owned()),
        };
        self.policy
            .judge(address, scheme)
            .map_err(|forbidden| format!("{forbidden} (`{setting}` opens further addresses)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(allow: &[&str]) -> Reach {
        Reach {
            policy: AddressPolicy::new(allow.iter().map(|net| net.parse().unwrap()).collect()),
            opens_any: !allow.is_empty(),
            setting: "egress.allow",
        }
    }

    fn check(reach: &Reach, url: &str) -> Result<(), String> {
        reach.check(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_public_https_passes_unless_something_is_opened() {
        let closed = reach(&[]);
        assert_eq!(check(&closed, "https://app.example/"), Ok(()));
        assert_eq!(check(&closed, "https://1.1.1.1/"), Ok(()));
        for url in [
            "http://app.example/",
            "http://1.1.1.1/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://2130706433/",
            "ftp://app.example/",
        ] {
            assert!(check(&closed, url).is_err(), "{url}");
        }
        assert!(
            check(&closed, "http://localhost/")
                .unwrap_err()
                .contains("`egress.allow`")
        );
    }

    #[test]
    fn what_is_opened_is_reached_over_plain_http() {
        let open = reach(&["127.0.0.0/8"]);
        assert_eq!(check(&open, "http://127.0.0.1:8080/"), Ok(()));
        assert_eq!(check(&open, "http://localhost:8080/"), Ok(()));
        assert!(check(&open, "http://10.0.0.1/").is_err());
    }
}
