use http::HeaderValue;

use super::*;

fn classified(status: u16, body: &str) -> CallError {
    classify(
        StatusCode::from_u16(status).unwrap(),
        &HeaderMap::new(),
        body.as_bytes(),
        Timestamp::from_millis(0),
    )
}

fn refused(status: u16, body: &str) -> CallError {
    classify_token_error(
        StatusCode::from_u16(status).unwrap(),
        &HeaderMap::new(),
        body.as_bytes(),
        Timestamp::from_millis(0),
    )
}

#[test]
fn both_spellings_of_the_inner_error_are_read() {
    for inner in ["innerError", "innererror"] {
        let body = format!(
            r#"{{"error":{{"code":"x","message":"m","{inner}":{{"request-id":"r-1","date":"2026-01-02T03:04:05"}}}}}}"#
        );
        let read = ErrorBody::parse(body.as_bytes()).unwrap();
        assert_eq!(read.request_id.as_deref(), Some("r-1"));
    }
}

#[test]
fn a_missing_or_empty_code_is_no_hindrance() {
    for body in [
        r#"{"error":{"message":"m"}}"#,
        r#"{"error":{"code":"","message":"m"}}"#,
        r#"{"error":{"code":null,"message":"m","innerError":null}}"#,
    ] {
        let read = ErrorBody::parse(body.as_bytes()).unwrap();
        assert_eq!((read.code.as_str(), read.message.as_str()), ("", "m"));
    }
    assert_eq!(ErrorBody::parse(b"<html>Bad gateway</html>"), None);
}

#[test]
fn a_conflict_tells_the_id_of_the_other_subscription() {
    let body = r#"{"error":{"code":"ObjectIdentifierInUse","message":"Subscription Id 3e1f7a52-90aa-4c0b-8c55-7d3d1c6a4f10 already exists for the requested combination"}}"#;
    let CallError::Conflict { existing, .. } = classified(409, body) else {
        panic!("no conflict");
    };
    assert_eq!(
        existing.as_deref(),
        Some("3e1f7a52-90aa-4c0b-8c55-7d3d1c6a4f10")
    );

    let body = r#"{"error":{"code":"ExtensionError","message":"Operation: Create; Exception: [Status Code: Conflict; Reason: One exists.]"}}"#;
    let CallError::Conflict { existing, .. } = classified(409, body) else {
        panic!("no conflict");
    };
    assert_eq!(existing, None);
}

#[test]
fn guids_are_found_only_whole() {
    let guid = "3e1f7a52-90aa-4c0b-8c55-7d3d1c6a4f10";
    assert_eq!(body::find_guid(&format!("<{guid}>")), Some(guid));
    assert_eq!(body::find_guid(&format!("ä {guid}.")), Some(guid));
    assert_eq!(body::find_guid(&format!("a{guid}")), None);
    assert_eq!(body::find_guid("short"), None);
}

#[test]
fn a_full_quota_is_told_from_a_missing_permission() {
    let reason = |body: &str| match classified(403, body) {
        CallError::Forbidden { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(
            r#"{"error":{"code":"ExtensionError","message":"Operation: Create; Exception: [Status Code: Forbidden; Reason: Maximum number of subscriptions has been reached]"}}"#
        ),
        ForbiddenReason::Quota
    );
    assert_eq!(
        reason(r#"{"error":{"code":"accessdenied","message":"No."}}"#),
        ForbiddenReason::Permission
    );
    assert_eq!(reason("nonsense"), ForbiddenReason::Other);
}

#[test]
fn what_may_work_later_is_transient_and_keeps_the_wait() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("7"));
    for status in [429, 500, 502, 503, 504, 509, 408] {
        let status = StatusCode::from_u16(status).unwrap();
        let error = classify(status, &headers, b"", Timestamp::from_millis(0));
        assert!(error.is_transient(), "{status}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
    for status in [400, 401, 403, 404, 409, 410, 302] {
        assert!(!classified(status, "").is_transient(), "{status}");
    }
}

#[test]
fn a_failed_handshake_is_recognised_in_every_wording() {
    for message in [
        "Subscription validation request failed. HTTP status code is 'BadRequest'.",
        "Subscription validation request failed. Must respond with 200 OK to this request.",
        "Subscription validation request timed out.",
    ] {
        let body = format!(r#"{{"error":{{"code":"ValidationError","message":"{message}"}}}}"#);
        assert!(classified(400, &body).is_failed_handshake(), "{message}");
    }
    assert!(!classified(400, "").is_failed_handshake());
}

#[test]
fn sign_in_errors_concern_the_app_or_the_tenant() {
    for (status, word, number, expected) in [
        (401, "invalid_client", 7_000_215, CredentialScope::App),
        (401, "invalid_client", 7_000_222, CredentialScope::App),
        (401, "invalid_client", 700_027, CredentialScope::App),
        (400, "unauthorized_client", 700_016, CredentialScope::Tenant),
        (401, "invalid_client", 7_000_229, CredentialScope::Tenant),
        (
            400,
            "unauthorized_client",
            7_000_112,
            CredentialScope::Tenant,
        ),
        (400, "invalid_request", 90_002, CredentialScope::Tenant),
        (400, "invalid_grant", 65_001, CredentialScope::Tenant),
        (400, "invalid_scope", 70_011, CredentialScope::App),
    ] {
        let description = format!("AADSTS{number}: Said so.\\r\\nTrace ID: t-1");
        for codes in [format!("[{number}]"), "[]".to_owned()] {
            let body = format!(
                r#"{{"error":"{word}","error_description":"{description}","error_codes":{codes}}}"#
            );
            let CallError::Credentials { scope, message, .. } = refused(status, &body) else {
                panic!("{body}");
            };
            assert_eq!(scope, expected, "{body}");
            assert!(!message.contains("Trace ID"));
        }
    }
}

#[test]
fn a_sign_in_that_is_down_is_no_broken_credential() {
    assert!(refused(503, "").is_transient());
    assert!(refused(500, r#"{"error":"invalid_client"}"#).is_transient());
    assert!(refused(400, r#"{"error":"temporarily_unavailable"}"#).is_transient());
    assert!(refused(429, "").is_transient());
    assert!(refused(404, "<html>").is_transient());
}
