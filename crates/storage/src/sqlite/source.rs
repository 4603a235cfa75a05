//! Everything in the store, to be copied: read by whoever holds the folder's lock, while no gateway runs.

use std::{fs::File, sync::Arc};

use rusqlite::{Connection, Error, Row as Columns, types::ValueRef};

use tidings_domain::ids::{Compact, IntegrationId, SubscriptionId, WebhookId};
use uuid::Uuid;

use super::{
    OpenError, SqliteOptions, SqliteStore, database,
    dedup::{self, Key, KeysFrom},
    id, open,
};
use crate::{
    Store as _,
    copy::{
        CopyError, Slice, known_items,
        table::{Kind, Row, ShardOf, Table, Value},
    },
    seal::{KeyId, Place, Seal, SealingKey},
};

/// The store as it is copied.
pub(crate) struct Source {
    sql: Connection,
    seal: Seal,
    _lock: File,
}

impl Source {
    /// Opens a store that nobody uses, and keeps others out of it.
    pub(crate) async fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let folder = options.store.data_dir.clone();
        // As a gateway would, and no further: the right key is there, the tables have today's form, the log is copied.
        SqliteStore::open(options.clone()).await?.close().await;
        let lock = open::lock(&folder)?;
        let path = folder.join(database::FILE_NAME);
        let sql = database::open_reader(&path).map_err(|source| OpenError::Sqlite {
            path: path.clone(),
            source,
        })?;
        let key = SealingKey::read(&folder)?.ok_or_else(|| OpenError::Folder {
            folder: folder.clone(),
            source: std::io::Error::other("the key file has gone"),
        })?;
        Ok(Self {
            sql,
            seal: Seal::new(&key, Arc::clone(&options.entropy)),
            _lock: lock,
        })
    }

    pub(crate) fn key_id(&self) -> KeyId {
        self.seal.key_id()
    }

    /// The rows of a table behind a place: as many as fit into a slice.
    pub(crate) fn read(
        &self,
        table: &Table,
        after: i64,
        slice: Slice,
    ) -> Result<Vec<Row>, CopyError> {
        self.try_read(table, after, slice)
            .map_err(|error| reading(&error))
    }

    fn try_read(&self, table: &Table, after: i64, slice: Slice) -> Result<Vec<Row>, Error> {
        let mut names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        if let Some(ShardOf::Mailbox(columns)) = table.shard {
            names.push(columns);
        }
        let (name, names) = (table.name, names.join(", "));
        let text = format!("SELECT seq, {names} FROM {name} WHERE seq > ? ORDER BY seq LIMIT ?");
        let mut statement = self.sql.prepare_cached(&text)?;
        let mut rows = statement.query((after, slice.rows))?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while bytes < slice.bytes
            && let Some(row) = rows.next()?
        {
            let row = self.read_row(table, row)?;
            bytes = bytes.saturating_add_unsigned(row.bytes());
            found.push(row);
        }
        Ok(found)
    }

    fn read_row(&self, table: &Table, row: &Columns<'_>) -> Result<Row, Error> {
        let mut values = Vec::with_capacity(table.columns.len());
        for (place, &(column, kind)) in table.columns.iter().enumerate() {
            values.push(match (row.get_ref(place + 1)?, kind) {
                (ValueRef::Null, _) => Value::Null,
                (value, Kind::Flag | Kind::Integer | Kind::Number) => {
                    Value::Number(value.as_i64()?)
                }
                (ValueRef::Blob(bytes), Kind::Text) => {
                    Value::Text(id::text(table.name, column, bytes).map_err(wrong_id(place))?)
                }
                // As the other store has to write it.
                (value, Kind::Text) => Value::Text(value.as_str()?.replace('\0', "\u{fffd}")),
                (value, Kind::Bytes) => Value::Bytes(value.as_blob()?.to_vec()),
                (value, Kind::Sealed) => {
                    let bytes = row.get_ref(1)?.as_blob()?;
                    let id = id::text(table.name, "id", bytes).map_err(wrong_id(1))?;
                    let of = Place {
                        table: table.name,
                        column,
                        row: &id,
                    };
                    let opened = self.seal.open(of, value.as_blob()?);
                    Value::Secret(opened.map_err(|error| super::row::unreadable(place, &error))?)
                }
            });
        }
        let behind = table.columns.len() + 1;
        let mailbox = match table.shard {
            Some(ShardOf::Mailbox(_)) => Some((
                IntegrationId::from_bytes(row.get(behind)?).to_string(),
                row.get::<_, Option<[u8; 16]>>(behind + 1)?
                    .map(|tenant| Uuid::from_bytes(tenant).to_string()),
                row.get::<_, String>(behind + 2)?.replace('\0', "\u{fffd}"),
            )),
            _ => None,
        };
        Ok(Row {
            seq: row.get(0)?,
            values,
            mailbox,
        })
    }

    /// When the first and the last event were made, in milliseconds since 1970.
    pub(crate) fn event_days(&self) -> Result<Option<(i64, i64)>, CopyError> {
        let found = self.sql.query_row(
            "SELECT min(created_at), max(created_at) FROM events",
            [],
            |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)),
        );
        let (first, last) = found.map_err(|error| reading(&error))?;
        Ok(first.zip(last))
    }

    /// How many rejected notifications are kept of each integration.
    pub(crate) fn rejected(&self) -> Result<Vec<(String, i64)>, CopyError> {
        self.counts::<IntegrationId>("SELECT integration_id, kept FROM rejected")
    }

    /// Webhooks that are gone while deliveries to them still are to be removed.
    pub(crate) fn deleted_webhooks(&self) -> Result<Vec<(String, i64)>, CopyError> {
        self.counts::<WebhookId>("SELECT id, 0 FROM deleted_webhooks")
    }

    /// Subscriptions that are gone while what was known of their items still is to be removed.
    pub(crate) fn deleted_subscriptions(&self) -> Result<Vec<(String, i64)>, CopyError> {
        self.counts::<SubscriptionId>("SELECT id, 0 FROM deleted_subscriptions")
    }

    /// When somebody was at work last, and the absence that nothing has followed from yet.
    pub(crate) fn alive(&self) -> Result<(Option<i64>, Option<i64>), CopyError> {
        let found = self
            .sql
            .query_row("SELECT at, away_since FROM alive", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            });
        found.map_err(|error| reading(&error))
    }

    /// Some known items behind a key, and the last key; `None` at the end.
    pub(crate) fn known_items(
        &self,
        after: &known_items::Key,
        limit: u32,
    ) -> Result<Option<(Vec<known_items::Item>, known_items::Key)>, CopyError> {
        super::known_items::behind(&self.sql, after, limit).map_err(|error| reading(&error))
    }

    fn counts<T: Compact + ToString>(&self, text: &str) -> Result<Vec<(String, i64)>, CopyError> {
        let read = || {
            self.sql
                .prepare(text)?
                .query_map([], |row| {
                    Ok((T::from_bytes(row.get(0)?).to_string(), row.get(1)?))
                })?
                .collect::<Result<Vec<_>, Error>>()
        };
        read().map_err(|error| reading(&error))
    }

    /// Some dedup keys and when they were claimed, or a little later, and where to go on; `None` at the end. Leaves out
    /// runs whose keys are all older than a day.
    pub(crate) fn dedup_keys(
        &self,
        from: KeysFrom,
        now: i64,
        limit: u32,
    ) -> Result<Option<(Vec<Key>, KeysFrom)>, CopyError> {
        dedup::keys(&self.sql, from, now, limit).map_err(|error| reading(&error))
    }
}

fn wrong_id(place: usize) -> impl Fn(std::array::TryFromSliceError) -> Error {
    move |error| super::row::unreadable(place, &error)
}

fn reading(error: &Error) -> CopyError {
    CopyError::Reading {
        detail: error.to_string(),
    }
}
