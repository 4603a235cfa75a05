//! A name for each request, in its answer and in every line that is logged for it.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderName, HeaderValue, Method};
use tidings_domain::Entropy;
use tracing::Instrument as _;

/// Where the id stands, in requests and in answers.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids are replaced: they would only fill the log.
const MAX_LEN: usize = 128;

/// Gives the request an id, the caller's own where it can be logged as it is, and answers with it.
pub(crate) async fn name(
    State(entropy): State<Arc<dyn Entropy>>,
    request: Request,
    next: Next,
) -> Response {
    let id = request
        .headers()
        .get(HEADER)
        .filter(|id| is_sane(id))
        .cloned()
        .unwrap_or_else(|| make(&*entropy));
    // The route, not the path: the log then holds no ids of other people's choosing, and no query.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = request.method().as_str(),
        route,
        // Filled in by whoever finds out.
        key.id = tracing::field::Empty,
    );
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    async {
        let mut response = next.run(request).await;
        let status = response.status().as_u16();
        if looks {
            tracing::debug!(status, "answered");
        } else {
            // Who has changed what is worth a line.
            tracing::info!(status, "answered");
        }
        response.headers_mut().insert(HEADER, id);
        response
    }
    .instrument(span)
    .await
}

fn is_sane(id: &HeaderValue) -> bool {
    let id = id.as_bytes();
    (1..=MAX_LEN).contains(&id.len())
        && id
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

fn make(entropy: &dyn Entropy) -> HeaderValue {
    let mut text = String::with_capacity(36);
    text.push_str("req_");
    for byte in entropy.bytes::<16>() {
        let _ = write!(text, "{byte:02x}");
    }
    HeaderValue::from_str(&text).expect("invariant: hexadecimal digits fit a header")
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use tidings_domain::entropy::SeededEntropy;
    use tower::ServiceExt as _;

    use super::*;

    async fn answered(sent: Option<&str>) -> String {
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
        let router = Router::new()
            .route("/", get(|| async {}))
            .layer(middleware::from_fn_with_state(entropy, name));
        let mut request = Request::builder().uri("/");
        if let Some(sent) = sent {
            request = request.header(HEADER, sent);
        }
        let response = router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        response.headers()[HEADER].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_sane_id_comes_back() {
        assert_eq!(answered(Some("01J-abc.7")).await, "01J-abc.7");
    }

    #[tokio::test]
    async fn a_missing_or_odd_id_is_replaced() {
        let long = "x".repeat(MAX_LEN + 1);
        for sent in [
            None,
            Some(""),
            Some("a b"),
            Some("a\"b"),
            Some(long.as_str()),
        ] {
            let id = answered(sent).await;
            assert!(id.starts_with("req_") && id.len() == 36, "{id}");
        }
    }
}
