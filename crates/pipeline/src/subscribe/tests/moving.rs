//! The public URL has changed.

use super::*;

const NEW: &str = "https://new.example";

impl Stage {
    fn new_url(&self) -> String {
        format!("{NEW}/webhook/{}/mail", self.world.environment)
    }

    /// What Graph has, by its resource: where notifications and lifecycle notifications go.
    fn urls(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let kept = self.kept.lock().unwrap();
        let mut urls: Vec<_> = kept
            .made
            .values()
            .map(|one| {
                (
                    text(&one["notificationUrl"]),
                    text(&one["lifecycleNotificationUrl"]),
                )
            })
            .collect();
        urls.sort();
        urls
    }
}

#[tokio::test]
async fn all_send_to_the_new_url_first_and_are_then_made_anew_one_after_the_other() {
    let stage = Stage::new().await;
    let mut rows = Vec::new();
    for user in ["a", "b", "c"] {
        let resource = format!("users/{user}/events");
        rows.push(stage.request(&resource, "created").await.unwrap());
    }
    let moved = subscribe(&stage.world, NEW, false);
    let stop = CancellationToken::new();
    let ends = async {
        for row in &rows {
            let (old, lifecycle) = (&row.graph_id, format!("{}/lifecycle", stage.new_url()));
            stage
                .until(row.id, |now| {
                    now.graph_id != *old && now.lifecycle_url.as_deref() == Some(&*lifecycle)
                })
                .await;
        }
    };
    tokio::select! {
        () = moved.run(&stop) => panic!("the stage has ended"),
        () = ends => {}
    }
    assert_eq!(
        stage.methods(),
        [
            "POST", "POST", "POST", "PATCH", "PATCH", "PATCH", "DELETE", "POST", "DELETE", "POST",
            "DELETE", "POST"
        ]
    );
    let lifecycle = format!("{}/lifecycle", stage.new_url());
    assert_eq!(stage.urls(), vec![(stage.new_url(), lifecycle); 3]);
    for row in rows {
        let now = stage.row(row.id).await;
        assert_eq!(now.state, SubscriptionState::Active);
        assert_eq!(now.notification_url, Some(stage.new_url()));
        assert_eq!(now.former.unwrap().graph_id, row.graph_id.unwrap());
        let gap = stage.world.store.reconcile(row.id).await.unwrap().unwrap();
        assert!(gap.asked_at > row.created_at);
    }
    // We did it ourselves: nobody need hear of it.
    assert_eq!(stage.told().await, [""; 0]);
}

#[tokio::test]
async fn a_new_url_that_graph_does_not_reach_yet_leaves_everything_as_it_is() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    for _ in 0..3 {
        stage.instead(reply(400, r#"{"error":{"code":"ValidationError","message":"Subscription validation request timed out."}}"#));
    }
    let moved = subscribe(&stage.world, NEW, false);
    let stop = CancellationToken::new();
    let ends = async {
        stage.until(row.id, |now| now.failures == 3).await;
        let now = stage.row(row.id).await;
        assert_eq!(now.state, SubscriptionState::Active);
        assert_eq!(now.graph_id, row.graph_id);
        let wanted = Some(stage.new_url());
        stage
            .until(row.id, |now| {
                now.notification_url == wanted && now.graph_id != row.graph_id
            })
            .await;
    };
    tokio::select! {
        () = moved.run(&stop) => panic!("the stage has ended"),
        () = ends => {}
    }
}

#[tokio::test]
async fn what_was_interrupted_half_way_is_taken_up() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let moved = subscribe(&stage.world, NEW, false);
    let stop = CancellationToken::new();
    // It is removed for the new one, which Graph makes without our hearing of it.
    let ends = async {
        stage
            .until(row.id, |now| now.notification_url == Some(stage.new_url()))
            .await;
        stage.kept.lock().unwrap().after = vec![reply(204, ""), reply(502, "")];
        stage
            .until(row.id, |now| {
                now.state == SubscriptionState::Active && now.graph_id != row.graph_id
            })
            .await;
    };
    tokio::select! {
        () = moved.run(&stop) => panic!("the stage has ended"),
        () = ends => {}
    }
    assert_eq!(stage.kept.lock().unwrap().made.len(), 1);
    let lifecycle = format!("{}/lifecycle", stage.new_url());
    assert_eq!(stage.urls(), [(stage.new_url(), lifecycle)]);
}
