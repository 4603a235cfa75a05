use bytes::Bytes;
use tidings_domain::resource::ChangeTypes;
use tidings_graph::resource::SubscriptionPath;

use super::*;
use crate::version;

fn found(change: ChangeType, state: ObjectState, version: Option<&str>) -> Found {
    Found {
        change,
        state,
        object: (state == ObjectState::Fetched).then(|| Bytes::from_static(b"{}")),
        version: version.map(version::named),
    }
}

fn item(told: bool, version: Option<&str>) -> KnownItem {
    KnownItem {
        id: "i".to_owned(),
        scope: String::new(),
        enumeration: 1,
        seen: None,
        told,
        version: version.map(version::named),
    }
}

fn wanted(resource: &str, changes: &str) -> Wanted {
    let changes: ChangeTypes = changes.parse().unwrap();
    Wanted::new(&SubscriptionPath::parse(resource).unwrap(), changes)
}

/// Weighs a find of a message that an enumeration claimed to be changed so.
fn find(before: Option<KnownItem>, claimed: ChangeType, found: Found) -> Weighed {
    let wanted = wanted("users/u/messages", "created,updated,deleted");
    Known::Find(before).judge(id(), "i", wanted, claimed, false, found)
}

fn id() -> SubscriptionId {
    "sub_01J00000000000000000000000".parse().unwrap()
}

fn told(weighed: &Weighed) -> &Told {
    weighed.told.as_ref().unwrap()
}

#[test]
fn a_find_that_the_app_knows_is_not_told_again() {
    let there = found(ChangeType::Updated, ObjectState::Fetched, Some("2"));
    let weighed = find(Some(item(true, Some("2"))), ChangeType::Updated, there);
    assert_eq!((weighed.tell, weighed.told), (None, None));
}

#[test]
fn what_was_found_before_its_notification_came_is_not_told_again() {
    let changes = wanted("users/u/messages", "created,updated,deleted");
    let there = |version| found(ChangeType::Created, ObjectState::Fetched, Some(version));
    let told_by_find = find(None, ChangeType::Created, there("1"));
    let present = told(&told_by_find).present.unwrap();
    assert!(told_by_find.tell.is_some());
    let before = || {
        let known = KnownItem {
            version: present,
            ..item(true, None)
        };
        Known::Notified(Some(known))
    };
    let late = before().judge(id(), "i", changes, ChangeType::Created, false, there("1"));
    // What is known stays as it is, however often it comes.
    assert_eq!((late.tell, late.told), (None, None));
    let newer = before().judge(id(), "i", changes, ChangeType::Updated, false, there("2"));
    assert!(newer.tell.is_some());
    assert_eq!(told(&newer).present, Some(Some(version::named("2"))));
    let gone = found(ChangeType::Deleted, ObjectState::Deleted, None);
    let deleted = before().judge(id(), "i", changes, ChangeType::Deleted, false, gone);
    assert!(deleted.tell.is_some());
    // Two changes that a notification each told of may look the same by the time they are fetched.
    let notified = Known::Notified(Some(item(true, Some("1"))));
    let second = notified.judge(id(), "i", changes, ChangeType::Updated, false, there("1"));
    assert!(second.tell.is_some());
}

#[test]
fn a_notification_of_what_is_not_known_keeps_its_word_where_graph_has_one() {
    let changes = wanted("users/u/events", "created,updated,deleted");
    let there = found(ChangeType::Updated, ObjectState::Fetched, Some("1"));
    let weighed =
        Known::Notified(None).judge(id(), "i", changes, ChangeType::Updated, true, there.clone());
    assert_eq!(weighed.tell, Some(there));
}

#[test]
fn a_find_is_told_as_what_it_is_to_the_app() {
    let there = || found(ChangeType::Updated, ObjectState::Fetched, Some("2"));
    let told_as =
        |before, claimed, found| find(before, claimed, found).tell.map(|found| found.change);
    let older = || Some(item(true, Some("1")));
    assert_eq!(
        told_as(older(), ChangeType::Updated, there()),
        Some(ChangeType::Updated)
    );
    // An enumeration that does not show it is no proof that it is gone.
    assert_eq!(
        told_as(older(), ChangeType::Deleted, there()),
        Some(ChangeType::Updated)
    );
    assert_eq!(
        told_as(None, ChangeType::Updated, there()),
        Some(ChangeType::Created)
    );
    let untold = Some(item(false, None));
    assert_eq!(
        told_as(untold, ChangeType::Updated, there()),
        Some(ChangeType::Created)
    );
}

#[test]
fn a_deletion_is_told_of_what_the_app_knows_and_of_nothing_else() {
    let gone = || found(ChangeType::Deleted, ObjectState::Deleted, None);
    let known = find(Some(item(true, Some("1"))), ChangeType::Deleted, gone());
    assert_eq!(known.tell, Some(gone()));
    assert_eq!(told(&known).present, None);
    let vanished = found(ChangeType::Updated, ObjectState::Gone, None);
    let known = find(Some(item(true, Some("1"))), ChangeType::Updated, vanished);
    assert_eq!(
        known.tell,
        Some(gone()),
        "it vanished while it was looked for"
    );
    for before in [None, Some(item(false, None))] {
        assert_eq!(find(before, ChangeType::Deleted, gone()).tell, None);
    }
}

#[test]
fn what_has_left_the_window_of_a_calendar_is_forgotten() {
    let wanted = wanted("users/u/events", "created,updated,deleted");
    let there = found(ChangeType::Updated, ObjectState::Fetched, Some("1"));
    let known = Known::Find(Some(item(true, Some("1"))));
    let weighed = known.judge(id(), "i", wanted, ChangeType::Deleted, true, there);
    assert_eq!(
        (weighed.tell.is_none(), weighed.told.unwrap().present),
        (true, None)
    );
}

#[test]
fn what_was_not_asked_for_is_not_told_but_known() {
    let wanted = wanted("users/u/messages", "deleted");
    let there = found(ChangeType::Updated, ObjectState::Fetched, Some("2"));
    let known = Known::Find(Some(item(true, Some("1"))));
    let weighed = known.judge(id(), "i", wanted, ChangeType::Deleted, false, there);
    assert_eq!(weighed.tell, None);
    let known = version::named("2").found();
    assert_eq!(told(&weighed).present, Some(Some(known)));
}

#[test]
fn a_notification_is_always_told_with_the_better_word_where_graph_has_none() {
    let wanted = wanted("users", "updated,deleted");
    let updated = || found(ChangeType::Updated, ObjectState::Fetched, Some("2"));
    let judge = |known: Known, found| {
        let weighed = known.judge(id(), "i", wanted, ChangeType::Updated, false, found);
        weighed.tell.map(|found| found.change)
    };
    assert_eq!(
        judge(Known::Notified(None), updated()),
        Some(ChangeType::Created)
    );
    let same = Some(item(true, Some("2")));
    assert_eq!(
        judge(Known::Notified(same), updated()),
        Some(ChangeType::Updated)
    );
    assert_eq!(judge(Known::NotAsked, updated()), Some(ChangeType::Updated));
}
