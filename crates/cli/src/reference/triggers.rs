//! `docs/reference/triggers.md`.

use tidings_domain::trigger::{CHANGES, OPERATIONS, TriggerRow};

use super::Page;

/// The page.
pub(super) fn page() -> String {
    let mut page = Page::new("Triggers", "`crates/domain/src/trigger.rs`");
    page.paragraph(
        "A trigger is the name of a kind of event: what changed, and how. A webhook asks for events by these names\n\
         (`tidings webhook create --triggers event.created,event.updated`); an event's `type` is one of them. The ending\n\
         is Graph's change type.",
    );
    table(&mut page, CHANGES);
    page.heading(2, "Operational events");
    page.paragraph(
        "These tell what becomes of the subscriptions and connections that bring the changes. Their `subject` is the id of\n\
         what they are about, and their `data` has no `object`: it has `connection_id`, `tenant_id`, `subscription_id` and\n\
         `resource` (`null` where there is none), `reason` in words for people, and where it helps `since` and `expires_at`.",
    );
    table(&mut page, OPERATIONS);
    page.text
}

fn table(page: &mut Page, rows: &[TriggerRow]) {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| vec![format!("`{}`", row.trigger), row.description.to_owned()])
        .collect();
    page.table(&["trigger", "what it tells"], &rows);
}
