//! An empty store that another one is copied into.

use std::{fmt::Write as _, time::Duration};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tidings_domain::shard::Shard;

use super::{
    PostgresOptions, database, known_items, migrate, open, open::OpenError, partitions, unlock,
};
use crate::{
    copy::{
        CopyError, Slice,
        known_items::Item,
        table::{Kind, Row, TABLES, Table, Value},
    },
    seal::{KeyId, Place, Seal},
};

const DAY: i64 = 86_400_000;

/// Of events, parts of so many days before the last are made; what is older goes together into one.
const DAYS: i64 = 60;

/// Whether a copy into this database is under way, or was cut short.
pub(super) async fn is_unfinished(sql: &mut PgConnection) -> Result<bool, OpenError> {
    let begun = is_begun(sql).await;
    begun.map_err(|error| OpenError::database(&error))
}

/// A copy drops the table at its end, in the same transaction that makes the store usable.
async fn is_begun(sql: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let (begun,) = sqlx::query_as("SELECT to_regclass('copy_progress') IS NOT NULL")
        .fetch_one(sql)
        .await?;
    Ok(begun)
}

/// The store as it is copied into.
pub(crate) struct Target {
    sql: PgConnection,
    seal: Seal,
    lease: Duration,
}

impl Target {
    pub(crate) async fn open(options: &PostgresOptions) -> Result<Self, OpenError> {
        let seal = unlock::seal(options)?;
        let mut sql = open::connect(options).await?;
        database::verify(&mut sql).await?;
        migrate::check(&mut sql).await?;
        unlock::check(&mut sql, &seal).await?;
        // Slices of large rows take longer than what a gateway writes.
        sqlx::raw_sql(
            "SET statement_timeout = 0; SET enable_seqscan = on; SET enable_mergejoin = on",
        )
        .execute(&mut sql)
        .await
        .map_err(|error| OpenError::database(&error))?;
        Ok(Self {
            sql,
            seal,
            lease: options.postgres.lease.0,
        })
    }

    pub(crate) fn key_id(&self) -> KeyId {
        self.seal.key_id()
    }

    /// Checks that nobody uses it, and that it is empty or was being copied into. What migrating made for a first start,
    /// an environment and keys, makes room.
    pub(crate) async fn begin(&mut self) -> Result<(), CopyError> {
        let lease = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        let (nodes,): (i64,) =
            sqlx::query_as("SELECT count(*) FROM nodes WHERE seen_at > database_ms() - $1")
                .bind(lease)
                .fetch_one(&mut self.sql)
                .await
                .map_err(|error| writing(&error))?;
        if nodes > 0 {
            return Err(CopyError::InUse { nodes });
        }
        let begun = is_begun(&mut self.sql).await;
        if begun.map_err(|error| writing(&error))? {
            return Ok(());
        }
        for table in TABLES {
            if matches!(table.name, "environments" | "keys") {
                continue;
            }
            let (rows,): (i64,) = sqlx::query_as(AssertSqlSafe(format!(
                "SELECT count(*) FROM (SELECT 1 FROM {} LIMIT 1000) t",
                table.name
            )))
            .fetch_one(&mut self.sql)
            .await
            .map_err(|error| writing(&error))?;
            if rows > 0 {
                return Err(CopyError::NotEmpty {
                    table: table.name.to_owned(),
                    rows,
                });
            }
        }
        sqlx::raw_sql(
            "BEGIN;
             DELETE FROM keys; DELETE FROM environments;
             CREATE TABLE copy_progress (name text PRIMARY KEY, reached bigint NOT NULL);
             COMMIT",
        )
        .execute(&mut self.sql)
        .await
        .map_err(|error| writing(&error))?;
        Ok(())
    }

    /// Makes the parts of the days that events are of.
    pub(crate) async fn make_days(&mut self, first: i64, last: i64) -> Result<(), CopyError> {
        let failed = |error| CopyError::Writing {
            detail: crate::StoreError::from(error).to_string(),
        };
        let (first, last) = (first.div_euclid(DAY), last.div_euclid(DAY));
        let oldest = first.max(last - DAYS);
        if first < oldest {
            let made = partitions::make_before(&mut self.sql, oldest).await;
            made.map_err(failed)?;
        }
        for day in oldest..=last {
            partitions::make(&mut self.sql, day).await.map_err(failed)?;
        }
        Ok(())
    }

    /// How far a table was copied.
    pub(crate) async fn reached(&mut self, table: &str) -> Result<i64, CopyError> {
        let found: Option<(i64,)> =
            sqlx::query_as("SELECT reached FROM copy_progress WHERE name = $1")
                .bind(table)
                .fetch_optional(&mut self.sql)
                .await
                .map_err(|error| writing(&error))?;
        Ok(found.map_or(i64::MIN, |(reached,)| reached))
    }

    /// Writes a slice, and how far the table is copied with it.
    pub(crate) async fn write(
        &mut self,
        table: &Table,
        slice: &[Row],
        shards: &[Shard],
    ) -> Result<(), CopyError> {
        let text = insert(table);
        let mut query = sqlx::query(AssertSqlSafe(text))
            .bind(slice.iter().map(|row| row.seq).collect::<Vec<i64>>());
        for (place, &(column, kind)) in table.columns.iter().enumerate() {
            let values = slice.iter().map(|row| &row.values[place]);
            query = match kind {
                Kind::Flag | Kind::Integer | Kind::Number => query.bind(
                    values
                        .map(|value| match value {
                            Value::Number(number) => Some(*number),
                            _ => None,
                        })
                        .collect::<Vec<Option<i64>>>(),
                ),
                Kind::Text => query.bind(
                    values
                        .map(|value| match value {
                            Value::Text(text) => Some(text.clone()),
                            _ => None,
                        })
                        .collect::<Vec<Option<String>>>(),
                ),
                Kind::Bytes => query.bind(
                    values
                        .map(|value| match value {
                            Value::Bytes(bytes) => Some(bytes.clone()),
                            _ => None,
                        })
                        .collect::<Vec<Option<Vec<u8>>>>(),
                ),
                Kind::Sealed => query.bind(
                    slice
                        .iter()
                        .map(|row| self.sealed(table, column, row, place))
                        .collect::<Vec<Option<Vec<u8>>>>(),
                ),
            };
        }
        if table.shard.is_some() {
            query = query.bind(
                shards
                    .iter()
                    .map(|shard| i64::from(shard.get()))
                    .collect::<Vec<i64>>(),
            );
        }
        let reached = slice.last().map_or(i64::MIN, |row| row.seq);
        let mut transaction = self.sql.begin().await.map_err(|error| writing(&error))?;
        query
            .execute(&mut *transaction)
            .await
            .map_err(|error| writing(&error))?;
        sqlx::query(
            "INSERT INTO copy_progress (name, reached) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET reached = excluded.reached",
        )
        .bind(table.name)
        .bind(reached)
        .execute(&mut *transaction)
        .await
        .map_err(|error| writing(&error))?;
        transaction.commit().await.map_err(|error| writing(&error))
    }

    fn sealed(
        &self,
        table: &Table,
        column: &'static str,
        row: &Row,
        place: usize,
    ) -> Option<Vec<u8>> {
        let (Some(Value::Text(id)), Value::Secret(secret)) =
            (row.values.first(), &row.values[place])
        else {
            return None;
        };
        let place = Place {
            table: table.name,
            column,
            row: id,
        };
        Some(self.seal.seal(place, secret.expose()))
    }

    /// The rows of a table behind a place, as they are here: as many as fit into a slice.
    pub(crate) async fn read(
        &mut self,
        table: &Table,
        after: i64,
        slice: Slice,
    ) -> Result<Vec<Row>, CopyError> {
        let Some(last) = self.end_of_slice(table, after, slice).await? else {
            return Ok(Vec::new());
        };
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|(name, kind)| match kind {
                Kind::Flag => format!("{name}::integer::bigint"),
                Kind::Number | Kind::Integer => format!("{name}::bigint"),
                _ => (*name).to_owned(),
            })
            .collect();
        let text = format!(
            "SELECT seq, {} FROM {} WHERE seq > $1 AND seq <= $2 ORDER BY seq",
            columns.join(", "),
            table.name
        );
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(after)
            .bind(last)
            .fetch_all(&mut self.sql)
            .await
            .map_err(|error| writing(&error))?;
        rows.iter()
            .map(|found| self.read_row(table, found).map_err(|error| writing(&error)))
            .collect()
    }

    /// The place of the last row of the slice behind `after`; `None` if there is no more.
    async fn end_of_slice(
        &mut self,
        table: &Table,
        after: i64,
        slice: Slice,
    ) -> Result<Option<i64>, CopyError> {
        let mut size = "0".to_owned();
        for (column, _) in table
            .columns
            .iter()
            .filter(|(_, kind)| *kind == Kind::Bytes)
        {
            // Writing into a text cannot fail.
            let _ = write!(size, " + coalesce(octet_length({column}), 0)");
        }
        let text = format!(
            "SELECT max(seq) FROM (
                 SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
                     SELECT seq, {size} AS size FROM {} WHERE seq > $1 ORDER BY seq LIMIT $2) rows) sized
             WHERE before < $3",
            table.name
        );
        let (last,): (Option<i64>,) = sqlx::query_as(AssertSqlSafe(text))
            .bind(after)
            .bind(i64::from(slice.rows))
            .bind(slice.bytes)
            .fetch_one(&mut self.sql)
            .await
            .map_err(|error| writing(&error))?;
        Ok(last)
    }

    fn read_row(&self, table: &Table, found: &sqlx::postgres::PgRow) -> Result<Row, sqlx::Error> {
        let mut values: Vec<Value> = Vec::with_capacity(table.columns.len());
        for (place, &(column, kind)) in table.columns.iter().enumerate() {
            let at = place + 1;
            let value = match kind {
                Kind::Flag | Kind::Integer | Kind::Number => {
                    found.try_get::<Option<i64>, _>(at)?.map(Value::Number)
                }
                Kind::Text => found.try_get::<Option<String>, _>(at)?.map(Value::Text),
                Kind::Bytes => found.try_get::<Option<Vec<u8>>, _>(at)?.map(Value::Bytes),
                Kind::Sealed => {
                    let id: String = found.try_get(1)?;
                    let of = Place {
                        table: table.name,
                        column,
                        row: &id,
                    };
                    let sealed: Option<&[u8]> = found.try_get(at)?;
                    sealed
                        .map(|sealed| self.seal.open(of, sealed))
                        .transpose()
                        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?
                        .map(Value::Secret)
                }
            };
            values.push(value.unwrap_or(Value::Null));
        }
        Ok(Row {
            seq: found.try_get(0)?,
            values,
            mailbox: None,
        })
    }

    /// Writes small tables that have no places.
    pub(crate) async fn write_counts(
        &mut self,
        rejected: &[(String, i64)],
        webhooks: &[(String, i64)],
        subscriptions: &[(String, i64)],
    ) -> Result<(), CopyError> {
        for (rows, text) in [
            (
                rejected,
                "INSERT INTO rejected (integration_id, kept) VALUES ($1, $2)
                 ON CONFLICT (integration_id) DO UPDATE SET kept = excluded.kept",
            ),
            (
                webhooks,
                "INSERT INTO deleted_webhooks (id, deleted_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            ),
            (
                subscriptions,
                "INSERT INTO deleted_subscriptions (id, deleted_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            ),
        ] {
            for (id, number) in rows {
                sqlx::query(text)
                    .bind(id)
                    .bind(number)
                    .execute(&mut self.sql)
                    .await
                    .map_err(|error| writing(&error))?;
            }
        }
        Ok(())
    }

    /// Writes when somebody was at work last, and the absence that nothing has followed from yet.
    pub(crate) async fn write_alive(
        &mut self,
        (at, away_since): (Option<i64>, Option<i64>),
    ) -> Result<(), CopyError> {
        sqlx::query("UPDATE alive SET at = $1, away_since = $2")
            .bind(at)
            .bind(away_since)
            .execute(&mut self.sql)
            .await
            .map_err(|error| writing(&error))?;
        Ok(())
    }

    /// Writes known items, over what an earlier try has written.
    pub(crate) async fn write_known_items(&mut self, items: &[Item]) -> Result<(), CopyError> {
        known_items::write(&mut self.sql, items)
            .await
            .map_err(|error| writing(&error))
    }

    /// How many of these are not here as they are there.
    pub(crate) async fn missing_known_items(&mut self, items: &[Item]) -> Result<u64, CopyError> {
        known_items::missing(&mut self.sql, items)
            .await
            .map_err(|error| writing(&error))
    }

    pub(crate) async fn count_known_items(&mut self) -> Result<u64, CopyError> {
        known_items::count(&mut self.sql)
            .await
            .map_err(|error| writing(&error))
    }

    /// Writes dedup keys, each with the time when it was claimed.
    pub(crate) async fn write_keys(&mut self, keys: &[(Vec<u8>, i64)]) -> Result<(), CopyError> {
        let (turns, keys) = turns(keys);
        sqlx::query(
            "INSERT INTO dedup (turn, key) SELECT * FROM unnest($1::smallint[], $2::bytea[]) ON CONFLICT DO NOTHING",
        )
        .bind(turns)
        .bind(keys)
        .execute(&mut self.sql)
        .await
        .map_err(|error| writing(&error))?;
        Ok(())
    }

    /// How many of these are not here.
    pub(crate) async fn missing_keys(&mut self, keys: &[(Vec<u8>, i64)]) -> Result<u64, CopyError> {
        let (turns, keys) = turns(keys);
        let (missing,): (i64,) = sqlx::query_as(
            "SELECT count(*) FROM unnest($1::smallint[], $2::bytea[]) AS k(turn, key)
             WHERE NOT EXISTS (SELECT 1 FROM dedup d WHERE d.turn = k.turn AND d.key = k.key)",
        )
        .bind(turns)
        .bind(keys)
        .fetch_one(&mut self.sql)
        .await
        .map_err(|error| writing(&error))?;
        Ok(u64::try_from(missing).unwrap_or(u64::MAX))
    }

    pub(crate) async fn count_keys(&mut self) -> Result<u64, CopyError> {
        let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM dedup")
            .fetch_one(&mut self.sql)
            .await
            .map_err(|error| writing(&error))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Lets new rows get places behind those that were copied, and ends the copy.
    pub(crate) async fn end(mut self) -> Result<(), CopyError> {
        let mut text = "BEGIN;".to_owned();
        for table in TABLES {
            let sequence = match table.name {
                "queue" => continue,
                name @ ("notifications" | "events" | "deliveries") => format!("'{name}_seq'"),
                name => format!("pg_get_serial_sequence('{name}', 'seq')"),
            };
            // Writing into a text cannot fail.
            let _ = write!(
                text,
                "SELECT setval({sequence}, greatest((SELECT max(seq) FROM {}), 1));",
                table.name
            );
        }
        text.push_str("DROP TABLE copy_progress; COMMIT; ANALYZE");
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut self.sql)
            .await
            .map_err(|error| writing(&error))?;
        database::close(self.sql).await;
        Ok(())
    }
}

/// Keys with the turns of the days on which they were claimed.
fn turns(keys: &[(Vec<u8>, i64)]) -> (Vec<i16>, Vec<&[u8]>) {
    let turn = |at: i64| i16::try_from(at.div_euclid(DAY).rem_euclid(3)).unwrap_or(0);
    keys.iter()
        .map(|(key, at)| (turn(*at), key.as_slice()))
        .unzip()
}

fn insert(table: &Table) -> String {
    let mut names = vec!["seq".to_owned()];
    let mut arrays = vec!["$1::bigint[]".to_owned()];
    let mut values = vec!["seq".to_owned()];
    let shard = table.shard.map(|_| ("shard", Kind::Integer));
    for (name, kind) in table.columns.iter().copied().chain(shard) {
        names.push(name.to_owned());
        let number = arrays.len() + 1;
        arrays.push(match kind {
            Kind::Flag | Kind::Integer | Kind::Number => format!("${number}::bigint[]"),
            Kind::Text => format!("${number}::text[]"),
            Kind::Bytes | Kind::Sealed => format!("${number}::bytea[]"),
        });
        values.push(match kind {
            Kind::Flag => format!("{name} <> 0"),
            Kind::Integer => format!("{name}::integer"),
            _ => name.to_owned(),
        });
    }
    let (table, names) = (table.name, names.join(", "));
    let (values, arrays) = (values.join(", "), arrays.join(", "));
    format!(
        "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM unnest({arrays}) AS t({names})"
    )
}

fn writing(error: &sqlx::Error) -> CopyError {
    CopyError::Writing {
        detail: error.to_string(),
    }
}
