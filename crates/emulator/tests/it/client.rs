//! What the client of `tidings-graph` makes of the emulator: both were written from Microsoft's pages, apart from each
//! other.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tidings_domain::{Secret, entropy::SeededEntropy};
use tidings_graph::{
    Access, CallError, GraphClient,
    client::{DeltaAt, DeltaError, DeltaLink, IdType, ListAt, Next},
    resource::{
        DeltaRequest, Enumeration, ItemPath, ListRequest, SubscriptionPath, table::Version,
    },
    wire::{
        collection::Entry,
        subscription::{NewSubscription, SubscriptionPatch},
        user::User,
    },
};

use crate::kit::{Graph, Receiver, START, client, id};

const CAP: usize = 1 << 20;

fn connect(graph: &Graph) -> (GraphClient, Access) {
    let tenant = &graph.tenants[0];
    let url: url::Url = graph.url.parse().unwrap();
    let access = Access {
        integration: "int_01J00000000000000000000000".parse().unwrap(),
        tenant: tenant.tenant_id.to_string(),
        client_id: tenant.client_id.to_string(),
        client_secret: Secret::new(tenant.client_secret.clone()),
        login_url: url.clone(),
        graph_url: url,
    };
    let client = GraphClient::new(
        client(&[]),
        Arc::new(graph.clock.clone()),
        Arc::new(SeededEntropy::new(7)),
        Duration::from_mins(1),
    );
    (client, access)
}

/// One round of a delta query, in pages of two.
async fn round(
    client: &GraphClient,
    access: &Access,
    mut at: DeltaAt<'_>,
) -> Result<(Vec<Entry>, DeltaLink), DeltaError> {
    let mut entries = Vec::new();
    let mut link;
    loop {
        let page = client.delta_page(access, at, Some(2), CAP).await?;
        assert_eq!(page.unreadable, 0);
        entries.extend(page.entries);
        match page.next {
            Next::Done(link) => return Ok((entries, link)),
            Next::Page(next) => link = next,
        }
        at = DeltaAt::Link(&link);
    }
}

fn ids(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.id.as_str()).collect()
}

/// The first requests of the delta queries that enumerate what is watched.
async fn requests(client: &GraphClient, access: &Access, watched: &str) -> Vec<DeltaRequest> {
    match SubscriptionPath::parse(watched).unwrap().enumeration() {
        Enumeration::Delta(request) => vec![request],
        Enumeration::DeltaInWindow(window) => {
            vec![window.within(START, START + Duration::from_hours(24 * 60))]
        }
        Enumeration::DeltaPerMailFolder(mailbox) => {
            let folders = client.mail_folders(access, &mailbox).await.unwrap();
            folders
                .iter()
                .map(|folder| mailbox.messages(&folder.id).unwrap())
                .collect()
        }
        other => panic!("{watched}: {other:?}"),
    }
}

#[tokio::test]
async fn what_delta_shows_is_fetched_in_one_batch_and_has_the_same_version() {
    let graph = Graph::start().await;
    let (client, access) = connect(&graph);
    let user = graph.user(0, 0);
    let day =
        |day: u32| json!({"dateTime": format!("2026-12-{day:02}T09:00:00"), "timeZone": "UTC"});
    let bodies: [(&str, &dyn Fn(u32) -> Value); 3] = [
        (
            "events",
            &|n| json!({"subject": "e", "start": day(n), "end": day(n)}),
        ),
        ("messages", &|_| json!({"subject": "m"})),
        ("contacts", &|_| json!({"givenName": "c"})),
    ];
    for (kind, body) in bodies {
        let watched = format!("users/{user}/{kind}");
        let mut made = Vec::new();
        for number in 1..=3 {
            let one = graph.post(&watched, body(number)).await.json();
            made.push(id(&one).to_owned());
        }
        let subscription = SubscriptionPath::parse(&watched).unwrap();
        let (mut entries, mut links) = (Vec::new(), Vec::new());
        for request in requests(&client, &access, &watched).await {
            let (found, link) = round(&client, &access, DeltaAt::Start(&request))
                .await
                .unwrap();
            entries.extend(found);
            links.push(link);
        }
        let mut found = ids(&entries);
        found.sort_unstable();
        let mut expected: Vec<&str> = made.iter().map(String::as_str).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{kind}");

        let items: Vec<ItemPath> = entries
            .iter()
            .map(|entry| subscription.item(&entry.id).unwrap())
            .collect();
        graph.delete(items[1].canonical()).await;
        let fetched = client.fetch_batch(&access, &items, CAP).await;
        assert_eq!(fetched[1], Err(CallError::NotFound), "{kind}");
        for place in [0, 2] {
            let etag = &fetched[place].as_ref().unwrap().etag;
            assert!(etag.is_some(), "{kind}");
            assert_eq!(*etag, entries[place].version, "{kind}");
        }
        let mut removed = Vec::new();
        for link in &links {
            let (changed, _) = round(&client, &access, DeltaAt::Link(link)).await.unwrap();
            removed.extend(changed);
        }
        assert_eq!(ids(&removed), [entries[1].id.as_str()], "{kind}");
        assert!(removed[0].removed.is_some(), "{kind}");
    }
    graph.stop().await;
}

#[tokio::test]
async fn a_state_that_the_service_has_lost_is_said_to_be_lost() {
    let graph = Graph::start().await;
    let (client, access) = connect(&graph);
    let watched = format!("users/{}/contacts", graph.user(0, 0));
    let request = requests(&client, &access, &watched).await.remove(0);
    let (_, link) = round(&client, &access, DeltaAt::Start(&request))
        .await
        .unwrap();
    graph.emulator.evict_delta(None).unwrap();
    let lost = round(&client, &access, DeltaAt::Link(&link)).await;
    assert!(matches!(lost, Err(DeltaError::Resync { .. })), "{lost:?}");
    round(&client, &access, DeltaAt::Start(&request))
        .await
        .unwrap();
    graph.stop().await;
}

#[tokio::test]
async fn users_are_listed_and_tracked() {
    let graph = Graph::start().await;
    let (client, access) = connect(&graph);
    let (tracked, _) = round(&client, &access, DeltaAt::Start(&DeltaRequest::users()))
        .await
        .unwrap();
    let listed = client
        .list(&access, &ListRequest::users(), CAP)
        .await
        .unwrap();
    let first = client
        .list_page(&access, ListAt::Start(&ListRequest::users()), CAP)
        .await
        .unwrap();
    assert_eq!((ids(&listed), first.next), (ids(&first.entries), None));
    let mut names: [Vec<_>; 2] = [tracked, listed].map(|entries| {
        let user = |entry: &Entry| serde_json::from_slice::<User>(&entry.object).unwrap();
        entries
            .iter()
            .map(|entry| user(entry).user_principal_name.unwrap())
            .collect()
    });
    for names in &mut names {
        names.sort_unstable();
    }
    assert_eq!(names[0], names[1]);
    assert_eq!(names[0].len(), graph.tenants[0].users.len());
    graph.stop().await;
}

#[tokio::test]
async fn subscriptions_live_and_die_in_batches() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let (client, access) = connect(&graph);
    let client = client.with_ids(IdType::Immutable);
    let new = |resource: &str| {
        let new = NewSubscription {
            change_type: "created,updated".to_owned(),
            notification_url: receiver.url.clone(),
            lifecycle_notification_url: Some(receiver.url.clone()),
            resource: format!("users/{}/{resource}", graph.user(0, 0)),
            expires_at: START + Duration::from_hours(24),
            client_state: Some(Secret::new("s3cret-s3cret")),
            include_resource_data: None,
            encryption_certificate: None,
            encryption_certificate_id: None,
            latest_supported_tls_version: None,
            notification_query_options: None,
            notification_url_app_id: None,
        };
        (Version::V1, new)
    };
    let made = client
        .create_subscriptions(
            &access,
            &[
                new("events"),
                new("messages?$select=subject"),
                new("planets"),
            ],
        )
        .await;
    assert!(
        matches!(made[2], Err(CallError::Rejected { .. })),
        "{made:?}"
    );
    let made: Vec<_> = made.into_iter().flatten().collect();
    assert!(made[1].resource.ends_with("messages?$select=subject"));
    let twice = client.create_subscriptions(&access, &[new("events")]).await;
    assert!(
        matches!(&twice[0], Err(CallError::Conflict { existing: Some(id), .. }) if *id == made[0].id),
        "{twice:?}"
    );
    assert_eq!(client.list_subscriptions(&access).await.unwrap().len(), 2);

    let until = START + Duration::from_hours(48);
    let patch = SubscriptionPatch {
        expires_at: Some(until),
        ..SubscriptionPatch::default()
    };
    let mut ids: Vec<String> = made.iter().map(|one| one.id.clone()).collect();
    ids.push("00000000-0000-4000-8000-000000000000".to_owned());
    let patches: Vec<_> = ids.iter().map(|id| (id.clone(), patch.clone())).collect();
    let patched = client.patch_subscriptions(&access, &patches).await;
    assert_eq!(patched[0].as_ref().unwrap().expires_at, until);
    assert_eq!(patched[2], Err(CallError::NotFound));

    graph.clock.advance(Duration::from_mins(11));
    client
        .reauthorize_subscription(&access, &ids[0])
        .await
        .unwrap();
    let kept = client.get_subscription(&access, &ids[0]).await.unwrap();
    assert_eq!(kept.expires_at, until);
    let deleted = client.delete_subscriptions(&access, &ids).await;
    assert_eq!(deleted, [Ok(()), Ok(()), Err(CallError::NotFound)]);
    assert!(client.list_subscriptions(&access).await.unwrap().is_empty());
    graph.stop().await;
}
