//! What an answer other than 2xx means for the command.

use http::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::exit::{Exit, Failure};

/// A problem document (RFC 9457) as the API writes them.
#[derive(Deserialize)]
struct Problem {
    title: String,
    code: String,
    detail: Option<String>,
    pointer: Option<String>,
}

/// What `status` and `body`, answered by the server at `base`, mean for the command.
pub(super) fn failure(base: &Url, status: StatusCode, body: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return Failure::new(
            Exit::Failed,
            format!("{base} answered {status}, and not as a Tidings server does"),
        )
        .hint("is this a Tidings server? `--server-url` or TIDINGS_URL says where to look");
    };
    let exit = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Refused,
        StatusCode::NOT_FOUND => Exit::NotFound,
        _ => Exit::Failed,
    };
    let mut message = problem.detail.unwrap_or(problem.title);
    if let Some(pointer) = problem.pointer {
        message = format!("{message} (at {pointer})");
    }
    let failure = Failure::new(exit, message).code(problem.code);
    match status {
        StatusCode::UNAUTHORIZED => failure
            .hint("check the API key: `--api-key`, TIDINGS_API_KEY or the server's data folder"),
        StatusCode::FORBIDDEN => failure.hint("this needs a key with another scope or environment"),
        StatusCode::SERVICE_UNAVAILABLE => {
            failure.hint("the server is busy or its disk is full: try again, and see its log")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Failure {
        failure(
            &Url::parse("http://127.0.0.1:8080").unwrap(),
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
        )
    }

    #[test]
    fn a_problem_becomes_its_exit_code_and_keeps_its_words() {
        for (status, exit) in [
            (400, Exit::Failed),
            (401, Exit::Refused),
            (403, Exit::Refused),
            (404, Exit::NotFound),
            (409, Exit::Failed),
            (503, Exit::Failed),
        ] {
            let failure = answered(
                status,
                r#"{"type":"about:blank","title":"No","status":1,"code":"some_code","detail":"What is wrong.","pointer":"/key"}"#,
            );
            assert_eq!(failure.exit(), exit, "{status}");
            assert_eq!(failure.to_string(), "What is wrong. (at /key)");
            assert_eq!(failure.to_json()["error"]["code"], "some_code");
        }
    }

    #[test]
    fn another_kind_of_server_is_recognised() {
        let failure = answered(404, "<html>nginx</html>");
        assert_eq!(failure.exit(), Exit::Failed);
        assert!(
            failure.to_string().contains("not as a Tidings server"),
            "{failure}"
        );
    }
}
