//! Requests out, answers in.

use std::{fmt, future::Future, net::IpAddr, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use reqwest::dns::Resolve;
use tidings_domain::{Clock, clock::Sleep};
use url::{Host, Url};

use crate::{
    error::EgressError,
    policy::{AddressPolicy, Scheme},
    resolver::{GuardedResolver, SystemResolver},
};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where to: `http` or `https`.
    pub url: Url,
    /// Its headers. None is added but `host`, `content-length` and `accept: */*`.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The time allowed for all of it: name, connection, TLS, request, head and body of the answer.
    pub deadline: Duration,
    /// How many bytes of the answer's body are taken.
    pub answer_cap: usize,
    /// What happens to an answer that has more.
    pub on_cap: OnCap,
}

/// What happens to an answer whose body cannot be had whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCap {
    /// What fits, and came in time, is kept. [`Answer::cut`] says why there is no more.
    Cut,
    /// The request fails: too large, broken or late is no answer.
    Fail,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as far as it was taken.
    pub body: Bytes,
    /// Why the body is not whole. Only with [`OnCap::Cut`].
    pub cut: Option<Cut>,
}

/// Why an answer's body is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// There is more than the caller takes.
    AtCap,
    /// The connection broke within the body.
    Broken,
    /// The deadline passed within the body.
    Late,
}

/// Sends requests to allowed addresses. Cheap to clone; connections are shared and kept.
#[derive(Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Arc<AddressPolicy>,
    clock: Arc<dyn Clock>,
    plain: reqwest::Client,
    /// Or why there is none: a machine without root certificates can still reach what is opened over plain `http`.
    tls: Result<reqwest::Client, EgressError>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("policy", &self.inner.policy)
            .finish_non_exhaustive()
    }
}

/// How long an unused connection is kept. Longer than the pauses within a burst, shorter than most receivers wait before
/// they close it themselves: a connection that closes just as a request goes out costs an attempt.
const IDLE: Duration = Duration::from_secs(30);

/// How many unused connections to one host are kept: as many as deliveries are under way by default, since many webhooks
/// can be on one host.
const IDLE_PER_HOST: usize = 256;

impl Egress {
    /// An egress that trusts the machine's root certificates.
    pub fn new(policy: AddressPolicy, clock: Arc<dyn Clock>) -> Result<Self, EgressError> {
        Self::with_roots(policy, clock, &[])
    }

    /// An egress that also trusts these certificates (PEM, one or more in each): a private authority.
    pub fn with_roots(
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
        extra_roots_pem: &[Vec<u8>],
    ) -> Result<Self, EgressError> {
        Self::with_resolver(
            policy,
            clock,
            extra_roots_pem,
            &(Arc::new(SystemResolver) as _),
        )
    }

    fn with_resolver(
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
        extra_roots_pem: &[Vec<u8>],
        resolver: &Arc<dyn Resolve>,
    ) -> Result<Self, EgressError> {
        // One provider for everything. Whoever runs the process may have installed it already; then this does nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = Vec::new();
        for pem in extra_roots_pem {
            let found = reqwest::Certificate::from_pem_bundle(pem).map_err(setup)?;
            if found.is_empty() {
                let detail = "a file of root certificates holds none in PEM form".to_owned();
                return Err(EgressError::Setup { detail });
            }
            roots.extend(found);
        }
        let policy = Arc::new(policy);
        let guarded = |scheme| GuardedResolver {
            inner: Arc::clone(resolver),
            policy: Arc::clone(&policy),
            scheme,
        };
        let plain = builder(guarded(Scheme::Http))
            .tls_backend_preconfigured(no_tls()?)
            .build()
            .map_err(setup)?;
        let tls = builder(guarded(Scheme::Https))
            .tls_backend_rustls()
            .tls_certs_merge(roots)
            .https_only(true)
            .build()
            .map_err(setup);
        if let Err(error) = &tls {
            tracing::warn!(error.message = %error, "https requests will fail: install the CA certificates of this system");
        }
        let inner = Inner {
            policy,
            clock,
            plain,
            tls,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Sends `request` and brings its answer, whatever the status. Redirects are answers like any other.
    pub async fn send(&self, request: Request) -> Result<Answer, EgressError> {
        let client = self.client_for(&request.url)?;
        let Request {
            method,
            url,
            headers,
            body,
            deadline,
            answer_cap,
            on_cap,
        } = request;
        let mut outgoing = reqwest::Request::new(method, url);
        *outgoing.headers_mut() = headers;
        if !body.is_empty() {
            *outgoing.body_mut() = Some(body.into());
        }

        let mut sleep = self.inner.clock.sleep(deadline);
        let late = EgressError::Timeout { limit: deadline };
        let mut response = match before(&mut sleep, client.execute(outgoing)).await {
            Some(Ok(response)) => response,
            Some(Err(error)) => return Err(EgressError::classify(&error)),
            None => return Err(late),
        };
        if on_cap == OnCap::Fail && exceeds(response.content_length(), answer_cap) {
            return Err(EgressError::TooLarge { cap: answer_cap });
        }

        let mut taken = Taken::default();
        let read = before(&mut sleep, taken.read(&mut response, answer_cap)).await;
        let (cut, error) = match read {
            Some(Ok(Ended::Whole)) => (None, None),
            Some(Ok(Ended::AtCap)) => (
                Some(Cut::AtCap),
                Some(EgressError::TooLarge { cap: answer_cap }),
            ),
            Some(Err(error)) => (Some(Cut::Broken), Some(EgressError::classify(&error))),
            None => (Some(Cut::Late), Some(late)),
        };
        if let (Some(error), OnCap::Fail) = (error, on_cap) {
            return Err(error);
        }
        Ok(Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: taken.into_bytes(),
            cut,
        })
    }

    /// The client for a URL's scheme, once an address that the URL itself names is found allowed: resolvers are not
    /// asked for those.
    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, EgressError> {
        let (scheme, client) = match url.scheme() {
            "http" => (Scheme::Http, Ok(&self.inner.plain)),
            "https" => (Scheme::Https, self.inner.tls.as_ref()),
            _ => {
                let detail = "its URL is neither http nor https".to_owned();
                return Err(EgressError::InvalidRequest { detail });
            }
        };
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => {
                let detail = "its URL has no host".to_owned();
                return Err(EgressError::InvalidRequest { detail });
            }
        };
        if let Some(ip) = literal {
            self.inner.policy.judge(ip, scheme)?;
        }
        client.map_err(Clone::clone)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that builds HTTP clients, with the address policy inside"
)]
fn builder(resolver: GuardedResolver) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .dns_resolver(resolver)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never().max_retries_per_request(0))
        // A proxy would resolve names itself, behind the policy's back.
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
}

/// For the client that speaks plain `http` only: trusts nobody, and does not read the machine's certificates a second
/// time.
fn no_tls() -> Result<rustls::ClientConfig, EgressError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EgressError::Setup {
            detail: error.to_string(),
        })?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(config)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn setup(error: reqwest::Error) -> EgressError {
    let detail = match EgressError::classify(&error) {
        EgressError::InvalidRequest { detail } | EgressError::Tls { detail } => detail,
        other => other.to_string(),
    };
    EgressError::Setup { detail }
}

/// The output of `future`, unless `sleep` ends first.
async fn before<F: Future>(sleep: &mut Sleep, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        sleep.as_mut().poll(context).map(|()| None)
    })
    .await
}

fn exceeds(length: Option<u64>, cap: usize) -> bool {
    length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > cap))
}

/// As much of a body as was taken. Most bodies are one chunk, which is then not copied.
#[derive(Default)]
struct Taken {
    first: Bytes,
    all: BytesMut,
}

enum Ended {
    AtCap,
    Whole,
}

impl Taken {
    async fn read(
        &mut self,
        response: &mut reqwest::Response,
        cap: usize,
    ) -> Result<Ended, reqwest::Error> {
        while let Some(chunk) = response.chunk().await? {
            let room = cap - self.len();
            if chunk.len() > room {
                self.push(Bytes::copy_from_slice(&chunk[..room]));
                return Ok(Ended::AtCap);
            }
            self.push(chunk);
        }
        Ok(Ended::Whole)
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

#[cfg(test)]
mod tests;
