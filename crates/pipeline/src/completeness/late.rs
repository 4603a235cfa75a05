//! How a change became known.

use std::time::Duration;

use memchr::memmem;
use tidings_domain::{
    Timestamp,
    completeness::How,
    notification::{Notification, Origin},
    resource::ResourceKind,
};

/// How a change became known that `notification` tells of, with the item as it was then; `None` of what did not change.
///
/// A change is late whose notification came longer after the item's `lastModifiedDateTime` than Microsoft says that it
/// takes at most. Of items that do not say when they were changed, and of deletions, nobody can say that.
pub(crate) fn how(
    notification: &Notification,
    kind: ResourceKind,
    object: Option<&[u8]>,
) -> Option<How> {
    match notification.origin {
        Origin::Existing => None,
        Origin::Reconcile => Some(How::Found),
        Origin::Unnamed => Some(How::OnTime),
        Origin::Notification => {
            let changed_at = object.and_then(last_modified);
            let is_late = changed_at
                .is_some_and(|changed_at| notification.received_at.since(changed_at) > most(kind));
            Some(if is_late { How::Late } else { How::OnTime })
        }
    }
}

/// How long a notification takes at most (the table of latencies on Microsoft's "subscription resource type" page). Where
/// it says nothing, an hour, which is the most of nearly all that it does say; never less than three minutes, as clocks
/// differ.
fn most(kind: ResourceKind) -> Duration {
    match kind {
        ResourceKind::Message
        | ResourceKind::Event
        | ResourceKind::Contact
        | ResourceKind::ChatMessage
        | ResourceKind::Presence
        | ResourceKind::OnlineMeeting
        | ResourceKind::Approval => Duration::from_mins(3),
        ResourceKind::SecurityAlert | ResourceKind::PrintJob | ResourceKind::PrintTask => {
            Duration::from_mins(5)
        }
        ResourceKind::TodoTask => Duration::from_mins(15),
        ResourceKind::CallRecord => Duration::from_mins(150),
        ResourceKind::DriveItem | ResourceKind::List => Duration::from_hours(6),
        _ => Duration::from_hours(1),
    }
}

/// When an item was changed last, as it says itself. Reading all of it would cost more than what is asked for: so the first
/// member of that name counts. (In a text its quotes would have backslashes before them.)
fn last_modified(object: &[u8]) -> Option<Timestamp> {
    const NAME: &[u8] = b"\"lastModifiedDateTime\"";
    let after = &object[memmem::find(object, NAME)? + NAME.len()..];
    let after = after.trim_ascii_start().strip_prefix(b":")?;
    let text = after.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', text)?;
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::tests::queued;

    #[test]
    fn a_notification_is_late_beyond_what_microsoft_says() {
        let mut notification = queued(7, "users/u/events/a", 0).notification;
        notification.received_at = "2026-11-22T10:03:00Z".parse().unwrap();
        let of = |notification: &Notification, kind, time: &str| {
            let object = format!("{{\"id\":\"x\",\"lastModifiedDateTime\" : \"{time}\"}}");
            how(notification, kind, Some(object.as_bytes()))
        };
        let event = ResourceKind::Event;
        for (time, expected) in [
            ("2026-11-22T10:00:00.0000000Z", How::OnTime),
            ("2026-11-22T09:59:59.9Z", How::Late),
            ("2026-11-22T11:00:00Z", How::OnTime),
            ("yesterday", How::OnTime),
        ] {
            assert_eq!(of(&notification, event, time), Some(expected), "{time}");
        }
        let channel = ResourceKind::Channel;
        let seen = of(&notification, channel, "2026-11-22T09:59:59Z");
        assert_eq!(seen, Some(How::OnTime));
        assert_eq!(how(&notification, event, None), Some(How::OnTime));
        for (origin, expected) in [
            (Origin::Reconcile, Some(How::Found)),
            (Origin::Existing, None),
            (Origin::Unnamed, Some(How::OnTime)),
        ] {
            notification.origin = origin;
            assert_eq!(of(&notification, event, "2020-01-01T00:00:00Z"), expected);
        }
    }

    #[test]
    fn a_text_that_looks_like_the_member_is_none() {
        let object = br#"{"body":"\"lastModifiedDateTime\":\"2020-01-01T00:00:00Z\""}"#;
        assert_eq!(last_modified(object), None);
    }
}
