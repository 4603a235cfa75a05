//! In which order, how often and how long Graph is asked.

use std::{
    future::ready,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Semaphore;

use super::*;

#[tokio::test]
async fn an_outage_delays_and_drops_nothing() {
    let tries = AtomicUsize::new(0);
    let stage = Stage::new(move |_| {
        ready(match tries.fetch_add(1, Ordering::SeqCst) {
            0 => reply(503, ""),
            1 => Reply {
                status: 429,
                headers: vec![("retry-after", "7.5")],
                body: String::new(),
            },
            _ => object("a", "1"),
        })
    })
    .await;
    stage.managed(A, ChangeType::Updated).await;
    stage
        .run(async {
            stage.pass(Duration::from_millis(1_200), 1).await;
            while stage.world.queue().await[0].failures < 2 {
                tokio::task::yield_now().await;
            }
            let due_at = stage.world.queue().await[0].due_at;
            assert_eq!(
                stage.world.clock.now().until(due_at),
                Duration::from_millis(7_500)
            );
            stage.pass(Duration::from_millis(7_500), 2).await;
            stage.world.events_reach(1).await;
        })
        .await;
}

#[tokio::test]
async fn broken_credentials_break_the_connection_until_they_work_again() {
    let mended = Arc::new(AtomicUsize::new(0));
    let at = Arc::clone(&mended);
    let graph = Graph::start_with_sign_in(move |seen| {
        ready(match (seen.is_token(), at.load(Ordering::SeqCst)) {
            (true, 0) => reply(
                401,
                r#"{"error":"invalid_client","error_description":"AADSTS7000222: Expired."}"#,
            ),
            (true, _) => reply(
                200,
                r#"{"token_type":"Bearer","expires_in":3600,"access_token":"t"}"#,
            ),
            (false, _) => object("a", "1"),
        })
    })
    .await;
    let stage = Stage::at(graph).await;
    let wanting = stage.webhook(&["connection.expired"], Vec::new()).await;
    stage.managed(A, ChangeType::Updated).await;
    stage.managed(B, ChangeType::Updated).await;
    let state = || async {
        stage
            .world
            .store
            .connection(stage.world.connection)
            .await
            .unwrap()
            .unwrap()
            .state
    };
    stage
        .run(async {
            while state().await == ConnectionState::Active {
                tokio::task::yield_now().await;
            }
            let ConnectionState::Broken { reason, .. } = state().await else {
                panic!()
            };
            assert!(reason.contains("expired"), "{reason}");
            assert_eq!(stage.graph.calls().len(), 0);
            mended.store(1, Ordering::SeqCst);
            // The refusal is kept some seconds, and the tenant is left alone for some more.
            for _ in 0..20 {
                stage.pass(Duration::from_secs(15), 0).await;
                tokio::task::yield_now().await;
            }
            stage.world.events_reach(4).await;
        })
        .await;
    assert_eq!(state().await, ConnectionState::Active);
    // Both items met the refusal, and it is told once; so is its end.
    let events = stage.world.events().await;
    let mut told: Vec<String> = events.iter().map(|one| one.trigger.to_string()).collect();
    assert_eq!(told[0], "connection.expired");
    told.sort();
    assert_eq!(
        told,
        [
            "connection.expired",
            "connection.recovered",
            "event.updated",
            "event.updated"
        ]
    );
    let filter = DeliveryFilter {
        event: Some(events[0].id),
        ..DeliveryFilter::default()
    };
    let page = Page::first(PageLimit::default());
    let deliveries = stage.world.store.deliveries(filter, page).await.unwrap();
    assert_eq!(deliveries.items.len(), 1);
    assert_eq!(deliveries.items[0].webhook, wanting);
}

#[tokio::test]
async fn items_of_one_resource_stay_in_order_and_others_go_past() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stage = Stage::new(move |seen| {
        let held = Arc::clone(&held);
        async move {
            if seen.path.ends_with("/a") {
                held.acquire().await.unwrap().forget();
            }
            object("x", "1")
        }
    })
    .await;
    for change in [
        ChangeType::Created,
        ChangeType::Updated,
        ChangeType::Deleted,
    ] {
        stage.managed(A, change).await;
    }
    stage.managed(B, ChangeType::Updated).await;
    stage
        .run(async {
            let events = stage.world.events_reach(1).await;
            assert_eq!(events[0].subject, B);
            assert_eq!(
                stage
                    .graph
                    .calls()
                    .iter()
                    .filter(|one| one.path.ends_with("/a"))
                    .count(),
                1
            );
            gate.add_permits(2);
            let events = stage.world.events_reach(4).await;
            let told: Vec<_> = events[1..]
                .iter()
                .map(|event| event.trigger.change().unwrap())
                .collect();
            assert_eq!(
                told,
                [
                    ChangeType::Created,
                    ChangeType::Updated,
                    ChangeType::Deleted
                ]
            );
        })
        .await;
}

#[tokio::test]
async fn a_mailbox_is_asked_for_three_things_at_once_at_most() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stage = Stage::new(move |seen| {
        let held = Arc::clone(&held);
        async move {
            if seen.path.contains("/busy/") {
                held.acquire().await.unwrap().forget();
            }
            object("x", "1")
        }
    })
    .await;
    for number in 0..10 {
        stage
            .managed(&format!("users/busy/events/{number}"), ChangeType::Updated)
            .await;
    }
    stage
        .managed("users/calm/events/x", ChangeType::Updated)
        .await;
    let busy = || {
        stage
            .graph
            .calls()
            .iter()
            .filter(|one| one.path.contains("/busy/"))
            .count()
    };
    stage
        .run(async {
            stage.world.events_reach(1).await;
            stage.calls_reach(4).await;
            assert_eq!(busy(), 3);
            gate.add_permits(1);
            stage.world.events_reach(2).await;
            stage.calls_reach(5).await;
            assert_eq!(busy(), 4);
            gate.add_permits(9);
            stage.world.events_reach(11).await;
        })
        .await;
}

#[tokio::test]
async fn a_tenant_that_fails_holds_up_no_other_and_is_not_hammered() {
    let stage = Stage::new(|seen| {
        ready(if seen.path.contains("/down/") {
            reply(503, "")
        } else {
            object("x", "1")
        })
    })
    .await;
    for number in 0..100 {
        stage
            .managed(&format!("users/down/events/{number}"), ChangeType::Updated)
            .await;
    }
    for number in 0..20 {
        let mut new = stage.notification(&format!("users/up/events/{number}"), ChangeType::Updated);
        new.notification.connection = Some(stage.world.other);
        stage.record(new).await;
    }
    stage.run(stage.world.events_reach(20)).await;
    let down = stage
        .graph
        .calls()
        .iter()
        .filter(|one| one.path.contains("/down/"))
        .count();
    assert!((1..=8).contains(&down), "{down}");
    assert_eq!(stage.world.queue().await.len(), 100);
}

#[tokio::test]
async fn a_stage_that_died_half_way_is_taken_up_without_loss_or_repetition() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stage = Stage::new(move |_| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            object("x", "1")
        }
    })
    .await;
    for number in 0..20 {
        stage
            .managed(&format!("users/u{number}/events/x"), ChangeType::Updated)
            .await;
    }
    gate.add_permits(7);
    // The stage is dropped with its fetches under way.
    stage.run(stage.world.events_reach(7)).await;
    gate.add_permits(100);
    let events = stage.run(stage.world.events_reach(20)).await;
    let mut subjects: Vec<_> = events.iter().map(|event| event.subject.clone()).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 20);
}

#[tokio::test]
async fn a_stop_ends_the_stage() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    let stop = CancellationToken::new();
    stop.cancel();
    stage.enrich.run(&stop).await;
    assert!(
        stage
            .world
            .clock
            .sleep(Duration::from_secs(1))
            .now_or_never()
            .is_none()
    );
}
