//! Where a request goes: notifications straight to the pipeline, all else to the router.

use std::sync::Arc;

use axum::{Router, body::Body as AxumBody};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tidings_pipeline::gateway::Gateway;
use tower::ServiceExt as _;

use super::body::{Budget, Timed};
use crate::{
    public::{self, Public},
    router::router,
};

/// What an answer's body is: bytes that are there, or whatever the router makes.
pub(crate) type Answer = Response<Either<Full<Bytes>, AxumBody>>;

/// Everything that is served.
pub(super) struct Face {
    gateway: Arc<Gateway>,
    public: Public,
    router: Router,
}

impl Face {
    pub(super) fn new(gateway: &Arc<Gateway>) -> Self {
        Self {
            gateway: Arc::clone(gateway),
            public: Public::new(Arc::clone(gateway), Arc::new(Budget::default())),
            router: router(gateway),
        }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (clock, limit) = (
            Arc::clone(&self.gateway.clock),
            self.gateway.config.server.body_timeout.0,
        );
        let (head, body) = request.into_parts();
        let body = Timed::new(body, clock, limit);
        if head.uri.path().starts_with(public::PREFIX) {
            return self.public.answer(&head, body).await;
        }
        let request = Request::from_parts(head, AxumBody::new(body));
        match self.router.clone().oneshot(request).await {
            Ok(response) => response.map(Either::Right),
            Err(never) => match never {},
        }
    }
}
