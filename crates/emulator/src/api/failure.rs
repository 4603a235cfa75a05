//! What faults make of a call before it is looked at.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::{CloseConnection, GraphError, batch};
use crate::{
    fault::{Fault, Outage, RetryAfter, Target},
    time,
    world::World,
};

/// How a fault answers in the place of a service.
pub(crate) enum Failure {
    /// Not at all.
    Close,
    /// With an error.
    Error(GraphError),
}

/// What a fault makes of a call to `service` that is counted as `name`; waits as long as it says.
pub(crate) async fn failure(world: &World, service: Target, name: &str) -> Option<Failure> {
    let this = |call: &Option<String>| call.as_deref().is_none_or(|call| call == name);
    let lag = world.faults.hit(|fault| match fault {
        Fault::Lag { ms, call, .. } if this(call) => Some(*ms),
        _ => None,
    });
    if let Some(ms) = lag {
        world.clock.sleep(Duration::from_millis(ms)).await;
    }
    let fault = world.faults.hit(|fault| {
        let hit = match fault {
            Fault::Outage { target, call, .. } => target.concerns(service) && this(call),
            // Each part of a batch is throttled by itself (Microsoft's "JSON batching" page).
            Fault::Throttle { target, call, .. } => {
                target.concerns(service) && this(call) && (call.is_some() || name != batch::CALL)
            }
            _ => false,
        };
        hit.then(|| (fault.clone(), world.faults.clearing()))
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
            retry_after,
            ..
        } => Some(Failure::Error(GraphError {
            retry_after: retry_after.value(world),
            ..GraphError::new(
                StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
                "serviceNotAvailable",
                "The service is temporarily unavailable. Please retry after some time.",
            )
        })),
        Fault::Throttle { retry_after, .. } => Some(Failure::Error(GraphError::throttled(
            retry_after.value(world),
        ))),
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

impl RetryAfter {
    /// The value of the header now, if there is one.
    fn value(self, world: &World) -> Option<String> {
        match self {
            Self::DateIn(seconds) => Some(time::http_date(
                world.clock.now() + Duration::from_secs(seconds),
            )),
            Self::Missing => None,
            Self::Text(text) => Some(text),
        }
    }
}
