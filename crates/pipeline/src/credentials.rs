//! Whether a connection's credentials work, as the last call showed.

use std::sync::Arc;

use tidings_domain::{
    Clock, Ids, Timestamp,
    connection::{Connection, ConnectionState},
    trigger::Operation,
};
use tidings_graph::CallError;
use tidings_storage::{Store, record::NewEvent};

use crate::{
    deliver::Hint,
    directory::{Change, Directory},
    operational::{self, News},
    wake::Wake,
};

/// Records what calls show of credentials. Clones are the same.
#[derive(Clone, Debug)]
pub struct Credentials {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    deliver: Hint,
    subscribe: Wake,
    reconcile: Wake,
}

impl Credentials {
    /// Records it in `store`, hints `deliver` at those who want to know, and wakes the stages that wait for credentials.
    pub fn new(
        store: Arc<dyn Store>,
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
        deliver: Hint,
        [subscribe, reconcile]: [Wake; 2],
    ) -> Self {
        Self {
            store,
            directory,
            clock,
            ids,
            deliver,
            subscribe,
            reconcile,
        }
    }

    /// Records what a call by `connection` showed of its credentials, if that is news, and tells of it.
    ///
    /// A failure to record it is only logged: the next call shows the same.
    pub(crate) async fn note(&self, connection: &Connection, failed: Option<&CallError>) {
        let now = self.clock.now();
        let Some(state) = shown(connection, failed, now) else {
            return;
        };
        let told = self.told(connection, &state, now);
        let webhooks: Vec<_> = told.deliveries.iter().map(|one| one.webhook).collect();
        // Calls side by side show the same: the store tells of it once.
        let set = self
            .store
            .set_connection_state(connection.id, state, now, vec![told]);
        let change = Change::Connection(connection.id);
        if let Err(error) = self.directory.change(change, set).await {
            tracing::warn!(connection.id = %connection.id, %error, "the state of a connection could not be recorded");
        }
        self.deliver.webhooks(webhooks);
        // What had failed is due again, if they work again.
        self.subscribe.wake();
        self.reconcile.wake();
    }

    fn told(&self, connection: &Connection, state: &ConnectionState, now: Timestamp) -> NewEvent {
        let (operation, reason, since) = match state {
            ConnectionState::Broken { reason, since } => {
                tracing::warn!(
                    connection.id = %connection.id,
                    tenant.id = %connection.tenant_id,
                    reason,
                    "the credentials of a connection are refused: its work waits until they are mended"
                );
                (Operation::ConnectionExpired, reason.as_str(), *since)
            }
            ConnectionState::Active => {
                tracing::info!(connection.id = %connection.id, "the credentials of a connection work again");
                let reason = "the credentials work again";
                (Operation::ConnectionRecovered, reason, now)
            }
        };
        let news = News {
            operation,
            subscription: None,
            notification: None,
            reason,
            found: None,
            since: Some(since),
            expires_at: None,
        };
        operational::event(&self.directory, &self.ids, now, connection, news)
    }
}

/// The state that a call shows, if it is another than was known.
fn shown(
    connection: &Connection,
    failed: Option<&CallError>,
    now: Timestamp,
) -> Option<ConnectionState> {
    match (failed, &connection.state) {
        (Some(CallError::Credentials { message, .. }), ConnectionState::Active) => {
            Some(ConnectionState::Broken {
                reason: message.clone(),
                since: now,
            })
        }
        // What fails for another reason shows nothing of credentials.
        (Some(error), _)
            if error.is_transient() || matches!(error, CallError::Credentials { .. }) =>
        {
            None
        }
        (_, ConnectionState::Active) => None,
        (_, ConnectionState::Broken { .. }) => Some(ConnectionState::Active),
    }
}
