//! From the store of one machine to the store of many nodes: every row, resumable, and compared in the end.
//!
//! Rows keep their places, so that cursors and references stay good. Secrets are opened with the source's key and sealed
//! with the target's. Each slice is written in one transaction with a note of how far the copy has come: a copy that was
//! cut short goes on from there. Nobody may use either store meanwhile: the source's lock is held, and a target on which a
//! node was seen lately is refused.

use std::{fmt, sync::Arc};

use tidings_domain::{ids::IntegrationId, shard::Shard};
use uuid::Uuid;

use self::table::{Row, ShardOf, Sum, Summing, TABLES, Table, Value};
use crate::{
    postgres::{self, PostgresOptions, Target},
    sqlite::{self, KeysFrom, Source, SqliteOptions},
};

pub(crate) mod known_items;
pub(crate) mod table;

/// How much is read and written at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) rows: u32,
    /// Of what was received or is delivered; the row that passes it still belongs to the slice. Rows can have a megabyte
    /// each, and are held here and in the database at the same time.
    pub(crate) bytes: i64,
}

const SLICE: Slice = Slice {
    rows: 1_000,
    bytes: 16 << 20,
};

/// Gives the mailbox that the path of a resource or item lies in, if it lies in one.
pub type MailboxOf = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a copy is made of.
pub struct Copy {
    /// The store that is copied.
    pub from: SqliteOptions,
    /// The store that it is copied to: migrated, and not used yet.
    pub to: PostgresOptions,
    /// What decides into which shard a row falls.
    pub mailbox_of: MailboxOf,
    /// Is told how far it is.
    pub progress: Arc<dyn Fn(Progress<'_>) + Send + Sync>,
}

impl fmt::Debug for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Copy({:?} to {})", self.from.store.data_dir, self.to.url)
    }
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being copied or compared.
    pub table: &'a str,
    /// Whether it is being compared.
    pub comparing: bool,
    /// How many rows of it are done.
    pub rows: u64,
}

/// A table that was copied, and is the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
}

/// Why a copy failed. What is done is done: run again, it goes on.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be opened.
    #[error("the source cannot be opened: {0}")]
    Source(#[from] sqlite::OpenError),
    /// The source cannot be read.
    #[error("the source cannot be read: {detail}")]
    Reading {
        /// What failed.
        detail: String,
    },
    /// The target cannot be opened.
    #[error("the target cannot be opened: {0}")]
    Target(#[from] postgres::OpenError),
    /// The target cannot be written.
    #[error("the target cannot be written: {detail}")]
    Writing {
        /// What failed.
        detail: String,
    },
    /// The target holds something.
    #[error(
        "the target has {rows} rows in {table} already: copy into a database that was migrated and not used"
    )]
    NotEmpty {
        /// Where.
        table: String,
        /// How many.
        rows: i64,
    },
    /// A node uses the target.
    #[error(
        "{nodes} gateways use the target: stop them first (a node that died counts for as long as its lease)"
    )]
    InUse {
        /// How many.
        nodes: i64,
    },
    /// The two sides differ.
    #[error("after the copy {table} differs: {source_rows} rows in the source, {target_rows} in the target{}",
        if source_rows == target_rows { ", and not the same in them" } else { "" })]
    Differs {
        /// Where.
        table: String,
        /// Rows in the source.
        source_rows: u64,
        /// Rows in the target.
        target_rows: u64,
    },
}

/// Copies everything that is not in the target yet, then compares both.
pub async fn run(copy: Copy) -> Result<Vec<Copied>, CopyError> {
    let now = copy.from.clock.now();
    let mut source = Source::open(copy.from.clone()).await?;
    let mut target = Target::open(&copy.to).await?;
    target.begin().await?;
    let same_key = source.key_id() == target.key_id();
    if let Some((first, last)) = source.event_days()? {
        target.make_days(first, last).await?;
    }
    for table in TABLES {
        let mut rows = 0;
        let mut after = target.reached(table.name).await?;
        loop {
            let mut slice = source.read(table, after, SLICE)?;
            let Some(last) = slice.last() else {
                break;
            };
            after = last.seq;
            if table.name == "queue" && !same_key {
                forget_hashes(&mut slice);
            }
            let shards = shards(table, &slice, &copy.mailbox_of)?;
            target.write(table, &slice, &shards).await?;
            rows += slice.len() as u64;
            (copy.progress)(Progress {
                table: table.name,
                comparing: false,
                rows,
            });
        }
    }
    let kept = source.rejected()?;
    let webhooks = source.deleted_webhooks()?;
    let subscriptions = source.deleted_subscriptions()?;
    target
        .write_counts(&kept, &webhooks, &subscriptions)
        .await?;
    target.write_alive(source.alive()?).await?;
    let items = known_items::copy(&mut source, &mut target).await?;
    let keys = copy_keys(&mut source, &mut target, now.as_millis()).await?;
    let mut copied = compare(&mut source, &mut target, &copy, same_key).await?;
    copied.push(items);
    copied.push(Copied {
        table: "dedup".to_owned(),
        rows: keys,
    });
    target.end().await?;
    Ok(copied)
}

/// Dedup keys of the last day, each into the table of its day; gives how many the target has now. A key that stands in
/// several places of the source is written once, so what is compared is not their number: none may be missing.
async fn copy_keys(source: &mut Source, target: &mut Target, now: i64) -> Result<u64, CopyError> {
    let mut from = KeysFrom::default();
    while let Some((keys, next)) = source.dedup_keys(from, now, SLICE.rows)? {
        from = next;
        target.write_keys(&keys).await?;
    }
    let (mut listed, mut missing) = (0, 0);
    let mut from = KeysFrom::default();
    while let Some((keys, next)) = source.dedup_keys(from, now, SLICE.rows)? {
        from = next;
        listed += keys.len() as u64;
        missing += target.missing_keys(&keys).await?;
    }
    if missing > 0 {
        return Err(CopyError::Differs {
            table: "dedup".to_owned(),
            source_rows: listed,
            target_rows: listed.saturating_sub(missing),
        });
    }
    target.count_keys().await
}

async fn compare(
    source: &mut Source,
    target: &mut Target,
    copy: &Copy,
    same_key: bool,
) -> Result<Vec<Copied>, CopyError> {
    let mut copied = Vec::new();
    for table in TABLES {
        let (mut here, mut there) = (Summing::new(), Summing::new());
        let (mut after, mut rows) = (i64::MIN, 0);
        loop {
            let mut slice = source.read(table, after, SLICE)?;
            let Some(last) = slice.last() else {
                break;
            };
            after = last.seq;
            if table.name == "queue" && !same_key {
                forget_hashes(&mut slice);
            }
            for row in &slice {
                here.add(row);
            }
            rows += slice.len() as u64;
            (copy.progress)(Progress {
                table: table.name,
                comparing: true,
                rows,
            });
        }
        let mut after = i64::MIN;
        loop {
            let slice = target.read(table, after, SLICE).await?;
            let Some(last) = slice.last() else {
                break;
            };
            after = last.seq;
            for row in &slice {
                there.add(row);
            }
        }
        let (here, there): (Sum, Sum) = (here.end(), there.end());
        if here != there {
            return Err(CopyError::Differs {
                table: table.name.to_owned(),
                source_rows: here.rows,
                target_rows: there.rows,
            });
        }
        copied.push(Copied {
            table: table.name.to_owned(),
            rows: here.rows,
        });
    }
    Ok(copied)
}

/// The keyed hash of a clientState cannot be made anew under another key: what is held is then judged without it.
fn forget_hashes(slice: &mut [Row]) {
    for row in slice {
        if let Some(hash) = row.values.last_mut() {
            *hash = Value::Null;
        }
    }
}

fn shards(table: &Table, slice: &[Row], mailbox_of: &MailboxOf) -> Result<Vec<Shard>, CopyError> {
    let unreadable = |what: &str| CopyError::Reading {
        detail: format!("{}: {what} is none of ours", table.name),
    };
    let Some(of) = table.shard else {
        return Ok(Vec::new());
    };
    slice
        .iter()
        .map(|row| match (of, &row.mailbox, row.values.first()) {
            (ShardOf::Webhook, _, Some(Value::Text(id))) => id
                .parse()
                .map(Shard::of_webhook)
                .map_err(|_| unreadable(id)),
            (ShardOf::Mailbox(_), Some((integration, tenant, resource)), _) => {
                let integration: IntegrationId =
                    integration.parse().map_err(|_| unreadable(integration))?;
                let tenant = match tenant {
                    Some(tenant) => tenant.parse().map_err(|_| unreadable(tenant))?,
                    None => Uuid::nil(),
                };
                let mailbox = mailbox_of(resource);
                Ok(Shard::of_mailbox(integration, tenant, mailbox.as_deref()))
            }
            _ => Err(unreadable("a row without an owner")),
        })
        .collect()
}
