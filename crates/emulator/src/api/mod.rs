//! Graph's HTTP face: what is below `/v1.0/` and `/beta/`.
//!
//! | module | holds |
//! | --- | --- |
//! | `call` | who calls, and what handlers need of a call |
//! | `route` | what a path means |
//! | `error`, `answer` | answers |
//! | `page` | lists, `$top`, `$skip`, `$select`, nextLink |
//! | `users`, `events`, `messages`, `read`, `subscriptions` | what calls do |

mod answer;
mod call;
mod error;
mod events;
mod messages;
mod page;
mod read;
mod route;
mod subscriptions;
mod users;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::Full;

pub(crate) use call::{Caller, Trace};
pub(crate) use error::GraphError;

use crate::{
    fault::{Fault, Outage, RetryAfter, Target},
    mailbox::InvalidItem,
    time,
    world::World,
};
use call::Call;
use route::Route;

/// What a handler makes.
type Answer = Result<Response<Full<Bytes>>, GraphError>;

/// A request, with its body read.
pub(crate) struct Incoming {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: Uri,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// Whether it came over TLS.
    pub(crate) tls: bool,
}

/// Marks an answer that is none: the connection is to be closed instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseConnection;

/// Answers a call to Graph.
pub(crate) async fn handle(world: &Arc<World>, incoming: Incoming) -> Response<Full<Bytes>> {
    let trace = Trace::new(world, &incoming.headers);
    let (version, path) = incoming
        .uri
        .path()
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or_default();
    let route = Route::parse(path);
    let count_name = route.count_name(&incoming.method);
    let result = match failure(world, Target::Graph).await {
        Some(Failure::Close) => return close(),
        Some(Failure::Error(error)) => Err(error),
        None => serve(world, &trace, &incoming, version, path, route).await,
    };
    let mut response = result.unwrap_or_else(|error| error.into_response(&trace));
    world.ledger.called(count_name, response.status().as_u16());
    let headers = response.headers_mut();
    let request_id = trace.request_id.to_string();
    for (name, value) in [
        ("client-request-id", trace.client_request_id()),
        ("request-id", request_id),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers.insert("odata-version", HeaderValue::from_static("4.0"));
    response
}

async fn serve(
    world: &Arc<World>,
    trace: &Trace,
    incoming: &Incoming,
    version: &str,
    path: &str,
    route: Route<'_>,
) -> Answer {
    let caller = Caller::read(world, &incoming.headers, trace.now)?;
    let call = Call {
        world,
        caller,
        trace,
        query: call::query(incoming.uri.query()),
        base: base(incoming, version),
        path,
        body: incoming.body.clone(),
    };
    let method = &incoming.method;
    match route {
        Route::CalendarView { user } if *method == Method::GET => {
            events::calendar_view(&call, &user)
        }
        Route::DeletedItem { id } if *method == Method::DELETE => users::purge(&call, &id),
        Route::Event { user, id } => events::single(&call, method, &user, &id),
        Route::Events { user } => events::collection(&call, method, &user),
        Route::Folder { user, folder } if *method == Method::GET => {
            messages::folder(&call, &user, &folder)
        }
        Route::Folders { user } if *method == Method::GET => messages::folders(&call, &user),
        Route::Message { user, folder, id } => {
            messages::single(&call, method, &user, folder.as_deref(), &id)
        }
        Route::MessageMove { user, id } if *method == Method::POST => {
            messages::moves(&call, &user, &id)
        }
        Route::Messages { user, folder } => {
            messages::collection(&call, method, &user, folder.as_deref())
        }
        Route::Reauthorize { id } if *method == Method::POST => {
            subscriptions::reauthorize(&call, &id)
        }
        Route::SendMail { user } if *method == Method::POST => messages::send(&call, &user),
        Route::Subscription { id } => subscriptions::single(&call, method, &id).await,
        Route::Subscriptions => subscriptions::collection(&call, method).await,
        Route::User { user } => users::single(&call, method, &user),
        Route::Users => users::collection(&call, method),
        Route::Me => Err(GraphError::new(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "/me request is only valid with delegated authentication flow.",
        )),
        Route::Unknown => Err(GraphError::new(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            format!("Resource not found for the segment '{path}': the emulator does not have it."),
        )),
        _ => Err(answer::method_not_allowed()),
    }
}

/// Scheme, host and version under which a client reached us.
fn base(incoming: &Incoming, version: &str) -> String {
    let host = incoming
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| incoming.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("graph.microsoft.com");
    let scheme = if incoming.tls { "https" } else { "http" };
    format!("{scheme}://{host}/{version}")
}

/// How a fault answers in the place of a service.
pub(crate) enum Failure {
    /// Not at all.
    Close,
    /// With an error.
    Error(GraphError),
}

/// What a fault makes of a call to `service`; waits as long as it says.
pub(crate) async fn failure(world: &World, service: Target) -> Option<Failure> {
    let lag = world.faults.hit(|fault| match fault {
        Fault::Lag { ms, .. } => Some(*ms),
        _ => None,
    });
    if let Some(ms) = lag {
        world.clock.sleep(Duration::from_millis(ms)).await;
    }
    let fault = world.faults.hit(|fault| match fault {
        Fault::Outage { target, .. } | Fault::Throttle { target, .. }
            if target.concerns(service) =>
        {
            Some((fault.clone(), world.faults.clearing()))
        }
        _ => None,
    });
    let (fault, mut clearing) = fault?;
    match fault {
        Fault::Outage {
            mode: Outage::Close,
            ..
        } => Some(Failure::Close),
        Fault::Outage {
            mode: Outage::Hang, ..
        } => {
            tokio::select! {
                _ = clearing.changed() => {}
                () = world.stop.cancelled() => {}
            }
            Some(Failure::Close)
        }
        Fault::Outage {
            mode: Outage::Status(status),
            ..
        } => Some(Failure::Error(GraphError::new(
            StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            "serviceNotAvailable",
            "The service is temporarily unavailable. Please retry after some time.",
        ))),
        Fault::Throttle { retry_after, .. } => {
            Some(Failure::Error(GraphError::throttled(match retry_after {
                RetryAfter::DateIn(seconds) => Some(time::http_date(
                    world.clock.now() + Duration::from_secs(seconds),
                )),
                RetryAfter::Missing => None,
                RetryAfter::Text(text) => Some(text),
            })))
        }
        _ => None,
    }
}

/// An answer that stands for a closed connection.
pub(crate) fn close() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.extensions_mut().insert(CloseConnection);
    response
}

impl From<InvalidItem> for GraphError {
    fn from(invalid: InvalidItem) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            match invalid {
                InvalidItem::EndBeforeStart => "ErrorPropertyValidationFailure",
                InvalidItem::Member { .. } => "RequestBodyRead",
            },
            invalid.to_string(),
        )
    }
}
