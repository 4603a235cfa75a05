//! `tidings subscription resources`.

use serde_json::{Value, json};
use tidings_graph::resource::table::{ROWS, ResourceRow, Rich};

use crate::{
    context::Context,
    exit::Failure,
    output::{Column, Style, table},
};

const COLUMNS: &[Column] = &[
    Column {
        title: "KIND",
        member: "kind",
        style: Style::Text,
    },
    Column {
        title: "PATHS",
        member: "paths",
        style: Style::Text,
    },
    Column {
        title: "CHANGES",
        member: "change_types",
        style: Style::Text,
    },
    Column {
        title: "LIFETIME",
        member: "lifetime",
        style: Style::Text,
    },
    Column {
        title: "APPLICATION PERMISSION",
        member: "application_permissions",
        style: Style::Text,
    },
];

/// Shows what can be subscribed to; asks no server.
pub fn resources(context: &Context) -> Result<(), Failure> {
    let rows: Vec<Value> = ROWS.iter().map(|row| entry(row)).collect();
    if context.output.is_json() {
        return Ok(context
            .output
            .value(&json!({"data": rows, "next_cursor": null}))?);
    }
    Ok(context.output.line(&table(COLUMNS, &rows))?)
}

fn entry(row: &ResourceRow) -> Value {
    json!({
        "kind": row.kind,
        "name": row.name,
        "version": row.version.as_str(),
        "paths": row.subscriptions,
        "change_types": row.changes.allowed(),
        "lifetime": lifetime(row.lifetime.max_minutes),
        "max_minutes": row.lifetime.max_minutes,
        "ask_minutes": row.lifetime.ask_minutes,
        "delegated_permissions": row.permissions.delegated,
        "personal_permissions": row.permissions.personal,
        "application_permissions": row.permissions.application,
        "content_in_notifications": rich(row.rich),
        "delta": row.delta,
        "note": row.note,
    })
}

/// Whether notifications can carry the item, in a word.
pub fn rich(rich: Rich) -> &'static str {
    match rich {
        Rich::No => "no",
        Rich::Required => "required",
        Rich::Yes => "yes",
        Rich::YesWithSelect => "with $select",
    }
}

/// Minutes as people say them, rounded down: `6 days`.
pub fn lifetime(minutes: u32) -> String {
    let (number, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2_880 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_said_in_the_largest_fitting_unit() {
        for (minutes, text) in [
            (1, "1 minute"),
            (60, "60 minutes"),
            (1_440, "24 hours"),
            (10_070, "6 days"),
            (42_300, "29 days"),
        ] {
            assert_eq!(lifetime(minutes), text);
        }
    }

    #[test]
    fn every_row_names_a_path_and_a_change() {
        for row in ROWS {
            let entry = entry(row);
            assert!(!entry["paths"].as_array().unwrap().is_empty(), "{entry}");
            assert!(
                !entry["change_types"].as_array().unwrap().is_empty(),
                "{entry}"
            );
        }
    }
}
