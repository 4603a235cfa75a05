//! Tells of a delivery: a line of JSON, or a line and the event for people.

use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::value::RawValue;
use tidings_domain::Timestamp;

use super::{Arrival, verify::Scheme};
use crate::{
    exit::Failure,
    output::{Output, printable},
};

/// A delivery as one line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    verified: bool,
    reason: Option<String>,
    id: Option<&'a str>,
    r#type: Option<&'a str>,
    attempt: Option<u32>,
    received_at: Timestamp,
    schemes: &'a [Scheme],
    bytes: usize,
    event: Option<&'a RawValue>,
}

/// Writes what came, and whether it is to be believed.
pub fn print(arrival: &Arrival, output: Output) -> Result<(), Failure> {
    let (schemes, reason): (&[Scheme], _) = match &arrival.verdict {
        Ok(schemes) => (schemes, None),
        Err(wrong) => (&[], Some(wrong.to_string())),
    };
    if output.is_json() {
        return Ok(output.value(&Line {
            verified: reason.is_none(),
            reason,
            id: arrival.id.as_deref(),
            r#type: arrival.kind.as_deref(),
            attempt: arrival.attempt,
            received_at: arrival.received_at,
            schemes,
            bytes: arrival.bytes,
            event: arrival.event.as_deref(),
        })?);
    }
    let id = arrival.id.as_deref().unwrap_or("(no webhook-id)");
    let head = match &reason {
        None => format!(
            "{} {} {} attempt {}",
            "verified".green().bold(),
            arrival.kind.as_deref().unwrap_or("(no type)").bold(),
            printable(id),
            arrival.attempt.unwrap_or(1),
        ),
        Some(reason) => format!(
            "{} {}: {}",
            "refused".red().bold(),
            printable(id),
            printable(reason)
        ),
    };
    output.line(&format!("{} {head}", arrival.received_at.dimmed()))?;
    if let Some(event) = &arrival.event {
        let pretty = serde_json::from_str::<serde_json::Value>(event.get())
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| event.get().to_owned());
        output.line(&printable(&pretty))?;
    }
    Ok(())
}
