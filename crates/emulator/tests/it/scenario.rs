//! Many changes by a seed, and what is true after them.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidings_emulator::{
    Difference, Fact, Run, Scenario, Told, differences,
    scenario::{Action, Kind, Rates, Step},
    switches::Casing,
};

use crate::kit::{Graph, Receiver, START};

const ALL: [Kind; 7] = [
    Kind::Channels,
    Kind::Contacts,
    Kind::DriveItems,
    Kind::Events,
    Kind::Groups,
    Kind::Messages,
    Kind::Users,
];

/// Kinds whose notifications say what changed, so that it can be read.
const NAMED: [Kind; 5] = [
    Kind::Contacts,
    Kind::Events,
    Kind::Groups,
    Kind::Messages,
    Kind::Users,
];

fn small(seed: u64, kinds: &[Kind]) -> Scenario {
    Scenario {
        seed,
        tenants: 1,
        mailboxes: 2,
        initial: 2,
        daily: kinds
            .iter()
            .map(|kind| {
                let rates = Rates {
                    create: 3.0,
                    delete: 2.0,
                    r#move: 2.0,
                    update: 4.0,
                };
                (*kind, rates)
            })
            .collect(),
    }
}

/// Makes the next change at its time.
fn step(graph: &Graph, run: &mut Run) -> Step {
    let due = run.next_at().unwrap();
    graph.clock.advance(graph.emulator_now().until(due));
    run.step().unwrap().unwrap()
}

/// Subscribes to all that changes in the mailboxes and the directory of a scenario.
async fn subscribe(graph: &Graph, receiver: &Receiver) {
    for user in 0..graph.tenants[0].users.len() {
        for what in ["contacts", "events", "messages"] {
            let resource = format!("users/{}/{what}", graph.user(0, user));
            graph.subscribe_in(0, &resource, &receiver.url).await;
        }
    }
    for what in ["groups", "users"] {
        let mut body = crate::kit::subscription(what, &receiver.url);
        body["changeType"] = "updated,deleted".into();
        let made = graph.post("subscriptions", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    }
    receiver.forget();
}

/// What an app knows that reads each thing that it is told of.
async fn hear(graph: &Graph, items: &[Value], told: &mut BTreeMap<String, Told>) {
    for item in items {
        let path = item["resource"].as_str().unwrap();
        let answer = graph.get(path).await;
        let shown = if item["changeType"] == "deleted" || answer.status == StatusCode::NOT_FOUND {
            Told::Gone
        } else {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            Told::Shown(answer.json())
        };
        told.insert(path.to_owned(), shown);
    }
}

#[tokio::test]
async fn a_seed_decides_what_happens_to_whom_and_when() {
    let steps = async |seed| {
        let graph = Graph::start().await;
        let mut run = graph.emulator.begin(&small(seed, &ALL)).unwrap();
        graph.emulator.keep_truth();
        let steps: Vec<_> = (0..300)
            .map(|_| {
                let step = step(&graph, &mut run);
                assert_eq!(step.due, graph.emulator_now());
                (step.due, step.user, step.kind, step.action)
            })
            .collect();
        let tenants = run.tenants().to_vec();
        let truth = graph.emulator.truth();
        graph.stop().await;
        (tenants, steps, truth)
    };
    let (tenants, first, truth) = steps(3).await;
    // Even the ids are the same where nothing else draws on the emulator's randomness.
    let again = (tenants.clone(), first.clone(), truth.clone());
    assert_eq!(again, steps(3).await);
    assert_ne!(first, steps(4).await.1);
    for kind in [
        "channels", "contacts", "drives", "events", "groups", "messages", "users",
    ] {
        let of_kind = |fact: &&Fact| fact.path.contains(&format!("{kind}/"));
        assert!(truth.iter().filter(of_kind).count() > 1, "{kind}");
    }
    assert_eq!(tenants.len(), 1);
    assert_eq!(tenants[0].users.len(), 2);
    for kind in ALL {
        for action in [Action::Create, Action::Delete, Action::Update] {
            assert!(
                first.iter().any(|&(_, _, k, a)| (k, a) == (kind, action)),
                "{kind:?} {action:?}"
            );
        }
    }
    for kind in [Kind::DriveItems, Kind::Groups, Kind::Messages] {
        assert!(
            first
                .iter()
                .any(|&(_, _, k, a)| (k, a) == (kind, Action::Move)),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn who_hears_of_every_change_and_reads_it_knows_the_truth() {
    let mut graph = Graph::with(|options| options.switches.casing = Casing::Lower).await;
    let receiver = Receiver::start().await;
    let mut run = graph.emulator.begin(&small(5, &NAMED)).unwrap();
    graph.tenants = run.tenants().to_vec();
    subscribe(&graph, &receiver).await;
    graph.emulator.keep_truth();
    let mut told = BTreeMap::new();
    let (mut steps, mut heard) = (0, 0);
    while run.next_at().unwrap() < START + Duration::from_hours(23) {
        step(&graph, &mut run);
        steps += 1;
        graph.emulator.quiet().await;
        let items = receiver.items(0).await;
        hear(&graph, &items[heard..], &mut told).await;
        heard = items.len();
    }
    assert!(steps > 50, "{steps}");
    let facts = graph.emulator.truth();
    assert_eq!(differences(&facts, &told), []);
    // Each change was told of exactly once.
    let changes: usize = facts.iter().map(|fact| fact.changes.len()).sum();
    assert_eq!(changes, heard);
    assert!(facts.iter().any(|fact| fact.object.is_none()));
    assert!(
        facts
            .iter()
            .all(|fact| fact.tenant_id == graph.tenants[0].tenant_id)
    );
    graph.stop().await;
}

#[tokio::test]
async fn who_misses_changes_differs_from_the_truth() {
    let mut graph = Graph::with(|options| options.switches.casing = Casing::Lower).await;
    let receiver = Receiver::start().await;
    let mut run = graph.emulator.begin(&small(6, &NAMED)).unwrap();
    graph.tenants = run.tenants().to_vec();
    subscribe(&graph, &receiver).await;
    graph.emulator.keep_truth();
    let mut told = BTreeMap::new();
    for _ in 0..30 {
        step(&graph, &mut run);
        // Time that goes on would end the POSTs that are under way.
        graph.emulator.quiet().await;
    }
    hear(&graph, &receiver.items(0).await, &mut told).await;
    assert_eq!(differences(&graph.emulator.truth(), &told), []);
    let fault = json!({"kind": "drop"});
    graph.control(Method::POST, "faults", Some(fault)).await;
    for _ in 0..60 {
        step(&graph, &mut run);
    }
    let found = differences(&graph.emulator.truth(), &told);
    let any = |wanted: fn(&Difference) -> bool| found.iter().any(wanted);
    assert!(any(|one| matches!(one, Difference::Unheard { .. })));
    assert!(any(|one| matches!(one, Difference::NotTold { .. })));
    assert!(any(|one| matches!(one, Difference::Stale { .. })));
    graph.stop().await;
}

#[tokio::test]
async fn truth_knows_what_others_do_too() {
    let graph = Graph::start().await;
    graph.new_event().await;
    graph.emulator.keep_truth();
    assert_eq!(graph.emulator.truth(), []);
    let event = graph.new_event().await;
    let user = graph.user(0, 0);
    let path = format!("users/{user}/events/{}", event["id"].as_str().unwrap());
    graph.patch(&path, json!({"subject": "Coffee"})).await;
    let [fact] = &graph.emulator.truth()[..] else {
        panic!("one thing changed");
    };
    assert_eq!(fact.path, path);
    assert_eq!(fact.object.as_ref().unwrap()["subject"], "Coffee");
    graph.delete(&path).await;
    let [fact] = &graph.emulator.truth()[..] else {
        panic!("one thing changed");
    };
    assert_eq!(fact.object, None);
    let words: Vec<&str> = fact.changes.iter().map(|change| change.change).collect();
    assert_eq!(words, ["created", "updated", "deleted"]);
    assert_eq!(
        fact.changes[0].etag.as_deref(),
        event["@odata.etag"].as_str()
    );
    graph.stop().await;
}

#[tokio::test]
async fn a_scenario_can_be_driven_over_http() {
    let graph = Graph::start().await;
    let none = graph.control(Method::GET, "scenario", None).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let scenario = json!({
        "seed": 9,
        "tenants": 2,
        "mailboxes": 3,
        "initial": 0,
        "daily": {"messages": {"create": 8}},
    });
    let begun = graph
        .control(Method::POST, "scenario", Some(scenario))
        .await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    assert_eq!(
        begun.json()["tenants"][1]["users"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let go = async |body: Value| {
        let went = graph.control(Method::POST, "scenario/go", Some(body)).await;
        assert_eq!(went.status, StatusCode::OK, "{}", went.text());
        went.json()
    };
    assert_eq!(go(json!({"steps": 5})).await["steps"], 5);
    let until = START + Duration::from_hours(24);
    let went = go(json!({"until": until})).await;
    let steps = went["steps"].as_u64().unwrap();
    assert!((20..100).contains(&steps), "{steps}");
    assert!(went["next_at"].as_str().unwrap() > until.to_string().as_str());
    let truth = graph.control(Method::GET, "truth", None).await.json();
    assert_eq!(truth.as_array().unwrap().len() as u64, steps);
    assert_eq!(truth[0]["changes"][0]["change"], "created");
    graph.stop().await;
}

#[tokio::test]
async fn a_scenario_that_is_played_goes_with_the_clock() {
    let graph = Graph::start().await;
    graph.emulator.keep_truth();
    let tenants = graph.emulator.play(&small(2, &NAMED)).unwrap();
    assert_eq!(tenants.len(), 1);
    let changes = || -> usize {
        let facts = graph.emulator.truth();
        facts.iter().map(|fact| fact.changes.len()).sum()
    };
    graph.emulator.quiet().await;
    let begun = changes();
    for _ in 0..10 {
        graph.clock.advance(graph.clock.next_wake().unwrap());
        graph.emulator.quiet().await;
    }
    // One at a time; a move, or the end of a user, is two changes.
    assert!((10..=20).contains(&(changes() - begun)));
    graph.clock.advance(Duration::from_hours(24));
    graph.emulator.quiet().await;
    assert!(changes() - begun > 50);
    graph.stop().await;
}
