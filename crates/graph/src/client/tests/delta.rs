use super::*;
use crate::resource::{DeltaRequest, Enumeration, SubscriptionPath};
use crate::wire::collection::Removal;

const CAP: usize = 64 * 1024;

fn contacts() -> DeltaRequest {
    let path = SubscriptionPath::parse("users/u/contacts").unwrap();
    let Enumeration::Delta(request) = path.enumeration() else {
        panic!("no delta query");
    };
    request
}

fn host(seen: &Seen) -> String {
    format!("http://{}", seen.headers["host"].to_str().unwrap())
}

/// The calls that are not sign-ins, as `path [prefer]`.
fn calls(server: &Server) -> Vec<String> {
    server
        .seen()
        .iter()
        .filter(|seen| !is_token(seen))
        .map(|seen| match seen.headers.get("prefer") {
            Some(prefer) => format!("{} [{}]", seen.path, prefer.to_str().unwrap()),
            None => seen.path.clone(),
        })
        .collect()
}

#[tokio::test]
async fn a_round_is_followed_to_its_end_and_the_next_begins_there() {
    let server = Server::start(|seen, _| {
        if is_token(seen) {
            return granted("t");
        }
        let base = format!("{}/v1.0/users/u/contacts/delta", host(seen));
        let page = match seen.path.split_once('?').unwrap().1 {
            "$select=changeKey" => format!(
                r#""@odata.nextLink":"{base}?$skiptoken=p2","value":[{{"id":"a","@odata.etag":"W/\"1\""}},{{"id":"b","changeKey":"2"}}]"#
            ),
            // A page may be empty and not be the last.
            "$skiptoken=p2" => format!(r#""@odata.nextLink":"{base}?$skiptoken=p3","value":[]"#),
            "$skiptoken=p3" => format!(
                r#""@odata.deltaLink":"{base}?$deltatoken=d1","value":[{{"id":"a","@odata.etag":"W/\"3\""}}]"#
            ),
            "$deltatoken=d1" => format!(
                r#""value":[{{"id":"b","@removed":{{"reason":"deleted"}}}}],"@odata.deltaLink":"{base}?$deltatoken=d2""#
            ),
            other => panic!("{other}"),
        };
        let headers = vec![("x-ms-resource-unit", "3".to_owned())];
        (200, headers, format!("{{{page}}}"))
    })
    .await;
    let (_, graph) = client();
    let (access, request) = (access(&server), contacts());
    let mut at = None;
    let mut entries = Vec::new();
    let end = loop {
        let from = at.as_ref().map_or(DeltaAt::Start(&request), DeltaAt::Link);
        let page = graph.delta_page(&access, from, Some(2), CAP).await.unwrap();
        assert_eq!(page.throttle.resource_units, Some(3));
        entries.extend(page.entries.into_iter().map(|one| (one.id, one.version)));
        match page.next {
            Next::Page(link) => at = Some(link),
            Next::Done(link) => break link,
        }
    };
    let version = |text: &str| Some(text.to_owned());
    assert_eq!(
        entries,
        [
            ("a".to_owned(), version("W/\"1\"")),
            ("b".to_owned(), version("2")),
            ("a".to_owned(), version("W/\"3\"")),
        ]
    );

    // As it would come out of a store.
    let kept = DeltaLink::parse(end.as_str(), &access.graph_url).unwrap();
    let graph = graph.with_ids(IdType::Immutable);
    let page = graph
        .delta_page(&access, DeltaAt::Link(&kept), Some(2), CAP)
        .await
        .unwrap();
    assert_eq!(page.entries[0].removed, Some(Removal::Deleted));
    assert_eq!(
        calls(&server),
        [
            "/v1.0/users/u/contacts/delta?$select=changeKey [odata.maxpagesize=2]",
            "/v1.0/users/u/contacts/delta?$skiptoken=p2 [odata.maxpagesize=2]",
            "/v1.0/users/u/contacts/delta?$skiptoken=p3 [odata.maxpagesize=2]",
            r#"/v1.0/users/u/contacts/delta?$deltatoken=d1 [odata.maxpagesize=2, IdType="ImmutableId"]"#,
        ]
    );
}

#[tokio::test]
async fn a_lost_state_is_told_from_every_other_failure() {
    // Status, code, Location (`SERVER` is this one), the restart that comes of it: `None` if it is no lost state.
    let cases: &[(u16, &str, &str, Option<&str>)] = &[
        (
            410,
            "",
            "SERVER/v1.0/users/delta?$deltatoken=",
            Some("/v1.0/users/delta?$deltatoken="),
        ),
        (
            410,
            "resyncChangesApplyDifferences",
            "SERVER/v1.0/d?token=1",
            Some("/v1.0/d?token=1"),
        ),
        (410, "resyncChangesUploadDifferences", "", Some("")),
        (
            410,
            "syncStateNotFound",
            "https://evil.example/v1.0/users/delta",
            Some(""),
        ),
        (400, "SyncStateNotFound", "", Some("")),
        (404, "syncStateInvalid", "", Some("")),
        (400, "resyncRequired", "", Some("")),
        (404, "ErrorItemNotFound", "", None),
        (400, "BadRequest", "", None),
        (500, "syncStateNotFound", "", None),
        (429, "TooManyRequests", "", None),
    ];
    for &(status, code, location, restart) in cases {
        let server = Server::start(move |seen, _| {
            if is_token(seen) {
                return granted("t");
            }
            let headers = match location {
                "" => Vec::new(),
                location => vec![("location", location.replace("SERVER", &host(seen)))],
            };
            let body = format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#);
            (status, headers, body)
        })
        .await;
        let (_, graph) = client();
        let error = graph
            .delta_page(&access(&server), DeltaAt::Start(&contacts()), None, CAP)
            .await
            .unwrap_err();
        match (restart, error) {
            (
                Some(expected),
                DeltaError::Resync {
                    restart,
                    code: said,
                },
            ) => {
                let found = restart.map(|link| link.as_str().to_owned());
                let base = server.url.as_str().trim_end_matches('/');
                let expected = (!expected.is_empty()).then(|| format!("{base}{expected}"));
                assert_eq!((found, said.as_str()), (expected, code));
            }
            (None, DeltaError::Call(error)) => {
                assert_eq!(error.is_transient(), status >= 429, "{status} {code}");
            }
            (_, error) => panic!("{status} {code}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_followed_is_none() {
    for body in [
        r#"{"value":[]}"#,
        r#"{"value":[],"@odata.nextLink":"https://evil.example/v1.0/users/delta"}"#,
        r#"{"value":[],"@odata.deltaLink":"/v1.0/users/delta"}"#,
        r#"{"value":[],"@odata.nextLink":"SELF"}"#,
        r#"{"@odata.deltaLink":"SELF"}"#,
        "[]",
    ] {
        let server = Server::start(move |seen, _| {
            if is_token(seen) {
                return granted("t");
            }
            ok(body.replace("SELF", &format!("{}{}", host(seen), seen.path)))
        })
        .await;
        let (_, graph) = client();
        let error = graph
            .delta_page(&access(&server), DeltaAt::Start(&contacts()), None, CAP)
            .await
            .unwrap_err();
        let DeltaError::Call(error) = error else {
            panic!("{body}: {error:?}");
        };
        assert!(
            matches!(error, CallError::Unavailable { .. }),
            "{body}: {error}"
        );
    }
}

#[tokio::test]
async fn a_link_of_another_graph_and_a_page_beyond_the_cap_are_refused() {
    let server = Server::start(|seen, _| {
        if is_token(seen) {
            granted("t")
        } else {
            ok(format!(r#"{{"value":[{{"id":"{}"}}]}}"#, "x".repeat(500)))
        }
    })
    .await;
    let (_, graph) = client();
    let access = access(&server);
    let other = "http://127.0.0.1:1/".parse().unwrap();
    let link = DeltaLink::parse("http://127.0.0.1:1/v1.0/users/delta?t", &other).unwrap();
    assert!(
        graph
            .delta_page(&access, DeltaAt::Link(&link), None, CAP)
            .await
            .is_err()
    );
    assert_eq!(server.seen().len(), 0);
    let too_large = graph
        .delta_page(&access, DeltaAt::Start(&contacts()), None, 400)
        .await;
    assert_eq!(too_large, Err(DeltaError::Call(CallError::TooLarge)));
}
