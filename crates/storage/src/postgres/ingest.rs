//! What ingest writes.

use std::{borrow::Cow, collections::HashSet};

use sqlx::{PgConnection, Row as _};
use tidings_domain::{
    notification::{LifecycleEvent, Notification, Verdict},
    resource::ChangeType,
    shard::ShardSet,
};

use super::{
    Shared, rejected,
    row::{shown, text, text_if_any, time},
    trouble::Undone,
    writer::Grouped,
};
use crate::{
    Lease, StoreError, checksum,
    record::{DedupKey, NewNotification, Seq},
};

/// The notifications of one POST, to be recorded all or none.
pub(super) struct Record(pub(super) Vec<NewNotification>);

/// The turn of a table of dedup keys today and the day before, by the database's clock.
macro_rules! turn {
    (today) => {
        "((database_ms() / 86400000) % 3)::smallint"
    };
    (yesterday) => {
        "((database_ms() / 86400000 + 2) % 3)::smallint"
    };
}
pub(super) use turn;

/// Columns of notifications that go into a statement as arrays.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) id: Vec<String>,
    pub(super) environment: Vec<String>,
    pub(super) integration: Vec<String>,
    pub(super) origin: Vec<&'static str>,
    pub(super) received_at: Vec<i64>,
    pub(super) verdict: Vec<&'static str>,
    pub(super) connection: Vec<Option<String>>,
    pub(super) subscription: Vec<Option<String>>,
    pub(super) graph_subscription: Vec<Option<Cow<'a, str>>>,
    pub(super) tenant: Vec<Option<String>>,
    pub(super) change_type: Vec<Option<&'static str>>,
    pub(super) lifecycle_event: Vec<Option<&'static str>>,
    pub(super) resource: Vec<Cow<'a, str>>,
    pub(super) etag: Vec<Option<Cow<'a, str>>>,
    pub(super) checksum: Vec<i64>,
    pub(super) item: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub(super) fn push(&mut self, one: &'a Notification, verdict: Verdict) {
        self.id.push(one.id.to_string());
        self.environment.push(one.environment.to_string());
        self.integration.push(one.integration.to_string());
        self.origin.push(one.origin.as_str());
        self.received_at.push(one.received_at.as_millis());
        self.verdict.push(verdict.as_str());
        self.connection.push(shown(one.connection));
        self.subscription.push(shown(one.subscription));
        self.graph_subscription
            .push(text_if_any(one.graph_subscription_id.as_deref()));
        self.tenant.push(shown(one.tenant_id));
        self.change_type
            .push(one.change_type.map(ChangeType::as_str));
        self.lifecycle_event
            .push(one.lifecycle_event.map(LifecycleEvent::as_str));
        self.resource.push(text(&one.resource));
        self.etag.push(text_if_any(one.etag.as_deref()));
        self.checksum.push(checksum::of(&one.item));
        self.item.push(&one.item);
    }
}

/// Binds the sixteen columns, in the order in which [`input`] names them.
macro_rules! bind {
    ($query:expr, $columns:expr) => {
        $query
            .bind($columns.id)
            .bind($columns.environment)
            .bind($columns.integration)
            .bind($columns.origin)
            .bind($columns.received_at)
            .bind($columns.verdict)
            .bind($columns.connection)
            .bind($columns.subscription)
            .bind($columns.graph_subscription)
            .bind($columns.tenant)
            .bind($columns.change_type)
            .bind($columns.lifecycle_event)
            .bind($columns.resource)
            .bind($columns.etag)
            .bind($columns.checksum)
            .bind($columns.item)
    };
}
pub(super) use bind;

macro_rules! arrays {
    () => {
        "$1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bytea[]"
    };
}
pub(super) use arrays;

macro_rules! names {
    () => {
        "id, environment_id, integration_id, origin, received_at, verdict, connection_id, subscription_id,
             graph_subscription_id, tenant_id, change_type, lifecycle_event, resource, etag, checksum, item"
    };
}
pub(super) use names;

/// The transaction has its id (`me`) and its keys before it gets its first place: the reader of the queue depends on it.
const RECORD: &str = concat!(
    "WITH me AS MATERIALIZED (
         SELECT pg_current_xact_id() AS id, ", turn!(today), " AS today, ", turn!(yesterday), " AS yesterday),
     input AS MATERIALIZED (
         SELECT * FROM unnest(", arrays!(), ", $17::bytea[], $18::bytea[], $19::bigint[], $20::smallint[])
             WITH ORDINALITY AS i(", names!(), ", key, client_state_hash, due_at, shard, place)),
     seen AS MATERIALIZED (
         SELECT key FROM dedup WHERE turn = (SELECT yesterday FROM me) AND key = ANY($17)),
     claimed AS (
         INSERT INTO dedup (turn, key)
         SELECT me.today, i.key FROM input i, me
         WHERE i.key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM seen s WHERE s.key = i.key)
         ORDER BY i.key
         ON CONFLICT DO NOTHING
         RETURNING key),
     judged AS MATERIALIZED (
         SELECT nextval('notifications_seq') AS seq, j.* FROM (
             SELECT i.*, CASE WHEN i.key IS NULL OR c.key IS NOT NULL THEN i.verdict ELSE 'duplicate' END AS given
             FROM me, input i LEFT JOIN claimed c ON c.key = i.key
             WHERE me.id IS NOT NULL
             ORDER BY i.place) j),
     kept AS (
         INSERT INTO notifications (seq, ", names!(), ")
         SELECT seq, id, environment_id, integration_id, origin, received_at, given, connection_id, subscription_id,
             graph_subscription_id, tenant_id, change_type, lifecycle_event, resource, etag, checksum, item
         FROM judged ORDER BY place),
     queued AS (
         INSERT INTO queue (seq, due_at, shard, failures, client_state_hash)
         SELECT seq, due_at, shard, 0, CASE WHEN given = 'held' THEN client_state_hash END
         FROM judged WHERE given IN ('accepted', 'held') ORDER BY place)
     SELECT given FROM judged ORDER BY place"
);

impl Grouped for Record {
    type Answer = Vec<Verdict>;

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|new| new.notification.item.len()).sum()
    }

    async fn write(
        shared: &Shared,
        sql: &mut PgConnection,
        together: &[Self],
    ) -> Result<Vec<Result<Self::Answer, StoreError>>, Undone> {
        let mut columns = Columns::default();
        let (mut keys, mut hashes) = (Vec::new(), Vec::new());
        let (mut due, mut shards) = (Vec::new(), Vec::new());
        let mut claimed_here: HashSet<DedupKey> = HashSet::new();
        for new in together.iter().flat_map(|post| &post.0) {
            let mut verdict = new.notification.verdict;
            let mut key = new.dedup_key.filter(|_| verdict == Verdict::Accepted);
            if key.is_some_and(|key| !claimed_here.insert(key)) {
                (verdict, key) = (Verdict::Duplicate, None);
            }
            columns.push(&new.notification, verdict);
            keys.push(key.map(|key| key.0.to_vec()));
            hashes.push(new.client_state_hash.map(|hash| hash.0.to_vec()));
            due.push(new.due_at.as_millis());
            shards.push(i16::from(new.shard.get()));
        }
        let query = bind!(sqlx::query(RECORD), columns);
        let rows = query
            .bind(keys)
            .bind(hashes)
            .bind(due)
            .bind(shards)
            .fetch_all(sql)
            .await?;
        let mut verdicts = Vec::with_capacity(rows.len());
        for row in &rows {
            verdicts.push(verdict_of(row.try_get(0)?)?);
        }
        shared.hints.queued(queued_shards(together, &verdicts));
        let mut verdicts = verdicts.into_iter();
        Ok(together
            .iter()
            .map(|post| Ok(verdicts.by_ref().take(post.0.len()).collect()))
            .collect())
    }
}

fn queued_shards(together: &[Record], verdicts: &[Verdict]) -> ShardSet {
    let all = together.iter().flat_map(|post| &post.0);
    all.zip(verdicts)
        .filter(|(_, verdict)| matches!(verdict, Verdict::Accepted | Verdict::Held))
        .map(|(new, _)| new.shard)
        .collect()
}

fn verdict_of(text: &str) -> Result<Verdict, Undone> {
    text.parse().map_err(|error| super::row::corrupt(0, &error))
}

/// Rejected notifications, to be kept if there is room.
pub(super) struct Reject(pub(super) Vec<Notification>);

/// Counting is part of the same statement, so that what is counted is there.
const REJECT: &str = concat!(
    "WITH input AS MATERIALIZED (
         SELECT * FROM unnest(", arrays!(), ") WITH ORDINALITY AS i(", names!(), ", place)),
     kept AS (
         INSERT INTO notifications (seq, ", names!(), ")
         SELECT nextval('notifications_seq'), id, environment_id, integration_id, origin, received_at, verdict,
             connection_id, subscription_id, graph_subscription_id, tenant_id, change_type, lifecycle_event, resource, etag, checksum,
             item
         FROM (SELECT * FROM input ORDER BY place) i)
     INSERT INTO rejected AS r (integration_id, kept)
     SELECT integration_id, count(*) FROM input GROUP BY integration_id ORDER BY integration_id
     ON CONFLICT (integration_id) DO UPDATE SET kept = r.kept + excluded.kept
     RETURNING integration_id, kept"
);

impl Grouped for Reject {
    type Answer = ();

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|one| one.item.len()).sum()
    }

    async fn write(
        shared: &Shared,
        sql: &mut PgConnection,
        together: &[Self],
    ) -> Result<Vec<Result<(), StoreError>>, Undone> {
        let mut columns = Columns::default();
        for one in together.iter().flat_map(|post| &post.0) {
            columns.push(one, one.verdict);
        }
        let counts: Vec<(String, i64)> = bind!(sqlx::query_as(REJECT), columns)
            .fetch_all(&mut *sql)
            .await?;
        for (integration, kept) in counts {
            rejected::trim(sql, &integration, kept, shared.keep_rejected).await?;
        }
        Ok(together.iter().map(|_| Ok(())).collect())
    }
}

/// `$1` place, `$2` shard, `$3` epoch, `$4` node: what is settled, and under which lease. `$5` … what it is settled as.
/// Where it falls to another shard it gets a new place: whoever reads that one may have read beyond the old.
const SETTLE: &str = concat!(
    "WITH me AS MATERIALIZED (
         SELECT pg_current_xact_id() AS id, ", turn!(today), " AS today, ", turn!(yesterday), " AS yesterday),
     leased AS MATERIALIZED (
         SELECT 1 FROM shards WHERE shard = $2 AND epoch = $3 AND node = $4 FOR KEY SHARE),
     found AS MATERIALIZED (
         SELECT n.seq, n.verdict FROM notifications n WHERE n.seq = $1 FOR UPDATE),
     open AS MATERIALIZED (
         SELECT f.seq FROM found f, leased, me WHERE f.verdict = 'held' AND me.id IS NOT NULL),
     claimed AS (
         INSERT INTO dedup (turn, key)
         SELECT me.today, $6 FROM open, me
         WHERE $6::bytea IS NOT NULL AND $5 = 'accepted'
             AND NOT EXISTS (SELECT 1 FROM dedup d WHERE d.turn = me.yesterday AND d.key = $6)
         ON CONFLICT DO NOTHING
         RETURNING key),
     judged AS MATERIALIZED (
         SELECT o.seq, q.shard <> $7 AS moves,
             CASE WHEN $5 <> 'accepted' OR $6::bytea IS NULL OR EXISTS (SELECT 1 FROM claimed) THEN $5
                 ELSE 'duplicate' END AS given
         FROM open o LEFT JOIN queue q ON q.seq = $1),
     placed AS MATERIALIZED (
         SELECT j.seq, j.given, CASE WHEN j.moves AND j.given IN ('accepted', 'held')
             THEN nextval('notifications_seq') ELSE j.seq END AS place
         FROM judged j),
     changed AS (
         UPDATE notifications n SET seq = p.place, verdict = p.given, connection_id = $8, subscription_id = $9,
             resource = $10, checksum = $11, item = $12
         FROM placed p WHERE n.seq = $1 AND n.seq = p.seq),
     stays AS (
         UPDATE queue q SET seq = p.place, shard = $7, due_at = $13,
             client_state_hash = CASE WHEN p.given = 'held' THEN $14::bytea END
         FROM placed p WHERE q.seq = $1 AND q.seq = p.seq AND p.given IN ('accepted', 'held')),
     gone AS (
         DELETE FROM queue q USING placed p
         WHERE q.seq = $1 AND q.seq = p.seq AND p.given NOT IN ('accepted', 'held'))
     SELECT (SELECT verdict FROM found), (SELECT given FROM placed), EXISTS (SELECT 1 FROM leased)"
);

/// Ends a held notification's wait.
pub(super) async fn settle_held(
    shared: &Shared,
    sql: &mut PgConnection,
    seq: Seq,
    lease: Lease,
    settled: &NewNotification,
) -> Result<Verdict, Undone> {
    let notification = &settled.notification;
    let (found, given, leased): (Option<String>, Option<String>, bool) = sqlx::query_as(SETTLE)
        .bind(seq.0)
        .bind(i16::from(lease.shard().get()))
        .bind(lease.epoch())
        .bind(&shared.node)
        .bind(notification.verdict.as_str())
        .bind(settled.dedup_key.map(|key| key.0.to_vec()))
        .bind(i16::from(settled.shard.get()))
        .bind(shown(notification.connection))
        .bind(shown(notification.subscription))
        .bind(text(&notification.resource))
        .bind(checksum::of(&notification.item))
        .bind(&notification.item[..])
        .bind(time(Some(settled.due_at)))
        .bind(settled.client_state_hash.map(|hash| hash.0.to_vec()))
        .fetch_one(&mut *sql)
        .await?;
    let Some(found) = found else {
        return Err(Undone::Refused(StoreError::Missing {
            what: format!("notification {}", notification.id),
        }));
    };
    let Some(given) = given else {
        let found = verdict_of(&found)?;
        // Settled before, by a call whose answer was lost; else by nobody, since the lease is gone.
        return if found == Verdict::Held && !leased {
            Err(Undone::Refused(StoreError::Fenced {
                shard: lease.shard(),
            }))
        } else {
            Ok(found)
        };
    };
    let verdict = verdict_of(&given)?;
    if verdict.is_rejection() {
        rejected::count(sql, notification.integration, shared.keep_rejected).await?;
    } else if matches!(verdict, Verdict::Accepted | Verdict::Held) && settled.shard != lease.shard()
    {
        shared
            .hints
            .queued(std::iter::once(settled.shard).collect());
    }
    Ok(verdict)
}
