//! Many that are due at one time, and limits that are lower than the table says.

use tidings_domain::resource::ResourceKind;

use super::*;

impl Stage {
    /// A row that Graph serves until `end`, and that is due.
    pub(super) async fn served(&self, number: u32, end: Duration) -> Subscription {
        let (world, now) = (&self.world, self.world.clock.now());
        let row = Subscription {
            id: world.ids.next(),
            environment: world.environment,
            integration: world.integration,
            connection: world.connection,
            policy: None,
            resource: format!("users/u{number}/events"),
            kind: ResourceKind::Event,
            change_types: "created".parse().unwrap(),
            state: SubscriptionState::Active,
            client_state: Secret::new(format!("state-{number}")),
            graph_id: Some(format!("{number:08x}-0000-4000-8000-000000000001")),
            expires_at: Some(now + end),
            due_at: now - Duration::from_hours(1),
            failures: 0,
            last_error: None,
            created_at: now - Duration::from_hours(24 * 7),
            renewed_at: Some(now - Duration::from_hours(24 * 6)),
            deliver_existing: false,
            lifecycle: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
        };
        let kept = serde_json::json!({
            "id": row.graph_id, "resource": row.resource, "changeType": "created",
            "notificationUrl": self.our_url(), "expirationDateTime": row.expires_at,
        });
        let id = row.graph_id.clone().unwrap();
        self.kept.lock().unwrap().made.insert(id, kept);
        let create = world.store.create_subscription(row.clone(), Shard::FIRST);
        create.await.unwrap();
        row
    }

    /// Runs the loop until all of these have been renewed.
    pub(super) async fn all_renewed(&self, rows: &[Subscription]) {
        let all = async {
            for row in rows {
                self.sees(row.id, |now| now.renewed_at != row.renewed_at)
                    .await;
            }
        };
        let step = Duration::from_millis(50);
        self.patiently(step, self.run(all)).await;
    }

    /// When each of `rows` was renewed, from the beginning.
    pub(super) async fn waits(&self, rows: &[Subscription], begin: Timestamp) -> Vec<Duration> {
        let mut waits = Vec::new();
        for row in rows {
            waits.push(begin.until(self.row(row.id).await.renewed_at.unwrap()));
        }
        waits
    }
}

#[tokio::test]
async fn after_a_day_without_us_those_that_end_first_go_first_and_there_is_no_storm() {
    let stage = Stage::new().await;
    let begin = stage.world.clock.now();
    let mut rows = Vec::new();
    for number in 0..350 {
        rows.push(stage.served(number, Duration::from_hours(80)).await);
    }
    for number in 350..360 {
        rows.push(stage.served(number, Duration::from_mins(20)).await);
    }
    stage.all_renewed(&rows).await;
    let calls = stage.graph.calls();
    assert_eq!(calls.len(), 360);
    for urgent in &rows[350..] {
        let id = urgent.graph_id.as_deref().unwrap();
        let place = calls.iter().position(|call| call.path.ends_with(id));
        assert!(place.unwrap() < 250, "{place:?}");
    }
    // They were spread, and within a time that loses none.
    let mut waits = stage.waits(&rows, begin).await;
    waits.sort_unstable();
    let last = *waits.last().unwrap();
    assert!(last > Duration::from_secs(10), "{last:?}");
    assert!(last < Duration::from_mins(5), "{last:?}");
}

#[tokio::test]
async fn a_tenant_that_asks_for_fewer_calls_gets_none_until_its_time() {
    let stage = Stage::with(|config| config.batch = 1).await;
    stage.instead(Reply {
        headers: vec![("retry-after", "6")],
        ..reply(429, "")
    });
    let begin = stage.world.clock.now();
    let mut rows = Vec::new();
    for number in 0..20 {
        rows.push(stage.served(number, Duration::from_mins(30)).await);
    }
    stage.all_renewed(&rows).await;
    let mut waits = stage.waits(&rows, begin).await;
    waits.sort_unstable();
    // Those that were under way when it said so do not count.
    let under_way = stage.world.config.subscribe.concurrency;
    assert!(
        waits[under_way..]
            .iter()
            .all(|wait| *wait >= Duration::from_millis(5_900)),
        "{waits:?}"
    );
}

#[tokio::test]
async fn where_graph_allows_less_than_is_known_less_is_asked_for() {
    let stage = Stage::new().await;
    let limit = r#"{"error":{"code":"ExtensionError","message":"Subscription expiration can only be 60 minutes in the future."}}"#;
    stage.instead(reply(400, limit));
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!(row.state, SubscriptionState::Active);
    let life = stage.world.clock.now().until(row.expires_at.unwrap());
    assert_eq!(life, Duration::from_mins(54));
    // It is renewed in time, and from then on asked for no more than that at once.
    let renewed = stage.run(stage.sees(row.id, |now| now.renewed_at != row.renewed_at));
    stage.patiently(Duration::from_secs(10), renewed).await;
    let renewed = stage.row(row.id).await;
    let waited = row.created_at.until(renewed.renewed_at.unwrap());
    assert!(waited <= Duration::from_mins(36), "{waited:?}");
    assert_eq!(stage.methods(), ["POST", "POST", "PATCH"]);
}
