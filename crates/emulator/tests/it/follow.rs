//! Somebody who follows delta queries knows in the end what is true, whatever went wrong on the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use http::StatusCode;
use serde_json::{Map, Value, json};
use tidings_domain::{Entropy, entropy::SeededEntropy};
use tidings_emulator::{DeltaFault, Fault, MailboxItem, Switches, fault::Hits};
use uuid::Uuid;

use crate::kit::{Graph, id};

/// What somebody knows of one collection.
struct Follower {
    first: String,
    link: Option<String>,
    known: BTreeMap<String, Map<String, Value>>,
    members: BTreeMap<String, BTreeSet<String>>,
}

/// Randomness with a seed, and what it is to decide.
struct Dice(SeededEntropy);

impl Dice {
    fn roll(&self, sides: usize) -> usize {
        let entropy: &dyn Entropy = &self.0;
        usize::try_from(entropy.u64() % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| &of[self.roll(of.len())])
    }
}

impl Follower {
    fn new(first: String) -> Self {
        Self {
            first,
            link: None,
            known: BTreeMap::new(),
            members: BTreeMap::new(),
        }
    }

    /// Follows to the end of a round; `meanwhile` happens after each page.
    async fn follow(&mut self, graph: &Graph, dice: &Dice, meanwhile: impl Fn()) {
        let mut at = self.link.clone().unwrap_or_else(|| self.first.clone());
        loop {
            let prefer = format!("odata.maxpagesize={}", 1 + dice.roll(3));
            let answer = graph.get_preferring(&at, &prefer).await;
            meanwhile();
            if answer.status == StatusCode::GONE {
                self.known.clear();
                self.members.clear();
                let location = answer.headers.get("location");
                at = location.map_or_else(
                    || self.first.clone(),
                    |location| location.to_str().unwrap().to_owned(),
                );
                continue;
            }
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let page = answer.json();
            for told in page["value"].as_array().unwrap() {
                self.hear(told);
            }
            if let Some(link) = page["@odata.deltaLink"].as_str() {
                self.link = Some(link.to_owned());
                return;
            }
            page["@odata.nextLink"]
                .as_str()
                .unwrap()
                .clone_into(&mut at);
        }
    }

    fn hear(&mut self, told: &Value) {
        let (name, told) = (id(told).to_owned(), told.as_object().unwrap());
        if told.contains_key("@removed") || told.contains_key("deleted") {
            self.known.remove(&name);
            self.members.remove(&name);
            return;
        }
        let changes = told.get("members@delta").and_then(Value::as_array);
        for member in changes.into_iter().flatten() {
            let members = self.members.entry(name.clone()).or_default();
            if member.get("@removed").is_some() {
                members.remove(id(member));
            } else {
                members.insert(id(member).to_owned());
            }
        }
        let known = self.known.entry(name).or_default();
        known.extend(
            told.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }

    /// One member of everything that is known.
    fn all(&self, member: &str) -> BTreeMap<&str, Value> {
        let of = |one: &Map<String, Value>| one.get(member).cloned().unwrap_or_default();
        let known = self.known.iter();
        known.map(|(name, one)| (name.as_str(), of(one))).collect()
    }
}

/// One member of everything that is true.
fn truth<'a>(all: &'a [Value], member: &str) -> BTreeMap<&'a str, Value> {
    all.iter()
        .map(|one| (id(one), one[member].clone()))
        .collect()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn event(dice: &Dice) -> Map<String, Value> {
    let day = json!({"dateTime": format!("2026-12-{:02}T09:00:00", 1 + dice.roll(20)), "timeZone": "UTC"});
    object(&json!({"subject": dice.roll(1_000).to_string(), "start": day, "end": day}))
}

/// Something changes somewhere.
fn change(graph: &Graph, dice: &Dice) {
    let emulator = &graph.emulator;
    let (ada, bo) = (graph.tenants[0].users[0].id, graph.tenants[0].users[1].id);
    let tenant = graph.tenants[0].tenant_id;
    let word = dice.roll(1_000).to_string();
    let one_of = |all: Vec<Value>| dice.pick(&all).map(|one| id(one).to_owned());
    let group = || one_of(emulator.groups(tenant).unwrap()).map(|id| id.parse::<Uuid>().unwrap());
    match dice.roll(17) {
        0 | 1 => drop(emulator.create_event(ada, event(dice)).unwrap()),
        2 | 3 => {
            if let Some(one) = one_of(emulator.items(ada, MailboxItem::Event).unwrap()) {
                emulator.update_event(ada, &one, event(dice)).unwrap();
            }
        }
        4 => {
            if let Some(one) = one_of(emulator.items(ada, MailboxItem::Event).unwrap()) {
                emulator.delete_event(ada, &one).unwrap();
            }
        }
        5 | 6 => {
            let members = object(&json!({"subject": word}));
            emulator.receive_message(ada, members).unwrap();
        }
        7 => {
            if let Some(one) = one_of(emulator.items(ada, MailboxItem::Message).unwrap()) {
                let folder = ["inbox", "archive"][dice.roll(2)];
                emulator.move_message(ada, &one, folder).unwrap();
            }
        }
        8 => {
            if let Some(one) = one_of(emulator.items(ada, MailboxItem::Message).unwrap()) {
                emulator
                    .delete_item(ada, MailboxItem::Message, &one)
                    .unwrap();
            }
        }
        9 => {
            let members = object(&json!({"jobTitle": word}));
            // Bo is deleted now and then.
            let _ = emulator.update_user(bo, members);
        }
        10 => {
            if emulator.restore_user(bo).is_err() {
                emulator.delete_user(bo).unwrap();
            }
        }
        11 => {
            let members = object(&json!({"displayName": word}));
            emulator.create_group(tenant, members).unwrap();
        }
        12 | 13 => {
            if let Some(group) = group() {
                emulator.set_member(group, ada, dice.roll(2) == 0).unwrap();
            }
        }
        14 => {
            if let Some(group) = group() {
                emulator.delete_group(group).unwrap();
                if dice.roll(2) == 0 {
                    emulator.restore_group(group).unwrap();
                }
            }
        }
        15 => {
            let path = format!("{}/{}", dice.roll(3), dice.roll(3));
            let size = u64::try_from(dice.roll(99)).unwrap();
            emulator.put_drive_item(ada, &path, Some(size)).unwrap();
        }
        _ => {
            let items = emulator.drive_items(ada).unwrap();
            if let Some(one) = one_of(items[1..].to_vec()) {
                emulator.delete_drive_item(ada, &one).unwrap();
            }
        }
    }
}

fn fault(dice: &Dice) -> Fault {
    let what = match dice.roll(5) {
        0 => DeltaFault::EmptyPage,
        1 => DeltaFault::Gone { code: None },
        2 => DeltaFault::Replay,
        3 => DeltaFault::Twice,
        _ => DeltaFault::Void {
            code: None,
            status: None,
        },
    };
    Fault::Delta {
        hits: Hits {
            count: Some(1),
            rate: 1.0,
        },
        of: None,
        what,
    }
}

fn switches(dice: &Dice) -> Switches {
    Switches {
        delta_early_removals: dice.roll(2) == 0,
        delta_lag_seconds: u64::try_from(dice.roll(2) * 20).unwrap(),
        delta_outside_window: dice.roll(2) == 0,
        delta_page: dice.roll(4),
        delta_sparse: dice.roll(2) == 0,
        ..Switches::default()
    }
}

#[tokio::test]
async fn who_follows_knows_in_the_end_what_is_true() {
    for seed in 0..6 {
        let graph = Graph::start().await;
        let dice = Dice(SeededEntropy::new(seed));
        let (ada, bo) = (graph.user(0, 0), graph.user(0, 1));
        let guid: Uuid = ada.parse().unwrap();
        let tenant = graph.tenants[0].tenant_id;
        let folder = |name| format!("users/{ada}/mailFolders/{name}/messages/delta");
        let mut followers = [
            format!(
                "users/{ada}/calendarView/delta?startDateTime=2026-12-05&endDateTime=2026-12-12"
            ),
            folder("inbox"),
            folder("archive"),
            "users/delta".to_owned(),
            "groups/delta".to_owned(),
            format!("users/{ada}/drive/root/delta"),
        ]
        .map(Follower::new);
        for _ in 0..15 {
            graph.emulator.set_switches(switches(&dice));
            for _ in 0..5 {
                change(&graph, &dice);
            }
            graph
                .clock
                .advance(Duration::from_secs(u64::try_from(dice.roll(30)).unwrap()));
            if dice.roll(2) == 0 {
                graph.emulator.add_fault(fault(&dice));
            }
            for follower in &mut followers {
                if dice.roll(2) == 0 {
                    follower
                        .follow(&graph, &dice, || change(&graph, &dice))
                        .await;
                }
            }
        }
        graph.emulator.clear_faults();
        graph.emulator.set_switches(Switches {
            delta_outside_window: false,
            ..Switches::default()
        });
        graph.clock.advance(Duration::from_mins(1));
        for follower in &mut followers {
            follower.follow(&graph, &dice, || {}).await;
        }
        let [events, inbox, archive, users, groups, drive] = followers;

        let within = |one: &Value| {
            let start = one["start"]["dateTime"].as_str().unwrap();
            ("2026-12-05".."2026-12-12").contains(&start)
        };
        let mut all = graph.emulator.items(guid, MailboxItem::Event).unwrap();
        all.retain(within);
        assert_eq!(events.all("subject"), truth(&all, "subject"), "seed {seed}");
        assert_eq!(events.all("@odata.etag"), truth(&all, "@odata.etag"));

        let messages = graph.emulator.items(guid, MailboxItem::Message).unwrap();
        for (follower, folder) in [(inbox, "inbox"), (archive, "archive")] {
            let folder = graph
                .get(&format!("users/{ada}/mailFolders/{folder}"))
                .await
                .json();
            let mut there = messages.clone();
            there.retain(|message| message["parentFolderId"] == folder["id"]);
            assert_eq!(
                follower.all("subject"),
                truth(&there, "subject"),
                "seed {seed}"
            );
        }

        let listed = graph.get("users").await.json();
        let listed = listed["value"].as_array().unwrap();
        assert_eq!(
            users.all("jobTitle"),
            truth(listed, "jobTitle"),
            "seed {seed}, {bo}"
        );

        let all = graph.emulator.groups(tenant).unwrap();
        assert_eq!(
            groups.all("displayName"),
            truth(&all, "displayName"),
            "seed {seed}"
        );
        for group in &all {
            let path = format!("groups/{}/members", id(group));
            let members = graph.get(&path).await.json();
            let members: BTreeSet<String> = members["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|member| id(member).to_owned())
                .collect();
            let known = groups.members.get(id(group)).cloned().unwrap_or_default();
            assert_eq!(known, members, "seed {seed}");
        }

        let all = graph.emulator.drive_items(guid).unwrap();
        assert_eq!(drive.all("eTag"), truth(&all, "eTag"), "seed {seed}");
        graph.stop().await;
    }
}
