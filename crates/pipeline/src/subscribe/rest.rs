//! A row whose connection is disabled, or is to be deleted: Graph is not to serve it.

use std::time::Duration;

use tidings_domain::subscription::SubscriptionState;
use tidings_graph::CallError;
use tidings_storage::record::SubscriptionUpdate;

use super::{
    act::{Case, forgotten, later},
    company::Company,
    conflict, unchanged,
};

/// How often a row at rest looks whether its connection has been enabled, should nobody have told it.
const LOOK_ANYWAY: Duration = Duration::from_hours(6);

impl Case<'_> {
    /// Removes at Graph what serves the row, and keeps the row.
    pub(super) async fn rest(&self, company: &mut Company) -> SubscriptionUpdate {
        let now = self.parts.clock.now();
        if self.row.state == SubscriptionState::Disabled && self.row.graph_id.is_none() {
            return SubscriptionUpdate {
                due_at: now + LOOK_ANYWAY,
                ..unchanged(self.row)
            };
        }
        let removed = if let Some(id) = &self.row.graph_id {
            let deleted = company.delete(&self.parts.graph, &self.access, id).await;
            self.noted(deleted).await
        } else {
            // Graph may have made it without our having heard so.
            let _turn = company.leave_to_call().await;
            conflict::remove_unheard_of(self).await
        };
        match removed {
            Ok(()) | Err(CallError::NotFound) => {}
            // Who cannot ask Graph any more can only wait for its end.
            Err(error)
                if !error.is_transient() && self.row.expires_at.is_none_or(|end| end <= now) => {}
            Err(error) => return later(self.parts, self.row, &error, error.to_string()),
        }
        SubscriptionUpdate {
            state: SubscriptionState::Disabled,
            due_at: now + LOOK_ANYWAY,
            failures: 0,
            last_error: None,
            ..forgotten(self.row, now)
        }
    }
}
