use bytes::Bytes;
use tidings_graph::{resource::SubscriptionPath, wire::collection::Removal};

use super::*;

const ALL: &str = "created,updated,deleted";

fn view<'a>(resource: &str, changes: &str) -> View<'a> {
    let path = SubscriptionPath::parse(resource).unwrap();
    View {
        scope: "inbox",
        enumeration: 3,
        baseline: false,
        wanted: Wanted::new(&path, changes.parse().unwrap()),
    }
}

fn entry(id: &str, version: Option<&str>) -> Entry {
    Entry {
        id: id.to_owned(),
        removed: None,
        version: version.map(str::to_owned),
        occurrence_of: None,
        object: Bytes::from(format!("{{\"id\":\"{id}\"}}")),
    }
}

fn removed(id: &str, how: Removal) -> Entry {
    Entry {
        removed: Some(how),
        ..entry(id, None)
    }
}

fn told(id: &str, version: Option<&str>) -> KnownItem {
    KnownItem {
        id: id.to_owned(),
        scope: "inbox".to_owned(),
        enumeration: 2,
        seen: None,
        told: true,
        version: version.map(version::named),
    }
}

fn known(items: impl IntoIterator<Item = KnownItem>) -> HashMap<String, KnownItem> {
    items
        .into_iter()
        .map(|item| (item.id.clone(), item))
        .collect()
}

fn finds(compared: &Compared) -> Vec<(&str, ChangeType)> {
    compared
        .finds
        .iter()
        .map(|(id, change)| (&**id, *change))
        .collect()
}

#[test]
fn what_is_new_changed_or_gone_is_found_and_what_is_known_so_is_not() {
    let compared = shown(
        &view("users/u/messages", ALL),
        vec![
            entry("new", Some("W/\"1\"")),
            entry("changed", Some("W/\"2\"")),
            entry("same", Some("W/\"1\"")),
            removed("gone", Removal::Deleted),
            removed("moved", Removal::Changed),
            removed("never-known", Removal::Deleted),
        ],
        &known([
            told("changed", Some("1")),
            told("same", Some("1")),
            told("gone", Some("1")),
            told("moved", Some("1")),
        ]),
    );
    assert_eq!(
        finds(&compared),
        [
            ("new", ChangeType::Created),
            ("changed", ChangeType::Updated),
            ("gone", ChangeType::Deleted),
            ("moved", ChangeType::Deleted),
        ]
    );
    assert!(compared.forget.is_empty());
    assert!(
        compared.items.iter().all(|item| !item.told),
        "the app has been told of none by this"
    );
}

#[test]
fn what_was_there_before_everything_is_recorded_and_not_told() {
    let view = View {
        baseline: true,
        ..view("users/u/messages", ALL)
    };
    let entries = vec![entry("a", Some("W/\"1\"")), entry("told", Some("W/\"1\""))];
    let compared = shown(&view, entries, &known([told("told", Some("2"))]));
    assert_eq!(finds(&compared), []);
    let item = |id: &str| compared.items.iter().find(|item| item.id == id).unwrap();
    assert!(item("a").told && item("a").version == Some(version::named("1")));
    assert!(!item("told").told, "what the app knows stays as it is");
}

#[test]
fn of_one_item_shown_twice_the_last_counts() {
    let entries = vec![
        entry("a", Some("W/\"1\"")),
        entry("b", Some("W/\"1\"")),
        removed("a", Removal::Deleted),
    ];
    let compared = shown(
        &view("users/u/messages", ALL),
        entries,
        &known([told("a", Some("0"))]),
    );
    assert_eq!(
        finds(&compared),
        [("a", ChangeType::Deleted), ("b", ChangeType::Created)]
    );
}

#[test]
fn an_occurrence_of_a_series_is_the_series_affair() {
    let occurrence = Entry {
        occurrence_of: Some("series".to_owned()),
        ..entry("o", Some("W/\"1\""))
    };
    let compared = shown(&view("users/u/events", ALL), vec![occurrence], &known([]));
    assert_eq!(compared, Compared::default());
}

#[test]
fn without_a_version_the_same_picture_is_a_repetition_and_another_is_looked_at() {
    let picture = version::of_content(&entry("u", None).object);
    let seen = |seen| KnownItem {
        seen,
        ..told("u", None)
    };
    let view = view("users", "updated,deleted");
    for (before, expected) in [
        (seen(Some(picture)), None),
        (seen(Some(version::named("x"))), Some(ChangeType::Updated)),
        (seen(None), Some(ChangeType::Updated)),
    ] {
        let compared = shown(&view, vec![entry("u", None)], &known([before]));
        assert_eq!(compared.finds.first().map(|find| find.1), expected);
        assert_eq!(compared.items[0].seen, Some(picture));
    }
}

#[test]
fn only_what_was_asked_for_is_found_and_the_rest_is_known_all_the_same() {
    let entries = || {
        vec![
            entry("new", Some("W/\"1\"")),
            entry("changed", Some("W/\"2\"")),
            removed("gone", Removal::Deleted),
        ]
    };
    let before = known([told("changed", Some("1")), told("gone", Some("1"))]);
    let only_deleted = shown(&view("users/u/messages", "deleted"), entries(), &before);
    assert_eq!(finds(&only_deleted), [("gone", ChangeType::Deleted)]);
    let new = &only_deleted.items[0];
    assert!(new.id == "new" && new.told, "its deletion will be wanted");
    // Graph calls all that happens in a drive an update.
    let drive = shown(&view("users/u/drive/root", "updated"), entries(), &before);
    assert_eq!(drive.finds.len(), 3);
}

#[test]
fn what_a_whole_enumeration_does_not_show_is_gone_or_was_never_known() {
    let untold = KnownItem {
        told: false,
        ..told("untold", None)
    };
    let compared = not_shown(
        &view("users/u/messages", ALL),
        vec![told("gone", Some("1")), untold],
    );
    assert_eq!(finds(&compared), [("gone", ChangeType::Deleted)]);
    assert_eq!(compared.forget, ["untold"]);
    assert_eq!(compared.items[0].enumeration, 3, "it is not found again");
}
