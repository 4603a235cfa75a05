use super::*;
use crate::resource::{Enumeration, ListRequest, MailFolders, SubscriptionPath};

fn mailbox() -> MailFolders {
    let path = SubscriptionPath::parse("users/u/messages").unwrap();
    let Enumeration::DeltaPerMailFolder(mailbox) = path.enumeration() else {
        panic!("no mailbox");
    };
    mailbox
}

/// Serves `pages` in turn, with a link to the next one in each but the last.
async fn pages(pages: &'static [&'static str]) -> Server {
    Server::start(|seen, _| {
        if is_token(seen) {
            return granted("t");
        }
        let host = seen.headers["host"].to_str().unwrap();
        let number = seen
            .path
            .rsplit_once("$skiptoken=")
            .map_or(0, |(_, number)| number.parse().unwrap());
        let path = seen.path.split('?').next().unwrap();
        let next = if number + 1 < pages.len() {
            format!("http://{host}{path}?$skiptoken={}", number + 1)
        } else {
            String::new()
        };
        ok(format!(
            r#"{{"value":[{}],"@odata.nextLink":"{next}"}}"#,
            pages[number]
        ))
    })
    .await
}

#[tokio::test]
async fn a_list_is_read_page_by_page_or_whole() {
    let server = pages(&[
        r#"{"id":"a","userPrincipalName":"a@x.example","accountEnabled":true,"mail":null},{"id":"b"}"#,
        r#"{"id":"c","userType":"Guest"}"#,
    ])
    .await;
    let (_, graph) = client();
    let (access, request) = (access(&server), ListRequest::users());
    let first = graph
        .list_page(&access, ListAt::Start(&request), 10_000)
        .await
        .unwrap();
    let user: crate::wire::user::User = serde_json::from_slice(&first.entries[0].object).unwrap();
    assert_eq!(user.user_principal_name.as_deref(), Some("a@x.example"));
    assert_eq!((user.account_enabled, user.mail), (Some(true), None));
    let next = first.next.unwrap();
    let last = graph
        .list_page(&access, ListAt::Link(&next), 10_000)
        .await
        .unwrap();
    assert_eq!((last.entries.len(), last.next), (1, None));

    let all = graph.list(&access, &request, 10_000).await.unwrap();
    let ids: Vec<_> = all.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let asked = &server.seen()[1].path;
    assert!(asked.starts_with("/v1.0/users?$select=id,"), "{asked}");
    // What is left for the second page is less than it has.
    assert_eq!(
        graph.list(&access, &request, 200).await,
        Err(CallError::TooLarge)
    );
}

#[tokio::test]
async fn a_whole_list_is_whole_or_none() {
    let server = pages(&[r#"{"id":"a"}"#, r#"{"displayName":"who?"}"#]).await;
    let (_, graph) = client();
    let error = graph
        .list(&access(&server), &ListRequest::users(), 10_000)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn folders_inside_others_are_found_and_removed_ones_are_not() {
    let server = pages(&[
        r#"{"id":"in","displayName":"Inbox","parentFolderId":"root","totalItemCount":2},{"id":"old"}"#,
        r#"{"id":"sub","parentFolderId":"in"},{"id":"old","@removed":{"reason":"deleted"}},{"id":"in","displayName":"Inbox","totalItemCount":3}"#,
    ])
    .await;
    let (_, graph) = client();
    let folders = graph
        .mail_folders(&access(&server), &mailbox())
        .await
        .unwrap();
    let found: Vec<_> = folders
        .iter()
        .map(|folder| (folder.id.as_str(), folder.total_item_count))
        .collect();
    assert_eq!(found, [("in", Some(3)), ("sub", None)]);
    assert_eq!(server.seen()[1].path, "/v1.0/users/u/mailFolders/delta");
}

#[tokio::test]
async fn a_list_that_leads_elsewhere_or_nowhere_ends() {
    for link in ["https://evil.example/v1.0/subscriptions", "SELF"] {
        let server = Server::start(move |seen, _| {
            if is_token(seen) {
                return granted("t");
            }
            let host = seen.headers["host"].to_str().unwrap();
            let link = link.replace("SELF", &format!("http://{host}{}", seen.path));
            ok(format!(r#"{{"value":[],"@odata.nextLink":"{link}"}}"#))
        })
        .await;
        let (_, graph) = client();
        let error = graph
            .list_subscriptions(&access(&server))
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(server.seen().len(), 2, "{link}");
    }
}
