//! `docs/reference/resources.md`.

use tidings_graph::resource::table::{Changes, NOT_OFFERED, ROWS, ResourceRow};

use super::Page;
use crate::commands::subscription::resources::{lifetime, rich};

/// The page.
pub(super) fn page() -> String {
    let mut page = Page::new("Resources", "`crates/graph/src/resource/table`");
    page.paragraph(
        "What can be subscribed to (`tidings subscription create --resource PATH`). `{…}` stands for one id; what begins\n\
         with `users/{user}` can also begin with `me` where a user has signed in. Graph raises lifetimes below 45 minutes\n\
         to 45; Tidings asks for a little less than the most and renews by itself.",
    );
    for row in ROWS {
        section(&mut page, row);
    }
    page.heading(2, "Not offered");
    page.paragraph("Graph knows these too.");
    let rows: Vec<Vec<String>> = NOT_OFFERED
        .iter()
        .map(|(name, why)| vec![format!("`{name}`"), (*why).to_owned()])
        .collect();
    page.table(&["resource", "why not"], &rows);
    page.text
}

fn section(page: &mut Page, row: &ResourceRow) {
    page.heading(2, &format!("{} ({})", row.kind, row.name));
    if !row.note.is_empty() {
        page.paragraph(row.note);
    }
    let life = row.lifetime;
    let mut rows = vec![
        line("paths", code(row.subscriptions)),
        line("items", code(row.items)),
        line("changes", changes(row.changes)),
        line("version of Graph", row.version.as_str().to_owned()),
        line(
            "lifetime",
            format!(
                "{} ({} minutes) at most; asked for: {} minutes",
                lifetime(life.max_minutes),
                life.max_minutes,
                life.ask_minutes
            ),
        ),
        line("item in the notification", rich(row.rich).to_owned()),
        line(
            "latency",
            format!(
                "{} on average, {} at most",
                row.latency.average, row.latency.most
            ),
        ),
    ];
    rows.extend(
        row.quotas
            .iter()
            .map(|quota| line("quota", format!("{} per {}", quota.limit, quota.per))),
    );
    rows.extend([
        line("delta", if row.delta { "yes" } else { "no" }.to_owned()),
        line("permission of an app", code(row.permissions.application)),
        line("permission of a user", code(row.permissions.delegated)),
        line(
            "permission of a personal account",
            code(row.permissions.personal),
        ),
    ]);
    page.table(&["", ""], &rows);
}

fn line(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

fn changes(changes: Changes) -> String {
    match changes {
        Changes::NotStated => "not stated by Microsoft; Graph judges".to_owned(),
        Changes::Only(only) => only
            .iter()
            .map(|change| change.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn code(names: &[&str]) -> String {
    if names.is_empty() {
        return "not possible".to_owned();
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
