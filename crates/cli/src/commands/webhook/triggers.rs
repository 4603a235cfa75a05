//! `tidings webhook triggers`.

use serde_json::{Value, json};
use tidings_domain::trigger;

use crate::{
    context::Context,
    exit::Failure,
    output::{Column, Style, table},
};

const COLUMNS: &[Column] = &[
    Column {
        title: "TRIGGER",
        member: "trigger",
        style: Style::Id,
    },
    Column {
        title: "WHAT IT TELLS",
        member: "description",
        style: Style::Text,
    },
];

/// Shows which triggers there are; asks no server.
pub fn triggers(context: &Context) -> Result<(), Failure> {
    let rows: Vec<Value> = trigger::all().map(|row| json!(row)).collect();
    if context.output.is_json() {
        return Ok(context
            .output
            .value(&json!({"data": rows, "next_cursor": null}))?);
    }
    Ok(context.output.line(&table(COLUMNS, &rows))?)
}
