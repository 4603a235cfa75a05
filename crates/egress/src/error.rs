//! What a request can fail with.

use std::{error::Error, io, iter, time::Duration};

use crate::policy::ForbiddenAddress;

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
    /// What an exchange failed with, told by the types of the error's causes.
    pub(crate) fn of_exchange(error: &hyper::Error) -> Self {
        // With TLS 1.3 a server that refuses us says so after the handshake.
        if let Some(tls) = find::<rustls::Error>(error) {
            return Self::Tls {
                detail: tls.to_string(),
            };
        }
        Self::Protocol {
            detail: deepest(error),
        }
    }

    /// What a TLS handshake failed with: a refusal of either side, or a connection that broke within.
    pub(crate) fn of_handshake(error: &io::Error) -> Self {
        let detail =
            find::<rustls::Error>(error).map_or_else(|| deepest(error), ToString::to_string);
        Self::Tls { detail }
    }
}

/// The deepest cause says most.
fn deepest(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
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
