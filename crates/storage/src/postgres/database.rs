//! Connections and their settings.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tidings_domain::config::DatabaseUrl;

use super::open::OpenError;

/// The oldest version that this store works with, as the server tells it.
const OLDEST_VERSION: u32 = 150_000;

/// How long one statement may take on the server. The client's deadlines are a little longer, so that usually the
/// server ends it, and the connection lives on.
const STATEMENT: Duration = Duration::from_secs(4);

/// How long a statement may wait for a lock. Nothing of ours holds one for longer than a statement.
const LOCK: Duration = Duration::from_secs(2);

/// How long a transaction may stand still. Ours never do: they are one statement each.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);

/// How to connect to the database of `url` as `node`.
pub(super) fn options(url: &DatabaseUrl, node: &str) -> Result<PgConnectOptions, OpenError> {
    let unusable = |error: sqlx::Error| OpenError::Url {
        database: url.to_string(),
        detail: error.to_string(),
    };
    let millis = |span: Duration| span.as_millis().to_string();
    let options = PgConnectOptions::from_str(url.expose().as_str())
        .map_err(unusable)?
        .application_name(&format!("tidings {node}"))
        .options([
            ("statement_timeout", millis(STATEMENT)),
            ("lock_timeout", millis(LOCK)),
            (
                "idle_in_transaction_session_timeout",
                millis(IDLE_IN_TRANSACTION),
            ),
            // Plans are kept for as long as the connection, and most are made while the tables are nearly empty: then
            // reading all of a table looks cheap. Every statement of ours that is run often has an index for what it
            // looks up, and says so in a way that leaves no other choice.
            ("enable_seqscan", "off".to_owned()),
            // Left to itself PostgreSQL plans most of them anew each time, since with few members an array looks cheaper
            // when its length is known: 5 % of its CPU time by measurement.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("enable_mergejoin", "off".to_owned()),
            ("jit", "off".to_owned()),
            // Somebody may have set another one for the role.
            ("default_transaction_isolation", "read committed".to_owned()),
            // A server that vanished without a word is noticed by the side that waits for it, too.
            ("tcp_keepalives_idle", "10".to_owned()),
            ("tcp_keepalives_interval", "5".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
        ])
        // Every statement is one of ours: below a hundred.
        .statement_cache_capacity(200)
        .disable_statement_logging();
    Ok(options)
}

/// Whether the way to the database can be read by others on it: no TLS, or TLS that checks nothing.
pub(super) fn is_open_to_others(options: &PgConnectOptions) -> bool {
    let here = options.get_socket().is_some()
        || matches!(
            options.get_host(),
            "localhost" | "127.0.0.1" | "::1" | "[::1]"
        );
    !here
        && matches!(
            options.get_ssl_mode(),
            PgSslMode::Allow | PgSslMode::Disable | PgSslMode::Prefer
        )
}

/// Checks what every promise of the store depends on. Gives the `synchronous_commit` that was found, to be set in every
/// session: what a session has not set follows the server's configuration, which can change at any time.
pub(super) async fn verify(sql: &mut PgConnection) -> Result<String, OpenError> {
    let version = sql.server_version_num().unwrap_or_default();
    if version < OLDEST_VERSION {
        return Err(OpenError::OldServer { found: version });
    }
    let (synchronous, full_pages, fsync, recovering): (String, String, String, bool) =
        sqlx::query_as(
            "SELECT current_setting('synchronous_commit'), current_setting('full_page_writes'),
                 current_setting('fsync'), pg_is_in_recovery()",
        )
        .fetch_one(&mut *sql)
        .await
        .map_err(|error| OpenError::database(&error))?;
    if recovering {
        return Err(OpenError::Standby);
    }
    // `off` answers a commit before it is on disk: a crash of the server would lose what Graph was told is kept.
    for (setting, value) in [
        ("synchronous_commit", &synchronous),
        ("fsync", &fsync),
        ("full_page_writes", &full_pages),
    ] {
        if value == "off" {
            return Err(OpenError::NotDurable { setting });
        }
    }
    Ok(synchronous)
}

/// Closes a connection in order; if that fails, it is closed all the same.
pub(super) async fn close(sql: PgConnection) {
    if let Err(error) = sql.close().await {
        tracing::debug!(%error, "a connection to the database did not close in order");
    }
}
