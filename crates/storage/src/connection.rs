//! What somebody wants of a connection, as both stores write it.

use tidings_domain::{Timestamp, connection::ConnectionIntent};

/// The word of an intent, and since when it holds.
pub(crate) const fn intent_word(intent: ConnectionIntent) -> (&'static str, Option<Timestamp>) {
    match intent {
        ConnectionIntent::Kept => ("kept", None),
        ConnectionIntent::Disabled { since } => ("disabled", Some(since)),
        ConnectionIntent::Deleting { since } => ("deleting", Some(since)),
    }
}

/// The intent of a word; `None` if there is none such.
pub(crate) fn intent(word: &str, since: Option<Timestamp>) -> Option<ConnectionIntent> {
    match (word, since) {
        ("kept", _) => Some(ConnectionIntent::Kept),
        ("disabled", Some(since)) => Some(ConnectionIntent::Disabled { since }),
        ("deleting", Some(since)) => Some(ConnectionIntent::Deleting { since }),
        _ => None,
    }
}

/// What follows for the subscriptions of a connection, as SQL that both stores know: `$1` the connection, `$2` now, `$3` how
/// many at most.
pub(crate) const fn settling(intent: ConnectionIntent) -> &'static str {
    match intent {
        ConnectionIntent::Kept => {
            "UPDATE subscriptions SET state = 'pending', due_at = $2, failures = 0
             WHERE seq IN (SELECT seq FROM subscriptions WHERE connection_id = $1 AND state = 'disabled'
                           ORDER BY seq LIMIT $3)"
        }
        ConnectionIntent::Disabled { .. } => {
            "UPDATE subscriptions SET due_at = $2
             WHERE seq IN (SELECT seq FROM subscriptions
                           WHERE connection_id = $1 AND state <> 'disabled' AND state <> 'deleting' AND failures = 0
                               AND due_at > $2
                           ORDER BY seq LIMIT $3)"
        }
        ConnectionIntent::Deleting { .. } => {
            "UPDATE subscriptions SET state = 'deleting', due_at = $2, failures = 0, policy_id = NULL
             WHERE seq IN (SELECT seq FROM subscriptions
                           WHERE connection_id = $1 AND state <> 'disabled' AND state <> 'deleting'
                           ORDER BY seq LIMIT $3)"
        }
    }
}

/// How many subscriptions of a connection (`$1`) Graph may serve.
pub(crate) const SERVED: &str =
    "SELECT count(*) FROM subscriptions WHERE connection_id = $1 AND state <> 'disabled'";
