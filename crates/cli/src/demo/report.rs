//! What the demo tells: a block for each arrival, and a summary.

use std::{path::Path, time::Duration};

use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use tidings_domain::Timestamp;

use crate::{
    exit::Failure,
    output::{Output, field, printable},
    receiver::verify::Scheme,
};

/// How long each stage took, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Took {
    /// From the change in the mailbox to the notification in our store.
    received: u64,
    /// From there to the event, with the item fetched from Graph.
    enriched: u64,
    /// From there to the receiver, verified.
    delivered: u64,
    /// All of it.
    total: u64,
}

impl Took {
    /// The spans between these moments.
    pub(super) fn new(
        changed: Timestamp,
        received: Timestamp,
        enriched: Timestamp,
        delivered: Timestamp,
    ) -> Self {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            received: millis(received.since(changed)),
            enriched: millis(enriched.since(received)),
            delivered: millis(delivered.since(enriched)),
            total: millis(delivered.since(changed)),
        }
    }
}

/// A change that arrived.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) total: usize,
    pub(super) verified: bool,
    pub(super) schemes: &'a [Scheme],
    pub(super) id: &'a str,
    pub(super) r#type: &'a str,
    pub(super) tenant: &'a str,
    pub(super) tenant_id: &'a str,
    pub(super) took_ms: Took,
    pub(super) event: &'a RawValue,
}

/// Tells of a change that arrived.
pub(super) fn arrival(output: Output, line: &Line<'_>) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(output.value(line)?);
    }
    let event: Value = serde_json::from_str(line.event.get()).unwrap_or_default();
    let Took {
        received,
        enriched,
        delivered,
        total,
    } = line.took_ms;
    output.line(&format!(
        "{:>2}/{} {} {:<16} {}  {}",
        line.number,
        line.total,
        "verified".green().bold(),
        line.r#type.bold(),
        line.tenant,
        line.id.dimmed()
    ))?;
    output.line(&format!("      {}", excerpt(&event["data"])))?;
    Ok(output.line(&format!(
        "      {}",
        format_args!(
            "received {received} ms, enriched {enriched} ms, delivered {delivered} ms: {total} ms in all"
        )
        .dimmed()
    ))?)
}

/// What the event holds of the item, in a line.
fn excerpt(data: &Value) -> String {
    let object = &data["object"];
    if object.is_null() {
        let state = data["object_state"].as_str().unwrap_or("missing");
        return format!("item {}: {}", printable(state), field(&data["resource"]));
    }
    let mut parts = vec![format!("\"{}\"", field(&object["subject"]))];
    if object["start"].is_object() {
        parts.push(format!(
            "{} to {}",
            field(&object["start"]["dateTime"]),
            field(&object["end"]["dateTime"])
        ));
        parts.push(field(&object["location"]["displayName"]));
    }
    if object["isRead"].is_boolean() {
        parts.push(format!("importance {}", field(&object["importance"])));
        parts.push(format!("\"{}\"", field(&object["bodyPreview"])));
    }
    let members = object.as_object().map_or(0, serde_json::Map::len);
    format!("{} ({members} members)", parts.join(", "))
}

/// How it ended.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    #[serde(rename = "summary")]
    pub(super) last: bool,
    pub(super) expected: usize,
    pub(super) arrived: usize,
    pub(super) refused: usize,
    pub(super) missing: &'a [String],
    pub(super) took_ms: u128,
    pub(super) gateway: &'a str,
    pub(super) emulator: &'a str,
    pub(super) receiver: &'a str,
    pub(super) admin_key_file: &'a Path,
}

/// Tells how it ended.
pub(super) fn summary(output: Output, summary: &Summary<'_>) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(output.value(summary)?);
    }
    output.line("")?;
    Ok(output.line(&format!(
        "{} of {} changes arrived, each signed, verified and with its data, in {} ms",
        summary.arrived, summary.expected, summary.took_ms
    ))?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_excerpt_shows_what_people_know_of_an_item() {
        let event = json!({"object": {"subject": "S", "start": {"dateTime": "2030-01-14T10:00:00"},
            "end": {"dateTime": "2030-01-14T11:00:00"}, "location": {"displayName": "Room 3"}}});
        assert_eq!(
            excerpt(&event),
            "\"S\", 2030-01-14T10:00:00 to 2030-01-14T11:00:00, Room 3 (4 members)"
        );
        let deleted =
            json!({"object": null, "object_state": "deleted", "resource": "users/u/events/e"});
        assert_eq!(excerpt(&deleted), "item deleted: users/u/events/e");
    }

    #[test]
    fn spans_add_up_and_never_go_below_zero() {
        let at = Timestamp::from_millis;
        let took = Took::new(at(100), at(110), at(130), at(160));
        assert_eq!(
            (took.received, took.enriched, took.delivered, took.total),
            (10, 20, 30, 60)
        );
        assert_eq!(Took::new(at(100), at(90), at(90), at(90)).total, 0);
    }
}
