//! Whether a connection's credentials work, as the last call showed.

use tidings_domain::{
    Clock,
    connection::{Connection, ConnectionState},
};
use tidings_graph::CallError;
use tidings_storage::Store;

use crate::directory::{Change, Directory};

/// Records what a call by `connection` showed of its credentials, if that is news.
///
/// A failure to record it is only logged: the next call shows the same.
pub(crate) async fn note(
    store: &dyn Store,
    directory: &Directory,
    clock: &dyn Clock,
    connection: &Connection,
    failed: Option<&CallError>,
) {
    let state = match (failed, &connection.state) {
        (Some(CallError::Credentials { message, .. }), ConnectionState::Active) => {
            tracing::warn!(
                connection.id = %connection.id,
                tenant.id = %connection.tenant_id,
                reason = message,
                "the credentials of a connection are refused: its work waits until they are mended"
            );
            ConnectionState::Broken {
                reason: message.clone(),
                since: clock.now(),
            }
        }
        // What fails for another reason shows nothing of credentials.
        (Some(error), _)
            if error.is_transient() || matches!(error, CallError::Credentials { .. }) =>
        {
            return;
        }
        (_, ConnectionState::Active) => return,
        (_, ConnectionState::Broken { .. }) => {
            tracing::info!(connection.id = %connection.id, "the credentials of a connection work again");
            ConnectionState::Active
        }
    };
    let set = store.set_connection_state(connection.id, state);
    let change = Change::Connection(connection.id);
    if let Err(error) = directory.change(change, set).await {
        tracing::warn!(connection.id = %connection.id, %error, "the state of a connection could not be recorded");
    }
}
