//! What is copied: the tables both stores have, column by column.

use aws_lc_rs::digest::{Context, SHA256};
use tidings_domain::Secret;

/// What stands in a column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Bytes,
    /// True or false, where the store knows such.
    Flag,
    /// Up to 32 bits, where the store knows such.
    Integer,
    Number,
    /// Sealed under the key of its store, for its place.
    Sealed,
    Text,
}

/// Where the shard of a row comes from, which only the store of many nodes has: what is computed from it stands behind the
/// other columns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ShardOf {
    /// Three more columns to read: integration, tenant (may be NULL) and resource.
    Mailbox(&'static str),
    /// The row's id is a webhook's.
    Webhook,
}

/// A table whose rows have a place, `seq`, which they keep.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// All columns behind `seq`.
    pub(crate) columns: &'static [(&'static str, Kind)],
    pub(crate) shard: Option<ShardOf>,
}

/// What stands in a row: secrets opened.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bytes(Vec<u8>),
    Null,
    Number(i64),
    Secret(Secret),
    Text(String),
}

/// A row with its place.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) values: Vec<Value>,
    /// What the shard is computed from, where it is read.
    pub(crate) mailbox: Option<(String, Option<String>, String)>,
}

impl Row {
    /// How many bytes stand in it that were received or are delivered.
    pub(crate) fn bytes(&self) -> u64 {
        let length = |value: &Value| match value {
            Value::Bytes(bytes) => bytes.len() as u64,
            _ => 0,
        };
        self.values.iter().map(length).sum()
    }
}

use Kind::{Bytes, Flag, Integer, Number, Sealed, Text};

/// In an order in which no row refers to one that is not there yet.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "environments",
        columns: &[("id", Text), ("name", Text), ("created_at", Number)],
        shard: None,
    },
    Table {
        name: "integrations",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("key", Text),
            ("client_id", Text),
            ("client_secret", Sealed),
            ("webhook_secret", Sealed),
            ("login_url", Text),
            ("graph_url", Text),
            ("created_at", Number),
        ],
        shard: None,
    },
    Table {
        name: "connections",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("integration_id", Text),
            ("tenant_id", Text),
            ("broken_reason", Text),
            ("broken_since", Number),
            ("intent", Text),
            ("intent_since", Number),
            ("due_at", Number),
            ("listed_at", Number),
            ("created_at", Number),
        ],
        shard: Some(ShardOf::Mailbox("integration_id, tenant_id, ''")),
    },
    Table {
        name: "policies",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("integration_id", Text),
            ("connection_id", Text),
            ("resource", Text),
            ("change_types", Text),
            ("deliver_existing", Flag),
            ("deleting", Flag),
            ("created_at", Number),
        ],
        shard: None,
    },
    Table {
        name: "expansions",
        columns: &[
            ("policy_id", Text),
            ("connection_id", Text),
            ("due_at", Number),
            ("enumeration", Number),
            ("enumerating", Flag),
            ("link", Text),
            ("checked_at", Number),
            ("finished_at", Number),
            ("passed_over", Number),
            ("failures", Integer),
            ("last_error", Text),
        ],
        shard: Some(ShardOf::Mailbox(
            "(SELECT integration_id FROM connections c WHERE c.id = connection_id),
             (SELECT tenant_id FROM connections c WHERE c.id = connection_id), ''",
        )),
    },
    Table {
        name: "subscriptions",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("integration_id", Text),
            ("connection_id", Text),
            ("policy_id", Text),
            ("policy_seen", Number),
            ("resource", Text),
            ("kind", Text),
            ("change_types", Text),
            ("state", Text),
            ("client_state", Sealed),
            ("graph_id", Text),
            ("expires_at", Number),
            ("due_at", Number),
            ("failures", Integer),
            ("last_error", Text),
            ("created_at", Number),
            ("renewed_at", Number),
            ("deliver_existing", Flag),
            ("lifecycle_reauthorize", Flag),
            ("lifecycle_removed", Flag),
            ("lifecycle_count", Number),
            ("patched_at", Number),
            ("notification_url", Text),
            ("lifecycle_url", Text),
            ("former_graph_id", Text),
            ("former_since", Number),
        ],
        shard: Some(ShardOf::Mailbox(
            "integration_id, (SELECT tenant_id FROM connections c WHERE c.id = connection_id), resource",
        )),
    },
    Table {
        name: "reconciles",
        columns: &[
            ("subscription_id", Text),
            ("due_at", Number),
            ("reason", Text),
            ("asked_at", Number),
            ("deliver_existing", Flag),
            ("started_at", Number),
            ("finished_at", Number),
            ("finds", Number),
            ("failures", Integer),
            ("last_error", Text),
            ("silent_since", Number),
            ("silence_told", Flag),
            ("patience", Integer),
        ],
        shard: Some(ShardOf::Mailbox(
            "(SELECT integration_id FROM subscriptions s WHERE s.id = subscription_id),
             (SELECT c.tenant_id FROM subscriptions s JOIN connections c ON c.id = s.connection_id
                 WHERE s.id = subscription_id),
             (SELECT resource FROM subscriptions s WHERE s.id = subscription_id)",
        )),
    },
    Table {
        name: "reconcile_scopes",
        columns: &[
            ("subscription_id", Text),
            ("name", Text),
            ("link", Text),
            ("enumeration", Number),
            ("enumerating", Flag),
            ("window_from", Number),
            ("window_to", Number),
        ],
        shard: None,
    },
    Table {
        name: "subscription_days",
        columns: &[
            ("subscription_id", Text),
            ("day", Number),
            ("on_time", Number),
            ("late", Number),
            ("found", Number),
            ("hours", Integer),
        ],
        shard: None,
    },
    Table {
        name: "webhooks",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("url", Sealed),
            ("description", Text),
            ("triggers", Text),
            ("connections", Text),
            ("secret", Sealed),
            ("disabled_reason", Text),
            ("disabled_since", Number),
            ("failing_since", Number),
            ("created_at", Number),
        ],
        shard: Some(ShardOf::Webhook),
    },
    Table {
        name: "keys",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("name", Text),
            ("scope", Text),
            ("prefix", Text),
            ("hash", Bytes),
            ("created_at", Number),
        ],
        shard: None,
    },
    Table {
        name: "notifications",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("integration_id", Text),
            ("origin", Text),
            ("received_at", Number),
            ("verdict", Text),
            ("connection_id", Text),
            ("subscription_id", Text),
            ("graph_subscription_id", Text),
            ("tenant_id", Text),
            ("change_type", Text),
            ("lifecycle_event", Text),
            ("resource", Text),
            ("etag", Text),
            ("checksum", Number),
            ("item", Bytes),
        ],
        shard: None,
    },
    Table {
        name: "queue",
        columns: &[
            ("due_at", Number),
            ("failures", Integer),
            ("client_state_hash", Bytes),
        ],
        shard: Some(ShardOf::Mailbox(
            "(SELECT integration_id FROM notifications n WHERE n.seq = queue.seq),
             (SELECT tenant_id FROM notifications n WHERE n.seq = queue.seq),
             (SELECT resource FROM notifications n WHERE n.seq = queue.seq)",
        )),
    },
    Table {
        name: "events",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("connection_id", Text),
            ("subscription_id", Text),
            ("notification_id", Text),
            ("trigger", Text),
            ("subject", Text),
            ("object_state", Text),
            ("created_at", Number),
            ("checksum", Number),
            ("body", Bytes),
        ],
        shard: None,
    },
    Table {
        name: "deliveries",
        columns: &[
            ("id", Text),
            ("environment_id", Text),
            ("event_seq", Number),
            ("webhook_id", Text),
            ("state", Text),
            ("dead_reason", Text),
            ("attempts", Integer),
            ("due_at", Number),
            ("last_status", Integer),
            ("created_at", Number),
            ("finished_at", Number),
        ],
        shard: None,
    },
    Table {
        name: "attempts",
        columns: &[
            ("id", Text),
            ("delivery_seq", Number),
            ("number", Integer),
            ("started_at", Number),
            ("took_ms", Number),
            ("outcome", Text),
            ("status", Integer),
            ("error", Text),
            ("answer", Bytes),
        ],
        shard: None,
    },
];

/// How many rows, and what stands in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) rows: u64,
    pub(crate) digest: Vec<u8>,
}

/// Sums rows up in the order of their places.
pub(crate) struct Summing {
    rows: u64,
    digest: Context,
}

impl Summing {
    pub(crate) fn new() -> Self {
        Self {
            rows: 0,
            digest: Context::new(&SHA256),
        }
    }

    pub(crate) fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.digest.update(&row.seq.to_be_bytes());
        for value in &row.values {
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                Value::Number(number) => {
                    self.digest.update(&[1]);
                    self.digest.update(&number.to_be_bytes());
                    continue;
                }
                Value::Text(text) => (2, text.as_bytes()),
                Value::Bytes(bytes) => (3, bytes),
                Value::Secret(secret) => (4, secret.expose().as_bytes()),
            };
            self.digest.update(&[kind]);
            self.digest.update(&bytes.len().to_be_bytes());
            self.digest.update(bytes);
        }
    }

    pub(crate) fn end(self) -> Sum {
        Sum {
            rows: self.rows,
            digest: self.digest.finish().as_ref().to_vec(),
        }
    }
}
