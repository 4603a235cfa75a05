//! Changes of which nobody heard that they were committed.

use futures_util::FutureExt as _;
use tidings_domain::ids::WebhookId;
use tidings_storage::StoreError;
use tokio_util::sync::CancellationToken;

use super::{Desk, NEW_TENANT, manage};
use crate::{
    manage::{ManageError, WebhookEdit},
    testing::Doubtful,
};

const NEW_URL: &str = "https://new.example/hook";

fn url(desk: &Desk, id: WebhookId) -> String {
    let webhook = desk.world.directory.webhook(id).unwrap();
    webhook.url.expose().to_string()
}

/// Runs the directory until it shows the new URL of a webhook.
async fn new_url_is_seen(desk: &Desk, id: WebhookId) {
    let stop = CancellationToken::new();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let after = move |change| told.send(change).unwrap();
    tokio::select! {
        () = desk.world.directory.run(&desk.world.clock, &stop, after) => unreachable!(),
        change = heard.recv() => {
            assert_eq!(change.unwrap(), Some(crate::directory::Change::Webhook(id)));
        }
    }
    assert_eq!(url(desk, id), NEW_URL);
}

#[tokio::test]
async fn a_change_that_is_committed_and_not_answered_is_seen_all_the_same() {
    for answers in [true, false] {
        let desk = Desk::new(NEW_TENANT).await;
        let made = desk.manage.create_webhook(desk.webhook()).await.unwrap();
        let store = Doubtful::new(&desk.world.store, answers);
        let egress = desk.world.config.egress.clone();
        let verbs = manage(&desk.world, store.clone(), egress, &desk.deliver);
        let edit = WebhookEdit {
            url: Some(NEW_URL.to_owned()),
            ..WebhookEdit::default()
        };
        let change = verbs.change_webhook(desk.world.environment, made.id, edit);
        tokio::select! {
            changed = change => assert!(
                answers && matches!(changed, Err(ManageError::Store(StoreError::Unavailable { .. })))
            ),
            // Whoever asked has gone away.
            () = store.committed.notified(), if !answers => {}
        }
        assert_eq!(url(&desk, made.id), made.url.expose().as_str());
        assert_eq!(desk.deliver.wait().now_or_never(), Some(()));
        new_url_is_seen(&desk, made.id).await;
    }
}

#[tokio::test]
async fn deliver_hears_of_a_delivery_to_be_sent_again_though_whoever_asked_has_gone() {
    let desk = Desk::new(NEW_TENANT).await;
    let store = Doubtful::new(&desk.world.store, false);
    let egress = desk.world.config.egress.clone();
    let verbs = manage(&desk.world, store.clone(), egress, &desk.deliver);
    tokio::select! {
        _ = verbs.redeliver(desk.world.ids.next()) => unreachable!(),
        () = store.committed.notified() => {}
    }
    assert_eq!(desk.deliver.wait().now_or_never(), Some(()));
}
