//! JSON bodies of requests.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
};
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::query;
use crate::problem::{Code, Problem};

/// The largest body that is read. The longest that makes sense, a webhook with every trigger and hundreds of
/// connections, has some ten thousand bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// The request's body, read as a `T`. Types deny unknown members, so that a misspelt one is not lost silently.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        query::refuse(request.uri())?;
        if !is_json(request.headers()) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send the body as JSON, with the header `content-type: application/json`",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        parse(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(kind)) = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(
            Code::BodyTooLarge,
            format!("the body is larger than {MAX_BYTES} bytes"),
        )
    } else {
        Problem::new(
            Code::InvalidBody,
            "the body did not come to its end, or not in time",
        )
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would also read the members from an array, in their order.
    if bytes
        .trim_ascii_start()
        .first()
        .is_some_and(|&first| first != b'{')
    {
        return Err(Problem::new(
            Code::InvalidBody,
            "the body must be a JSON object: `{…}`",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        unfit(error.inner(), pointer)
    })?;
    deserializer
        .end()
        .map_err(|error| unfit(&error, String::new()))?;
    Ok(value)
}

fn unfit(error: &serde_json::Error, mut pointer: String) -> Problem {
    let text = error.to_string();
    if error.classify() != Category::Data {
        return Problem::new(Code::InvalidBody, format!("the body is no JSON: {text}"));
    }
    // serde_json adds the place in bytes, which the pointer says better.
    let what = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(what, _)| what);
    // Serde names a missing member only in this text: its path is the object's.
    let missing = what
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    if let Some(missing) = missing {
        pointer.push('/');
        pointer.push_str(missing);
    }
    Problem::new(Code::InvalidBody, what).at(pointer)
}

/// The path as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::{Router, extract::DefaultBodyLimit, response::IntoResponse as _, routing::post};
    use serde::Deserialize;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only whether it can be read matters here")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only whether it can be read matters here")]
        numbers: Vec<u8>,
    }

    async fn said(text: &str) -> (String, Option<String>) {
        let problem = parse::<Sample>(text.as_bytes()).unwrap_err();
        let body = problem.into_response().into_body();
        let body = axum::body::to_bytes(body, MAX_BYTES).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], "invalid_body");
        let pointer = body
            .get("pointer")
            .map(|pointer| pointer.as_str().unwrap().to_owned());
        (body["detail"].as_str().unwrap().to_owned(), pointer)
    }

    #[tokio::test]
    async fn the_member_that_is_wrong_is_pointed_at() {
        let at = |pointer: &str| Some(pointer.to_owned());
        let (detail, pointer) = said(r#"{"numbers":[]}"#).await;
        assert_eq!(
            (detail.as_str(), pointer),
            ("missing field `name`", at("/name"))
        );
        let (detail, pointer) = said(r#"{"name":"x","numbers":[1,"two"]}"#).await;
        assert_eq!(
            (detail.as_str(), pointer),
            (
                "invalid type: string \"two\", expected u8",
                at("/numbers/1")
            )
        );
        let (detail, pointer) = said(r#"{"name":"x","nubmers":[]}"#).await;
        assert_eq!(
            (detail.as_str(), pointer),
            (
                "unknown field `nubmers`, expected `name` or `numbers`",
                at("/nubmers")
            )
        );
    }

    #[tokio::test]
    async fn only_an_object_is_read() {
        for text in [r#"["x",[1]]"#, "7", "null", "name=x"] {
            let (detail, pointer) = said(text).await;
            assert_eq!(
                (detail.as_str(), pointer),
                ("the body must be a JSON object: `{…}`", None)
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_json_is_said_to_be_none() {
        for text in ["", "{", "{\"name\":\"x\"} trailing"] {
            let (detail, pointer) = said(text).await;
            assert!(detail.starts_with("the body is no JSON: "), "{detail}");
            assert_eq!(pointer, None);
        }
    }

    async fn status(content_type: Option<&str>, body: String) -> StatusCode {
        let router = Router::new()
            .route(
                "/",
                post(|body: Body<Value>| async move { body.0.to_string() }),
            )
            .layer(DefaultBodyLimit::max(MAX_BYTES));
        let mut request = Request::post("/");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(axum::body::Body::from(body)).unwrap();
        router.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn only_json_of_a_bounded_size_is_read() {
        let small = || json!({}).to_string();
        assert_eq!(
            status(Some("application/json"), small()).await,
            StatusCode::OK
        );
        assert_eq!(
            status(Some("Application/JSON; charset=utf-8"), small()).await,
            StatusCode::OK
        );
        for other in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
        ] {
            assert_eq!(
                status(other, small()).await,
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            );
        }
        let large = json!("x".repeat(MAX_BYTES)).to_string();
        assert_eq!(
            status(Some("application/json"), large).await,
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }
}
