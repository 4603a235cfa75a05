//! Lists as tables that fit the terminal.

use anstream::{AutoStream, ColorChoice};
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::Value;

use super::field;

/// A column of a table: which member of each entry it shows, and how.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands above it.
    pub title: &'static str,
    /// The entry's member.
    pub member: &'static str,
    /// How it is shown.
    pub style: Style,
}

/// How a column is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// Never broken over lines, so that it can be copied.
    Id,
    /// Coloured by what it says.
    State,
    /// Broken over lines where the terminal is narrow.
    Text,
}

/// A table of `rows`, fit for standard output.
pub fn table(columns: &[Column], rows: &[Value]) -> String {
    let mut probe = Table::new();
    probe.set_content_arrangement(ContentArrangement::Dynamic);
    let colours = !matches!(AutoStream::choice(&std::io::stdout()), ColorChoice::Never);
    render(columns, rows, probe.width(), colours)
}

fn render(columns: &[Column], rows: &[Value], width: Option<u16>, colours: bool) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
    }
    table.set_header(
        columns
            .iter()
            .map(|column| Cell::new(column.title).add_attribute(Attribute::Bold)),
    );
    for row in rows {
        table.add_row(columns.iter().map(|column| cell(*column, row)));
    }
    for (place, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(place) {
            shown.set_padding((0, 1));
            if column.style != Style::Text {
                shown.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn cell(column: Column, row: &Value) -> Cell {
    let text = field(&row[column.member]);
    let colour = match column.style {
        Style::State => state_colour(&text),
        Style::Id | Style::Text => None,
    };
    match colour {
        Some(colour) => Cell::new(text).fg(colour),
        None => Cell::new(text),
    }
}

fn state_colour(state: &str) -> Option<Color> {
    match state {
        "active" | "accepted" | "delivered" | "fetched" => Some(Color::Green),
        "pending" | "held" | "duplicate" | "disabled" | "deleting" => Some(Color::Yellow),
        "broken"
        | "conflict"
        | "dead"
        | "failed"
        | "malformed"
        | "unknown_subscription"
        | "wrong_client_state"
        | "wrong_tenant" => Some(Color::Red),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[Column] = &[
        Column {
            title: "ID",
            member: "id",
            style: Style::Id,
        },
        Column {
            title: "STATE",
            member: "state",
            style: Style::State,
        },
        Column {
            title: "DESCRIPTION",
            member: "description",
            style: Style::Text,
        },
    ];

    fn rows() -> Vec<Value> {
        vec![
            json!({"id": "whk_01", "state": "active", "description": "the billing app of the second floor"}),
            json!({"id": "whk_02", "state": "disabled", "description": null}),
        ]
    }

    #[test]
    fn a_table_is_plain_text_where_no_terminal_is() {
        assert_eq!(
            render(COLUMNS, &rows(), None, false),
            "ID     STATE    DESCRIPTION\n\
             whk_01 active   the billing app of the second floor\n\
             whk_02 disabled -"
        );
    }

    #[test]
    fn a_narrow_terminal_breaks_text_but_never_ids() {
        let text = render(COLUMNS, &rows(), Some(30), false);
        assert!(
            text.lines().all(|line| line.chars().count() <= 30),
            "{text}"
        );
        assert!(text.contains("whk_01 active   the billing"), "{text}");
    }

    #[test]
    fn states_are_coloured_where_colours_are_wanted() {
        assert!(render(COLUMNS, &rows(), None, true).contains("\u{1b}["));
        assert!(!render(COLUMNS, &rows(), None, false).contains("\u{1b}["));
    }
}
