//! The events of what becomes of a row.

use tidings_domain::{Timestamp, trigger::Operation};
use tidings_storage::record::NewEvent;

use super::act::Case;
use crate::operational::{self, News, Watched};

impl Case<'_> {
    /// The event that `operation` happened to the row, because of `reason`.
    pub(super) fn tell(
        &self,
        operation: Operation,
        reason: &str,
        expires_at: Option<Timestamp>,
    ) -> NewEvent {
        let parts = &self.stage.parts;
        let news = News {
            operation,
            subscription: Some(Watched {
                id: self.row.id,
                resource: &self.row.resource,
            }),
            notification: None,
            reason,
            found: None,
            since: None,
            expires_at,
        };
        operational::event(
            &parts.directory,
            &parts.ids,
            parts.clock.now(),
            &self.connection,
            news,
        )
    }
}
