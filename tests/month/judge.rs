//! Compares what the apps were told with what is true.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidings_emulator::{Difference, Fact, Told, differences};

use crate::world::{App, Wanted, World};

/// What an app heard of one item, in the order in which the gateway made the events.
type Heard = BTreeMap<String, Vec<Event>>;

/// An event as an app got it.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) trigger: String,
    pub(crate) origin: String,
    pub(crate) connection: String,
    pub(crate) subject: String,
    pub(crate) object: Value,
    /// How often it was delivered.
    pub(crate) times: u32,
    /// When the gateway heard of it.
    pub(crate) at: String,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let etag = self.object.get("@odata.etag").or(self.object.get("eTag"));
        write!(
            f,
            "{} {} by {} as {} of {} {} times, {} etag {etag:?}",
            self.subject, self.trigger, self.origin, self.id, self.connection, self.times, self.at,
        )
    }
}

/// Everything that is wrong, a sentence each; nothing if all is well.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) wrong: Vec<String>,
    /// How many events there were, of which origin, over all apps.
    pub(crate) events: BTreeMap<String, usize>,
}

impl Judgement {
    fn find(&mut self, sentence: String) {
        self.wrong.push(sentence);
    }
}

/// Whether an app asked for what is under a subscription.
fn asked(app: &App, wanted: &Wanted) -> bool {
    app.kinds.contains(&wanted.kind)
        && (app.connections.is_empty() || app.connections.contains(&wanted.connection))
}

/// What `app` has heard.
pub(crate) fn heard(app: &App) -> Vec<Event> {
    let mut events: BTreeMap<String, Event> = BTreeMap::new();
    for delivery in app.receiver.deliveries() {
        if let Some(event) = events.get_mut(delivery.id()) {
            event.times += 1;
            continue;
        }
        let body = delivery.event();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let event = Event {
            id: delivery.id().to_owned(),
            trigger: text(&body["type"]),
            origin: text(&body["data"]["origin"]),
            connection: text(&body["data"]["connection_id"]),
            subject: text(&body["subject"]),
            object: body["data"]["object"].clone(),
            times: 1,
            at: text(&body["time"]),
        };
        events.insert(event.id.clone(), event);
    }
    events.into_values().collect()
}

/// The path of an item as it stands in what is true: a file of a user's drive is called by the drive.
fn item(wanted: &[Wanted], subject: &str) -> String {
    let called = wanted.iter().find_map(|one| {
        let drive = one.resource.strip_suffix("root")?;
        let rest = subject.strip_prefix(drive)?.strip_prefix("items/")?;
        Some(format!("{}{rest}", one.prefix))
    });
    called.unwrap_or_else(|| subject.to_owned())
}

/// Judges every app at the end of a month.
pub(crate) fn last_states(world: &World, judgement: &mut Judgement) {
    let facts = world.emulator.truth();
    for app in &world.apps {
        let wanted: Vec<&Wanted> = world.wanted.iter().filter(|one| asked(app, one)).collect();
        let mut of_items: Heard = BTreeMap::new();
        for event in heard(app) {
            *judgement.events.entry(event.origin.clone()).or_default() += 1;
            let kind = event.trigger.split('.').next().unwrap_or_default();
            if !app.kinds.contains(&kind) {
                judgement.find(format!("{}: did not ask for {event:?}", app.name));
            }
            if !app.connections.is_empty() && !app.connections.contains(&event.connection) {
                judgement.find(format!("{}: has no business with {event:?}", app.name));
            }
            of_items
                .entry(item(&world.wanted, &event.subject))
                .or_default()
                .push(event);
        }
        let told: BTreeMap<String, Told> = of_items
            .iter()
            .filter_map(|(path, events)| Some((path.clone(), shown(events.last()?))))
            .collect();
        let concerned: Vec<Fact> = facts
            .iter()
            .filter(|fact| wanted.iter().any(|one| concerns(one, fact)))
            .cloned()
            .collect();
        for difference in differences(&concerned, &told) {
            let story = story(&difference, &concerned, &of_items);
            judgement.find(format!("{}: {difference:?}: {story}", app.name));
        }
        // What was there before anything was kept is known to the gateway, so that its end is told.
        for fact in concerned.iter().filter(|fact| fact.object.is_none()) {
            let began = fact.changes.first().map(|change| change.change);
            if began != Some("created")
                && fact.path.matches('/').count() > 1
                && !of_items.contains_key(&fact.path)
            {
                judgement.find(format!(
                    "{}: was not told of the end of {}",
                    app.name,
                    brief(fact)
                ));
            }
        }
    }
}

/// Whether an item is one of a subscription's.
fn concerns(wanted: &Wanted, fact: &Fact) -> bool {
    let Some(rest) = fact.path.strip_prefix(&*wanted.prefix) else {
        return false;
    };
    wanted.tenant == fact.tenant_id && !rest.is_empty() && !rest.contains('/')
}

fn shown(event: &Event) -> Told {
    if event.trigger.ends_with(".deleted") || event.object.is_null() {
        return Told::Gone;
    }
    Told::Shown(event.object.clone())
}

/// What is true of an item, without its members.
fn brief(fact: &Fact) -> String {
    let changes: Vec<String> = fact
        .changes
        .iter()
        .map(|change| format!("{} {} {:?}", change.at, change.change, change.etag))
        .collect();
    let there = if fact.object.is_some() {
        "there"
    } else {
        "gone"
    };
    format!("{} ({there}): {changes:?}", fact.path)
}

fn story(difference: &Difference, facts: &[Fact], heard: &Heard) -> String {
    let (Difference::NotGone { path }
    | Difference::NotTold { path }
    | Difference::Stale { path }
    | Difference::Unheard { path }
    | Difference::Unknown { path }) = difference;
    let fact = facts.iter().find(|fact| fact.path == *path);
    let events = heard.get(path);
    format!("is {:?}, heard {events:?}", fact.map(brief))
}

/// Judges that every change was told exactly once, and that nothing had to be looked for: a month without faults.
pub(crate) fn exactly_once(world: &World, judgement: &mut Judgement) {
    let facts = world.emulator.truth();
    for app in &world.apps {
        let wanted: Vec<&Wanted> = world.wanted.iter().filter(|one| asked(app, one)).collect();
        let mut of_items: Heard = BTreeMap::new();
        for event in heard(app) {
            if event.origin != "notification" {
                judgement.find(format!("{}: had to be looked for: {event:?}", app.name));
            }
            if event.times != 1 {
                judgement.find(format!(
                    "{}: came {} times: {event:?}",
                    app.name, event.times
                ));
            }
            of_items
                .entry(item(&world.wanted, &event.subject))
                .or_default()
                .push(event);
        }
        for fact in &facts {
            let watched = wanted.iter().find(|one| concerns(one, fact));
            // Of a drive Graph says that something changed: what had changed twice by then is told once.
            if watched.is_none_or(|one| one.kind == "drive_item") {
                continue;
            }
            let events = of_items.get(&fact.path).map_or(0, Vec::len);
            if events != fact.changes.len() {
                let events = of_items.get(&fact.path);
                judgement.find(format!(
                    "{}: {} was told as {events:?}",
                    app.name,
                    brief(fact)
                ));
            }
        }
    }
}

/// Judges what Graph saw.
pub(crate) fn manners(world: &World, judgement: &mut Judgement) {
    for violation in world.emulator.violations() {
        judgement.find(format!("a rule of Graph was broken: {violation:?}"));
    }
    for usage in world.emulator.quota_uses() {
        if usage.highest > usage.limit {
            judgement.find(format!("more was asked than Graph allows: {usage:?}"));
        }
    }
}

/// Judges that every notification that was accepted has ended, and has led to an event, to a comparison, or to what is done
/// for a subscription. What a comparison was faster to tell has led to that event.
pub(crate) fn accepted(world: &World, judgement: &mut Judgement) {
    let accepted = world.list("/v1/notifications?verdict=accepted");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut events = BTreeSet::new();
    let mut subjects = BTreeSet::new();
    // Updates that waited for the same look are told by one event, which names them.
    for delivery in world.apps.iter().flat_map(|app| app.receiver.deliveries()) {
        let event = delivery.event();
        let merged = event["data"]["merged"].as_array().into_iter().flatten();
        events.extend(merged.map(text));
    }
    for event in world.list("/v1/events") {
        events.insert(text(&event["notification_id"]));
        subjects.insert(text(&event["subject"]));
    }
    let found: BTreeSet<String> = accepted
        .iter()
        .filter(|notification| notification["origin"] == "reconcile")
        .map(|notification| text(&notification["resource"]))
        .filter(|resource| subjects.contains(resource))
        .collect();
    for notification in accepted {
        let named = text(&notification["resource"]);
        let compares = named.contains("/drive/");
        let is_find = notification["origin"] == "reconcile";
        let of_subscription = !notification["lifecycle_event"].is_null();
        let told = events.contains(&text(&notification["id"])) || found.contains(&named);
        if !compares && !is_find && !of_subscription && !told {
            judgement.find(format!("led to nothing: {notification}"));
        }
    }
}

/// Judges that nothing was told more often than it happened, unless it says so. A delivery that is repeated has the same id.
/// Where Graph's own duplicates carry neither id nor etag, as of users, groups and deletions, nobody can tell them from a
/// second change.
pub(crate) fn once(world: &World, judgement: &mut Judgement) {
    let facts = world.emulator.truth();
    let known: BTreeMap<&str, &Fact> = facts.iter().map(|fact| (&*fact.path, fact)).collect();
    for app in &world.apps {
        let mut of_items: Heard = BTreeMap::new();
        for event in heard(app) {
            of_items
                .entry(item(&world.wanted, &event.subject))
                .or_default()
                .push(event);
        }
        for (path, events) in of_items {
            let Some(fact) = known.get(&*path) else {
                continue;
            };
            let mut by_etag: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
            for event in &events {
                if let Some(etag) = event.object["@odata.etag"].as_str() {
                    by_etag.entry(etag).or_default().push(event);
                }
            }
            let found = |event: &&&Event| event.origin == "reconcile";
            let found_twice = by_etag
                .values()
                .any(|same| same.len() > 1 && same.iter().any(|event| found(&event)));
            let notified: usize = by_etag
                .values()
                .map(|same| same.iter().filter(|event| !found(event)).count())
                .sum();
            if found_twice || notified > fact.changes.len() {
                judgement.find(format!(
                    "{}: told too often: {} {events:?}",
                    app.name,
                    brief(fact),
                ));
            }
        }
    }
}
