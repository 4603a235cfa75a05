//! Requests out, answers in.

use std::{fmt, future::Future, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Uri,
    header::{ACCEPT, HOST},
};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use tidings_domain::{Clock, clock::Sleep};
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use crate::{
    body::{Ended, Taken},
    connection::{Connection, Unanswered},
    dial::dial,
    error::EgressError,
    policy::{AddressPolicy, Scheme},
    pool::{Limits, Pool},
    resolver::{Resolve, SystemResolver, allowed_addresses},
    target::{Target, host_header, invalid},
    tls,
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
    policy: AddressPolicy,
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn Resolve>,
    /// Or why there is none: a machine without root certificates can still reach what is opened over plain `http`.
    tls: Result<TlsConnector, EgressError>,
    pool: Pool,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("policy", &self.inner.policy)
            .finish_non_exhaustive()
    }
}

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
        Self::with_resolver(policy, clock, extra_roots_pem, Arc::new(SystemResolver))
    }

    fn with_resolver(
        policy: AddressPolicy,
        clock: Arc<dyn Clock>,
        extra_roots_pem: &[Vec<u8>],
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, EgressError> {
        // One provider for everything. Whoever runs the process may have installed it already; then this does nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tls = tls::connector(tls::certificates(extra_roots_pem)?);
        if let Err(error) = &tls {
            tracing::warn!(error.message = %error, "https requests will fail: install the CA certificates of this system");
        }
        let pool = Pool::new(Arc::clone(&clock), Limits::default());
        let inner = Inner {
            policy,
            clock,
            resolver,
            tls,
            pool,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Sends `request` and brings its answer, whatever the status. Redirects are answers like any other.
    pub async fn send(&self, request: Request) -> Result<Answer, EgressError> {
        let Request {
            method,
            url,
            headers,
            body,
            deadline,
            answer_cap,
            on_cap,
        } = request;
        let target = Target::of(&url)?;
        if let Some(ip) = target.literal() {
            self.inner.policy.judge(ip, target.scheme)?;
        }
        let outgoing = outgoing(method, &url, headers, body)?;

        let mut sleep = self.inner.clock.sleep(deadline);
        let late = EgressError::Timeout { limit: deadline };
        let answered = before(&mut sleep, self.inner.exchange(&target, outgoing)).await;
        let Some(answered) = answered else {
            return Err(late);
        };
        let (mut connection, response) = answered?;
        let (head, mut body) = response.into_parts();
        if on_cap == OnCap::Fail && exceeds(body.size_hint().exact(), answer_cap) {
            return Err(EgressError::TooLarge { cap: answer_cap });
        }

        let mut taken = Taken::default();
        let reading = taken.read(&mut connection, &mut body, answer_cap);
        let (cut, error) = match before(&mut sleep, reading).await {
            Some(Ok(Ended::Whole)) => {
                self.inner.pool.put(target, connection);
                (None, None)
            }
            Some(Ok(Ended::AtCap)) => (
                Some(Cut::AtCap),
                Some(EgressError::TooLarge { cap: answer_cap }),
            ),
            Some(Err(error)) => (Some(Cut::Broken), Some(error)),
            None => (Some(Cut::Late), Some(late)),
        };
        if let (Some(error), OnCap::Fail) = (error, on_cap) {
            return Err(error);
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: taken.into_bytes(),
            cut,
        })
    }

    /// Closes kept connections that are too old, or that the other side has closed. That happens by itself while
    /// requests are sent; to be called now and then for when none are.
    pub fn tidy(&self) {
        self.inner.pool.tidy();
    }
}

impl Inner {
    /// Sends a request on a kept connection or a new one, and brings the head of its answer.
    ///
    /// A kept connection may be closed by the other side just now. Where nothing of the request was sent, another takes
    /// it; where anything was, the other side may have acted on it, and repeating it is not ours to decide.
    async fn exchange(
        &self,
        target: &Target,
        mut request: http::Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), EgressError> {
        while let Some(mut kept) = self.pool.take(target).await {
            match kept.send(request).await {
                Ok(response) => return Ok((kept, response)),
                Err(Unanswered::NotSent(unsent, _)) => request = *unsent,
                Err(Unanswered::Failed(error)) => return Err(error),
            }
        }
        let mut connection = Box::pin(self.connect(target)).await?;
        match connection.send(request).await {
            Ok(response) => Ok((connection, response)),
            Err(Unanswered::NotSent(_, error) | Unanswered::Failed(error)) => Err(error),
        }
    }

    async fn connect(&self, target: &Target) -> Result<Connection, EgressError> {
        let tls = match target.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(self.tls.as_ref().map_err(Clone::clone)?),
        };
        let addresses = allowed_addresses(&*self.resolver, &self.policy, target).await?;
        dial(target, addresses, tls, &*self.clock).await
    }
}

/// The request as it goes over the wire.
fn outgoing(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<http::Request<Full<Bytes>>, EgressError> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let uri = Uri::try_from(path).map_err(|error| invalid(&format!("its URL: {error}")))?;
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    if !headers.contains_key(HOST) {
        headers.insert(HOST, host_header(url)?);
    }
    headers
        .entry(ACCEPT)
        .or_insert(HeaderValue::from_static("*/*"));
    Ok(request)
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

#[cfg(test)]
mod tests;
