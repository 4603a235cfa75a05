//! What new and changed things hold.

use std::time::Duration;

use serde_json::{Value, json};
use tidings_domain::Timestamp;

use super::Kind;
use crate::time;

/// The members of the `number`th thing that is made in a mailbox.
pub(super) fn new(kind: Kind, number: u64, draw: u64, now: Timestamp) -> Value {
    match kind {
        Kind::Channels => json!({
            "displayName": format!("Channel {number}"),
            "description": format!("Topic {draw}"),
        }),
        Kind::Contacts => json!({
            "displayName": format!("Contact {number}"),
            "givenName": format!("Contact {number}"),
            "mobilePhone": phone(draw),
        }),
        Kind::Events => {
            let (start, end) = times(draw, now);
            json!({
                "subject": format!("Event {number}"),
                "start": {"dateTime": start, "timeZone": "UTC"},
                "end": {"dateTime": end, "timeZone": "UTC"},
            })
        }
        Kind::Groups => json!({
            "displayName": format!("Group {number}"),
            "description": format!("Purpose {draw}"),
        }),
        Kind::Messages => json!({
            "subject": format!("Message {number}"),
            "body": {"contentType": "text", "content": format!("Text {draw}")},
        }),
        // Their names say all.
        Kind::DriveItems | Kind::Users => json!({}),
    }
}

/// The members that change in a thing.
pub(super) fn changed(kind: Kind, draw: u64, now: Timestamp) -> Value {
    match kind {
        Kind::Channels => json!({"description": format!("Topic {draw}")}),
        Kind::Contacts => json!({"mobilePhone": phone(draw)}),
        Kind::DriveItems => json!({"name": format!("File {draw}.txt")}),
        Kind::Events => {
            let (start, end) = times(draw, now);
            json!({
                "subject": format!("Moved to {start}"),
                "start": {"dateTime": start, "timeZone": "UTC"},
                "end": {"dateTime": end, "timeZone": "UTC"},
            })
        }
        Kind::Groups => json!({"description": format!("Purpose {draw}")}),
        Kind::Messages => json!({
            "isRead": draw.is_multiple_of(2),
            "categories": [format!("Category {}", draw % 1_000)],
        }),
        Kind::Users => json!({
            "jobTitle": format!("Job {}", draw % 1_000_000),
            "officeLocation": format!("Room {}", draw % 100),
        }),
    }
}

fn phone(draw: u64) -> String {
    format!("+49 30 {}", draw % 1_000_000)
}

/// Half an hour within the next two weeks.
fn times(draw: u64, now: Timestamp) -> (String, String) {
    let half = Duration::from_mins(30);
    let start = now + half * u32::try_from(draw % (14 * 48)).unwrap_or(0);
    (time::bare(start), time::bare(start + half))
}
