//! Webhooks.

use sqlx::PgConnection;
use tidings_domain::{
    ids::{EnvironmentId, WebhookId},
    page::{Listing, Page},
    shard::Shard,
    trigger::Trigger,
    webhook::{DisabledReason, Webhook, WebhookState, WebhookUrl},
};

use super::{
    Shared,
    changes::{Noted, noting},
    lists::{List, Scan},
    row::{self, Columns, corrupt, text, time},
    trouble::{self, Undone},
};
use crate::{
    Changed, StoreError,
    record::WebhookChange,
    seal::{Place, Seal},
};

const REASONS: &[DisabledReason] = &[
    DisabledReason::Failing,
    DisabledReason::Gone,
    DisabledReason::Operator,
];

/// How many deliveries of a removed webhook go in one transaction: some milliseconds.
const SLICE: i64 = 1_000;

/// How long after a webhook or subscription was removed something may still be on its way to it, in
/// milliseconds: longer than any statement takes, and any pause that a statement survives.
pub(super) const STRAGGLERS: i64 = 120_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, url, description, triggers, connections, secret, disabled_reason, \
             disabled_since, failing_since, created_at \
             FROM webhooks",
            $rest
        )
    };
}

pub(super) async fn create(
    shared: &Shared,
    sql: &mut PgConnection,
    webhook: &Webhook,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Webhook(webhook.id));
    let row = noted.id.clone();
    let (reason, since) = columns_of(&webhook.state);
    let inserted = sqlx::query(noting!(
        "INSERT INTO webhooks (id, environment_id, url, description, triggers, connections, secret, disabled_reason,
             disabled_since, failing_since, created_at, shard)
         VALUES ($2, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(webhook.environment.to_string())
    .bind(
        shared
            .seal
            .seal(place("url", &row), webhook.url.expose().as_str()),
    )
    .bind(text(&webhook.description))
    .bind(row::list(&webhook.triggers))
    .bind(row::list(&webhook.connections))
    .bind(
        shared
            .seal
            .seal(place("secret", &row), webhook.secret.expose()),
    )
    .bind(reason)
    .bind(since)
    .bind(time(webhook.failing_since))
    .bind(webhook.created_at.as_millis())
    .bind(i16::from(Shard::of_webhook(webhook.id).get()))
    .execute(sql)
    .await;
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("webhook {}", webhook.id),
        })),
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: format!("environment {}", webhook.environment),
        })),
        inserted => {
            inserted?;
            shared.hints.look();
            Ok(())
        }
    }
}

pub(super) async fn one(
    shared: &Shared,
    sql: &mut PgConnection,
    id: WebhookId,
) -> Result<Option<Webhook>, Undone> {
    let row = sqlx::query(select!(" WHERE id = $1"))
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?;
    row.as_ref()
        .map(|row| {
            let mut columns = Columns::new(row);
            columns.skip();
            read(&mut columns, &shared.seal)
        })
        .transpose()
}

pub(super) async fn list(
    shared: &Shared,
    sql: &mut PgConnection,
    environment: Option<EnvironmentId>,
    page: &Page,
    after: i64,
) -> Result<Listing<Webhook>, Undone> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only("environment_id = ?", environment);
    list.page(sql, page, after, |columns| read(columns, &shared.seal))
        .await
}

/// Only what is named is written, so that two who change different things at the same time both succeed.
pub(super) async fn change(
    shared: &Shared,
    sql: &mut PgConnection,
    id: WebhookId,
    change: &WebhookChange,
) -> Result<Option<Webhook>, Undone> {
    let noted = Noted::of(Changed::Webhook(id));
    let url = change.url.as_ref().map(|url| {
        shared
            .seal
            .seal(place("url", &noted.id), url.expose().as_str())
    });
    let (reason, since) = change.state.as_ref().map_or((None, None), columns_of);
    // Who enables it says that it works again: the days before count no more.
    let changed = sqlx::query(noting!(
        "UPDATE webhooks SET url = coalesce($4, url), description = coalesce($5, description),
             triggers = coalesce($6, triggers), connections = coalesce($7, connections),
             failing_since = CASE WHEN $8 AND $9::text IS NULL AND disabled_reason IS NOT NULL THEN NULL
                 ELSE failing_since END,
             disabled_reason = CASE WHEN $8 THEN $9 ELSE disabled_reason END,
             disabled_since = CASE WHEN $8 THEN $10 ELSE disabled_since END
         WHERE id = $2
         RETURNING seq, id, environment_id, url, description, triggers, connections, secret, disabled_reason,
             disabled_since, failing_since, created_at"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(url)
    .bind(change.description.as_deref().map(text))
    .bind(change.triggers.as_deref().map(row::list))
    .bind(change.connections.as_deref().map(row::list))
    .bind(change.state.is_some())
    .bind(reason)
    .bind(since)
    .fetch_optional(sql)
    .await?;
    let Some(row) = changed else {
        return Ok(None);
    };
    shared.hints.look();
    if change.state == Some(WebhookState::Active) {
        shared.hints.due([id]);
    }
    let mut columns = Columns::new(&row);
    columns.skip();
    read(&mut columns, &shared.seal).map(Some)
}

pub(super) async fn delete(
    shared: &Shared,
    sql: &mut PgConnection,
    id: WebhookId,
) -> Result<bool, Undone> {
    let noted = Noted::of(Changed::Webhook(id));
    let deleted = sqlx::query(noting!(
        "noted_down AS (INSERT INTO deleted_webhooks (id, deleted_at)
             SELECT id, database_ms() FROM webhooks WHERE id = $2 ON CONFLICT DO NOTHING),",
        "DELETE FROM webhooks WHERE id = $2 RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(&noted.id)
    .bind(&shared.node)
    .fetch_optional(&mut *sql)
    .await?;
    if deleted.is_none() {
        return Ok(false);
    }
    shared.hints.look();
    // Usually this is all of it; what is left goes later, so that nobody waits for a million rows.
    remove_deliveries(sql, &noted.id).await?;
    Ok(true)
}

/// Removes some deliveries of a removed webhook; whether more may be left.
pub(super) async fn remove_leftovers(sql: &mut PgConnection) -> Result<bool, Undone> {
    let left: Vec<(String, bool)> = sqlx::query_as(
        "SELECT id, deleted_at < database_ms() - $1 FROM deleted_webhooks ORDER BY deleted_at LIMIT 100",
    )
    .bind(STRAGGLERS)
    .fetch_all(&mut *sql)
    .await?;
    for (id, is_old) in left {
        if remove_deliveries(sql, &id).await? {
            return Ok(true);
        }
        if is_old {
            sqlx::query("DELETE FROM deleted_webhooks WHERE id = $1")
                .bind(&id)
                .execute(&mut *sql)
                .await?;
        }
    }
    Ok(false)
}

/// Removes a slice of the deliveries that have not arrived, with their attempts; whether more are left.
async fn remove_deliveries(sql: &mut PgConnection, id: &str) -> Result<bool, Undone> {
    let mut left = SLICE;
    for statement in [
        "WITH gone AS (
             DELETE FROM deliveries WHERE seq = ANY(ARRAY(SELECT seq FROM deliveries
                 WHERE webhook_id = $1 AND state = 'pending' ORDER BY due_at, seq LIMIT $2)) RETURNING seq),
         attempts AS (DELETE FROM attempts WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM gone)))
         SELECT count(*) FROM gone",
        "WITH gone AS (
             DELETE FROM deliveries WHERE seq = ANY(ARRAY(SELECT seq FROM deliveries
                 WHERE webhook_id = $1 AND state = 'dead' ORDER BY seq LIMIT $2)) RETURNING seq),
         attempts AS (DELETE FROM attempts WHERE delivery_seq = ANY(ARRAY(SELECT seq FROM gone)))
         SELECT count(*) FROM gone",
    ] {
        let (gone,): (i64,) = sqlx::query_as(statement)
            .bind(id)
            .bind(left)
            .fetch_one(&mut *sql)
            .await?;
        left -= gone;
    }
    Ok(left <= 0)
}

fn columns_of(state: &WebhookState) -> (Option<&'static str>, Option<i64>) {
    match state {
        WebhookState::Active => (None, None),
        WebhookState::Disabled { reason, since } => {
            (Some(reason.as_str()), Some(since.as_millis()))
        }
    }
}

fn read(columns: &mut Columns<'_>, seal: &Seal) -> Result<Webhook, Undone> {
    let id: WebhookId = columns.parsed()?;
    let text = id.to_string();
    let environment = columns.parsed()?;
    let url = columns.secret(seal, place("url", &text))?;
    let url = WebhookUrl::parse(url.expose()).map_err(|error| corrupt(3, &error))?;
    let description = columns.value()?;
    let triggers = columns.list(Trigger::parse)?;
    let connections = columns.list(str::parse)?;
    let secret = columns.secret(seal, place("secret", &text))?;
    let reason = columns.word_if_any(REASONS, DisabledReason::as_str)?;
    let since = columns.time_if_any()?;
    let state = match (reason, since) {
        (Some(reason), Some(since)) => WebhookState::Disabled { reason, since },
        _ => WebhookState::Active,
    };
    Ok(Webhook {
        id,
        environment,
        url,
        description,
        triggers,
        connections,
        secret,
        state,
        failing_since: columns.time_if_any()?,
        created_at: columns.time()?,
    })
}

fn place<'a>(column: &'static str, row: &'a str) -> Place<'a> {
    Place {
        table: "webhooks",
        column,
        row,
    }
}
