//! Links that Graph gives to what follows. They are opaque, and lead to its own host or nowhere.

use std::fmt;

use url::Url;

use crate::error::CallError;

/// The longest link that is taken. Those of delta queries hold their whole state and have some 4 KB.
const MAX_LENGTH: usize = 16 * 1024;

/// Where a delta query or a list goes on: the next page, or the next round.
///
/// It exists only for the scheme, host and port of one Graph, so that no answer can send our token anywhere else.
///
/// ```
/// use tidings_graph::client::DeltaLink;
///
/// let graph = "https://graph.microsoft.com".parse()?;
/// let link = "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=secret";
/// assert_eq!(DeltaLink::parse(link, &graph)?.as_str(), link);
/// assert!(DeltaLink::parse("https://graph.microsoft.com.example/v1.0/users/delta", &graph).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DeltaLink {
    url: Url,
}

/// A text that is no link to the Graph in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link is none, or leads to another host than this integration's Graph")]
pub struct ForeignLink;

impl From<ForeignLink> for CallError {
    fn from(link: ForeignLink) -> Self {
        Self::unavailable(link.to_string())
    }
}

impl DeltaLink {
    /// Reads a link of an answer, or one that was kept.
    pub fn parse(text: &str, graph_url: &Url) -> Result<Self, ForeignLink> {
        if text.len() > MAX_LENGTH {
            return Err(ForeignLink);
        }
        Self::new(Url::parse(text).map_err(|_| ForeignLink)?, graph_url)
    }

    /// Reads a `Location`, which may be relative to what was asked for.
    pub(super) fn relative(text: &str, asked: &Url, graph_url: &Url) -> Result<Self, ForeignLink> {
        if text.len() > MAX_LENGTH {
            return Err(ForeignLink);
        }
        Self::new(asked.join(text).map_err(|_| ForeignLink)?, graph_url)
    }

    fn new(url: Url, graph_url: &Url) -> Result<Self, ForeignLink> {
        let own = url.origin() == graph_url.origin()
            && matches!(url.scheme(), "https" | "http")
            && url.username().is_empty()
            && url.password().is_none();
        own.then_some(Self { url }).ok_or(ForeignLink)
    }

    /// The link, to be kept. It lets nobody in, but tells what a tenant has.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(super) fn into_url(self) -> Url {
        self.url
    }

    /// The link as an address of this Graph, which may have been given another address since the link was read.
    pub(super) fn at(&self, graph_url: &Url) -> Result<&Url, ForeignLink> {
        if self.url.origin() == graph_url.origin() {
            Ok(&self.url)
        } else {
            Err(ForeignLink)
        }
    }
}

/// Without the path and the token.
impl fmt::Debug for DeltaLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DeltaLink({}/…)",
            self.url.origin().ascii_serialization()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Url {
        "https://graph.example".parse().unwrap()
    }

    #[test]
    fn only_links_to_the_same_scheme_host_and_port_are_taken() {
        let taken = "https://graph.example:443/v1.0/x/delta(token='a%20b')?$skiptoken=c";
        assert!(DeltaLink::parse(taken, &graph()).is_ok());
        let long = format!("https://graph.example/{}", "x".repeat(MAX_LENGTH));
        for link in [
            "http://graph.example/x",
            "https://graph.example:8443/x",
            "https://graph.example.evil/x",
            "https://evil/?https://graph.example/x",
            "https://u@graph.example/x",
            "https://u:p@graph.example/x",
            "https://graph.example@evil/x",
            "//x",
            "/v1.0/x",
            "",
            "data:text/plain,x",
            &long,
        ] {
            assert_eq!(DeltaLink::parse(link, &graph()), Err(ForeignLink), "{link}");
        }
        // Two opaque origins are never the same one.
        let odd: Url = "data:text/plain,x".parse().unwrap();
        assert!(DeltaLink::parse("data:text/plain,x", &odd).is_err());
    }

    #[test]
    fn it_does_not_show_its_token() {
        let link = DeltaLink::parse(
            "https://graph.example/v1.0/users/ada/delta?$deltatoken=T0K",
            &graph(),
        )
        .unwrap();
        assert_eq!(format!("{link:?}"), "DeltaLink(https://graph.example/…)");
    }

    #[test]
    fn a_relative_location_is_one_of_the_same_host() {
        let asked: Url = "https://graph.example/v1.0/users/delta?$deltatoken=old"
            .parse()
            .unwrap();
        let link = DeltaLink::relative("?$deltatoken=", &asked, &graph()).unwrap();
        assert_eq!(
            link.as_str(),
            "https://graph.example/v1.0/users/delta?$deltatoken="
        );
        assert!(DeltaLink::relative("//evil/v1.0", &asked, &graph()).is_err());
    }
}
