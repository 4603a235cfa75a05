//! One item, from its turn to the end or to its next turn.

use std::hash::{DefaultHasher, Hash, Hasher};

use tidings_domain::{
    completeness::{Counted, How},
    connection::Connection,
    event::ObjectState,
    ids::{ConnectionId, IntegrationId, NotificationId, SubscriptionId},
    notification::{Notification, Origin, Verdict},
    reconcile::ReconcileReason,
    resource::{ChangeType, ResourceKind},
};
use tidings_graph::{CallError, client::Access, resource::ItemPath};
use tidings_storage::{
    Held, Lease, StoreError,
    record::{AskReconcile, NewDelivery, NewEvent, Outcome, QueuedNotification, Seq},
};

use super::{
    EnrichParts, STORE_PAUSE,
    backlog::Work,
    breaker::Contact,
    call::{self, Answer, Question, Share},
    ended::{Ended, MISHAP, Next, again, finish, finish_all, finished, lost, postponed},
    event::{self, Found},
    known, lifecycle,
    look::{self, Seen},
    merge,
};
use crate::{
    completeness, directory::Change, ingest::held, manage::connection::access, members,
    metrics::Stage, reconcile, together::Seat, version,
};

/// What an item needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To ask Graph for the connection, and for the mailbox if it is in one.
    Fetch {
        integration: IntegrationId,
        connection: ConnectionId,
        mailbox: Option<u64>,
    },
    /// Nothing but the store.
    Quick,
}

impl Route {
    pub(super) fn of(notification: &Notification) -> Self {
        let Some(connection) = notification.connection else {
            return Self::Quick;
        };
        // A deletion that Graph told of a subscription of ours can be believed. One of a hand-made subscription comes
        // with a secret that other tenants know, and only makes us look.
        let believed_deletion = notification.change_type == Some(ChangeType::Deleted)
            && notification.subscription.is_some()
            && notification.origin == Origin::Notification;
        if notification.verdict == Verdict::Held
            || notification.lifecycle_event.is_some()
            || believed_deletion
        {
            return Self::Quick;
        }
        let path = ItemPath::parse(&notification.resource).ok();
        let mailbox = path.as_ref().and_then(ItemPath::mailbox).map(|mailbox| {
            let mut hasher = DefaultHasher::new();
            mailbox.hash(&mut hasher);
            hasher.finish()
        });
        Self::Fetch {
            integration: notification.integration,
            connection,
            mailbox,
        }
    }
}

/// An item that has its turn, and those that can be told with it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) head: Piece,
    pub(super) like: Vec<Piece>,
}

/// An item, with its data if that is in memory.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) seq: Seq,
    pub(super) work: Option<Box<Work>>,
}

/// Takes an item's turn. `held` says which shards were ours when the turn began. `share` is its part in what it does
/// together with others.
pub(super) async fn run(parts: &EnrichParts, job: Job, held: Held, share: Share) -> Ended {
    let Share { reading, asking } = share;
    let Piece { seq, work } = job.head;
    let mut work = match work {
        Some(work) => {
            drop(reading);
            work
        }
        None => match call::read(parts, reading, seq).await {
            call::Read::Here(queued) => Work::new(*queued),
            call::Read::NotThere if parts.fence.now() == held => {
                return finished(Contact::NotAsked);
            }
            // Perhaps it is there, and was not ours for a moment.
            call::Read::NotThere => return lost(Contact::NotAsked),
            call::Read::Failed => {
                return again(Contact::NotAsked, parts.clock.now() + STORE_PAUSE);
            }
        },
    };
    work.merged = if job.like.is_empty() {
        Vec::new()
    } else {
        alike(parts, &work.queued, job.like).await
    };
    let lease = work.queued.lease;
    if !parts.fence.allows(lease) {
        return lost(Contact::NotAsked);
    }
    let notification = &work.queued.notification;
    if notification.verdict == Verdict::Held {
        return settle(parts, work).await;
    }
    if let Some(event) = notification.lifecycle_event {
        return match lifecycle::outcome(parts, notification, event).await {
            Ok(outcome) => finish(parts, seq, lease, outcome, Contact::NotAsked).await,
            Err(error) => {
                tracing::warn!(%error, "a subscription cannot be read: it is tried again");
                again(Contact::NotAsked, parts.clock.now() + STORE_PAUSE)
            }
        };
    }
    let (Some(connection), Some(change)) = (notification.connection, notification.change_type)
    else {
        return finish(parts, seq, lease, Outcome::default(), Contact::NotAsked).await;
    };
    let Some(connection) = parts.directory.connection(connection) else {
        drop(asking);
        return orphaned(parts, seq, lease, connection).await;
    };
    if Route::of(notification) == Route::Quick {
        let found = Found {
            change,
            state: ObjectState::Deleted,
            object: None,
            version: None,
        };
        return tell(parts, &work, &connection, found, Contact::NotAsked).await;
    }
    look_and_finish(parts, work, &connection, asking).await
}

/// Those of `like` that are told with `head`. Those that cannot be read now have their own turn.
async fn alike(
    parts: &EnrichParts,
    head: &QueuedNotification,
    like: Vec<Piece>,
) -> Vec<QueuedNotification> {
    let (mut found, mut missing) = (Vec::with_capacity(like.len()), Vec::new());
    for piece in like {
        match piece.work {
            Some(work) => found.push(work.queued),
            None => missing.push(piece.seq),
        }
    }
    if !missing.is_empty() {
        match parts.store.queued_notifications_at(missing).await {
            Ok(read) => found.extend(read),
            Err(error) => tracing::debug!(%error, "queued notifications cannot be read"),
        }
    }
    found.retain(|one| {
        parts.fence.allows(one.lease) && merge::are_alike(&head.notification, &one.notification)
    });
    found.sort_by_key(|one| one.seq);
    found
}

async fn look_and_finish(
    parts: &EnrichParts,
    mut work: Box<Work>,
    connection: &Connection,
    asking: Seat<Question, Answer>,
) -> Ended {
    let (seq, lease) = (work.queued.seq, work.queued.lease);
    let path = ItemPath::parse(&work.queued.notification.resource);
    if path.as_ref().is_ok_and(names_no_item)
        && let Some(ask) = unnamed(parts, &work.queued.notification)
    {
        let outcome = Outcome {
            reconcile: Some(ask),
            ..Outcome::default()
        };
        drop(asking);
        return finish_all(parts, &work, outcome, Contact::NotAsked).await;
    }
    let integration = parts.directory.integration_by_id(connection.integration);
    let (Ok(path), Some(integration)) = (path, integration) else {
        // Ingest accepts only paths that can be read, and an integration outlives its connections. What is watched is
        // named where Graph does not name the item: in drives and lists.
        drop(asking);
        let outcome = Outcome {
            reconcile: unnamed(parts, &work.queued.notification),
            ..Outcome::default()
        };
        return finish_all(parts, &work, outcome, Contact::NotAsked).await;
    };
    let access = access(&integration, connection.tenant_id.to_string());
    let group = (path.kind() == ResourceKind::Group).then(|| (access.clone(), path.clone()));
    let in_mailbox = path.mailbox().is_some();
    let question = Question {
        lease,
        access,
        path,
    };
    let started = parts.clock.monotonic();
    let (answer, whole) = match call::ask(parts, asking, question).await {
        Answer::Came { answer, whole } => (*answer, whole),
        Answer::NotOurs => return lost(Contact::NotAsked),
    };
    let took = parts.clock.monotonic().saturating_sub(started);
    parts.metrics.fetched(look::counted(&answer), took);
    let credentials = &parts.credentials;
    credentials.note(connection, answer.as_ref().err()).await;
    if let Err(error) = &answer {
        tracing::debug!(seq = seq.0, %error, "a changed item could not be fetched");
    }
    let graph = look::contact(&answer, whole, in_mailbox);
    let now = parts.clock.now();
    match look::judge(&mut work, answer, now) {
        Seen::Found(found) => match with_members(parts, &work, group, found).await {
            Ok(found) => tell(parts, &work, connection, found, graph).await,
            Err(error) => {
                tracing::debug!(seq = seq.0, %error, "the members of a group could not be read: it is tried again");
                postponed(parts, &work, error.retry_after(), graph).await
            }
        },
        Seen::LookAgain(wait) => {
            work.merged.clear();
            Ended {
                graph,
                merged: Vec::new(),
                next: Next::Again {
                    due_at: now + wait,
                    work: Some(work),
                },
            }
        }
        Seen::PutOff { retry_after } => postponed(parts, &work, retry_after, graph).await,
    }
}

/// What was found, of a group with who is in it as a part of its version.
async fn with_members(
    parts: &EnrichParts,
    work: &Work,
    group: Option<(Access, ItemPath)>,
    found: Found,
) -> Result<Found, CallError> {
    let notification = &work.queued.notification;
    let subscription = notification.subscription;
    let entry = subscription.and_then(|id| parts.directory.subscription(id));
    let watched = entry.as_ref().and_then(|entry| entry.path.as_deref());
    let (Some((access, path)), Some(watched), Some(object)) = (group, watched, &found.object)
    else {
        return Ok(found);
    };
    let name = members::version(&parts.graph, &access, watched, &path, object).await?;
    Ok(match name {
        Some(name) => Found {
            version: Some(version::named(&name)),
            ..found
        },
        None => found,
    })
}

/// Tells what was found, unless the app knows it.
async fn tell(
    parts: &EnrichParts,
    work: &Work,
    connection: &Connection,
    found: Found,
    graph: Contact,
) -> Ended {
    let last = work.last();
    let (seq, notification) = (last.seq, &last.notification);
    let path = ItemPath::parse(&notification.resource).ok();
    let weighed = match &path {
        Some(path) => known::weigh(parts, notification, path, found).await,
        // It leads to no event.
        None => Ok(known::Weighed {
            tell: None,
            told: None,
        }),
    };
    let known::Weighed { tell, told } = match weighed {
        Ok(weighed) => weighed,
        Err(error) => {
            tracing::warn!(seq = seq.0, %error, "what the app knows of an item cannot be read: it is tried again");
            return again(graph, parts.clock.now() + STORE_PAUSE);
        }
    };
    let merged: Vec<_> = work.all_but_last().map(|one| one.notification.id).collect();
    let counted = tell
        .as_ref()
        .and_then(|found| counted(notification, path.as_ref()?.kind(), found));
    let (at_once, later): (Option<Counted>, Option<Counted>) = match counted {
        Some(one) if one.how == How::OnTime => (None, counted),
        _ => (counted, None),
    };
    let events = tell.map_or_else(Vec::new, |found| {
        events(parts, notification, &merged, connection, &found)
    });
    if notification.origin != Origin::Notification
        && let Some(subscription) = notification.subscription
    {
        parts.finds.note(subscription, parts.clock.now());
    }
    let outcome = Outcome {
        told,
        counted: at_once,
        ..events.into()
    };
    let ended = finish_all(parts, work, outcome, graph).await;
    if let Some(one) = later
        && matches!(ended.next, Next::Finished)
    {
        parts.tally.note(one.subscription, one.at);
    }
    ended
}

/// How the change became known that `found` is, if it is one of a subscription of ours.
fn counted(notification: &Notification, kind: ResourceKind, found: &Found) -> Option<Counted> {
    let subscription = notification.subscription?;
    let how = completeness::how(notification, kind, found.object.as_deref())?;
    Some(Counted {
        subscription,
        at: notification.received_at,
        how,
        count: 1,
    })
}

/// Whether Graph only names what is watched: of drives and lists it never says what in them has changed.
fn names_no_item(path: &ItemPath) -> bool {
    matches!(path.kind(), ResourceKind::DriveItem | ResourceKind::List)
}

/// The wish that a subscription be reconciled whose notification names no item.
fn unnamed(
    parts: &EnrichParts,
    notification: &Notification,
) -> Option<(SubscriptionId, AskReconcile)> {
    if notification.origin != Origin::Notification {
        return None;
    }
    let entry = parts.directory.subscription(notification.subscription?)?;
    reconcile::covers(entry.path.as_deref()?).then(|| {
        let now = parts.clock.now();
        let ask = AskReconcile {
            reason: ReconcileReason::Notified,
            asked_at: now,
            due_at: now,
            deliver_existing: false,
        };
        (entry.id, ask)
    })
}

/// The events of what was found, and who is to get them.
fn events(
    parts: &EnrichParts,
    notification: &Notification,
    merged: &[NotificationId],
    connection: &Connection,
    found: &Found,
) -> Vec<NewEvent> {
    let kind = ItemPath::parse(&notification.resource).map(|path| path.kind());
    let trigger = kind
        .ok()
        .and_then(|kind| event::trigger(kind, found.change));
    let Some(trigger) = trigger else {
        return Vec::new();
    };
    let event = event::make(
        &parts.ids,
        parts.clock.now(),
        notification,
        merged,
        connection,
        trigger,
        found,
    );
    let deliveries = parts
        .directory
        .tables()
        .webhooks_wanting(connection.environment, connection.id, trigger)
        .map(|webhook| NewDelivery {
            id: parts.ids.next(),
            webhook: webhook.id,
        })
        .collect();
    vec![NewEvent { event, deliveries }]
}

/// The connection is not in the directory: it has been removed, or the directory has not heard of it yet.
async fn orphaned(parts: &EnrichParts, seq: Seq, lease: Lease, connection: ConnectionId) -> Ended {
    match parts.store.connection(connection).await {
        Ok(None) => finish(parts, seq, lease, Outcome::default(), Contact::NotAsked).await,
        found => {
            if found.is_ok() {
                // A refresh that fails is repeated by the directory.
                let _ = parts
                    .directory
                    .refresh(Change::Connection(connection))
                    .await;
            }
            again(Contact::NotAsked, parts.clock.now() + STORE_PAUSE)
        }
    }
}

/// Gives a held notification its verdict.
async fn settle(parts: &EnrichParts, work: Box<Work>) -> Ended {
    let now = parts.clock.now();
    let (seq, lease) = (work.queued.seq, work.queued.lease);
    let settled = held::settle(&parts.directory.tables(), work.queued, now);
    let next = match parts.store.settle_held(seq, lease, settled).await {
        Ok(Verdict::Accepted) => Next::Settled,
        Ok(_) => Next::Finished,
        Err(StoreError::Fenced { .. }) => {
            parts.fence.refuse(lease, Stage::Enrich);
            Next::Lost
        }
        Err(error) => {
            tracing::warn!(seq = seq.0, %error, "a held notification could not be settled: it is tried again");
            let wait = if error.is_transient() {
                STORE_PAUSE
            } else {
                MISHAP
            };
            Next::Again {
                due_at: now + wait,
                work: None,
            }
        }
    };
    Ended {
        graph: Contact::NotAsked,
        merged: Vec::new(),
        next,
    }
}
