//! What a request can fail with.

use std::{error::Error, io, iter, time::Duration};

use crate::{policy::ForbiddenAddress, resolver::NoneAllowed};

/// What a request failed with. No message holds a URL, a header or a body.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EgressError {
    /// No connection could be made.
    #[error("no connection: {detail}")]
    Connect {
        /// What the operating system said.
        detail: String,
    },
    /// The host's name could not be resolved.
    #[error("the host's name could not be resolved: {detail}")]
    Dns {
        /// What the resolver said.
        detail: String,
    },
    /// The address, or every address of the name, is not one that may be reached.
    #[error("forbidden address: {detail}")]
    ForbiddenAddress {
        /// Which one, and why.
        detail: String,
    },
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {detail}")]
    InvalidRequest {
        /// What is wrong with it.
        detail: String,
    },
    /// The connection broke, or what came was no HTTP answer.
    #[error("no valid HTTP answer: {detail}")]
    Protocol {
        /// What came instead.
        detail: String,
    },
    /// No client could be set up.
    #[error("no HTTP client could be set up: {detail}")]
    Setup {
        /// What is missing.
        detail: String,
    },
    /// The time limit of the whole exchange passed.
    #[error("no complete answer within {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// No TLS session could be agreed on.
    #[error("TLS: {detail}")]
    Tls {
        /// What is wrong with the certificate or the handshake.
        detail: String,
    },
    /// The answer is larger than the caller takes.
    #[error("the answer is larger than {cap} bytes")]
    TooLarge {
        /// How much the caller takes, in bytes.
        cap: usize,
    },
}

impl From<ForbiddenAddress> for EgressError {
    fn from(forbidden: ForbiddenAddress) -> Self {
        Self::ForbiddenAddress {
            detail: forbidden.to_string(),
        }
    }
}

impl EgressError {
    /// Tells by the types of an error's causes what happened. Its own text is never used: it holds the URL.
    pub(crate) fn classify(error: &reqwest::Error) -> Self {
        if let Some(refused) = find::<NoneAllowed>(error) {
            return Self::ForbiddenAddress {
                detail: refused.to_string(),
            };
        }
        let detail = causes(error)
            .skip(1)
            .last()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string);
        if error.is_builder() {
            return Self::InvalidRequest { detail };
        }
        if error.is_dns() {
            return Self::Dns { detail };
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::Tls {
                detail: tls.to_string(),
            };
        }
        if error.is_connect() {
            return if broke_in_handshake(error) {
                Self::Tls { detail }
            } else {
                Self::Connect { detail }
            };
        }
        Self::Protocol { detail }
    }
}

/// Whether the connection stood and broke while TLS was being agreed on: `hyper-rustls` wraps only the errors of the
/// handshake into an I/O error of their own.
fn broke_in_handshake(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|outer| {
            outer
                .get_ref()
                .is_some_and(<dyn Error + Send + Sync>::is::<io::Error>)
        })
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(|cause| cause.downcast_ref::<E>())
}

/// An error and everything that led to it, the deepest last. `io::Error::source` skips the error that it wraps.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| {
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(|io| io.get_ref())
            .map(|wrapped| wrapped as &(dyn Error + 'static));
        wrapped.or_else(|| error.source())
    })
}
