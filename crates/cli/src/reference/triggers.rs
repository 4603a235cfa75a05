//! `docs/reference/triggers.md`.

use tidings_domain::trigger::TRIGGERS;

use super::Page;

/// The page.
pub(super) fn page() -> String {
    let mut page = Page::new("Triggers", "`crates/domain/src/trigger.rs`");
    page.paragraph(
        "A trigger is the name of a kind of event: what changed, and how. A webhook asks for events by these names\n\
         (`tidings webhook create --triggers event.created,event.updated`); an event's `type` is one of them. The ending\n\
         is Graph's change type.",
    );
    let rows: Vec<Vec<String>> = TRIGGERS
        .iter()
        .map(|row| vec![format!("`{}`", row.trigger), row.description.to_owned()])
        .collect();
    page.table(&["trigger", "what it tells"], &rows);
    page.text
}
