//! One row: asks Graph for what the row wants, and says what the row is then.

use std::sync::Arc;

use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionIntent},
    reconcile::ReconcileReason,
    subscription::{Former, Subscription, SubscriptionState},
    trigger::Operation,
};
use tidings_graph::{
    CallError,
    client::Access,
    resource::{
        SubscriptionPath,
        table::{ResourceRow, Version},
    },
    wire::subscription::{NewSubscription, SubscriptionPatch, SubscriptionResource},
};
use tidings_storage::record::{AskReconcile, SubscriptionUpdate};
use url::Url;

use super::{
    Subscribe, SubscribeParts, advice, company::Company, conflict, due::want, pace::Want, schedule,
    unchanged,
};
use crate::{
    manage::{connection::access, integration::lifecycle_url},
    metrics::CallResult,
    reconcile,
};

/// What becomes of the row.
pub(super) enum Done {
    Changed(Box<SubscriptionUpdate>),
    /// It is gone at Graph, and nothing more is to be done.
    Removed,
}

/// All that calls about a row need.
pub(super) struct Case<'a> {
    pub(super) stage: &'a Subscribe,
    pub(super) parts: &'a SubscribeParts,
    pub(super) row: &'a Subscription,
    pub(super) access: Access,
    pub(super) notification_url: Url,
    pub(super) connection: Arc<Connection>,
    lifecycle_url: Url,
    path: Option<SubscriptionPath>,
}

/// Why a subscription is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Making {
    /// Graph does not serve the row.
    Wanted,
    /// We have removed the one that served it, for another.
    Replacing,
}

/// Does for `row` what it wants now, together with its `company` as far as that goes.
pub(super) async fn act(stage: &Subscribe, row: &Subscription, company: &mut Company) -> Done {
    let parts = &*stage.parts;
    let connection = parts.directory.connection(row.connection);
    let integration = parts.directory.integration_by_id(row.integration);
    let (Some(connection), Some(integration)) = (connection, integration) else {
        // A connection outlives its subscriptions, so the directory has not heard of it yet.
        let error = CallError::Unavailable {
            detail: "the connection is not known yet".to_owned(),
            retry_after: None,
        };
        return changed(later(parts, row, &error, error.to_string()));
    };
    let case = Case {
        stage,
        parts,
        row,
        access: access(&integration, connection.tenant_id.to_string()),
        notification_url: stage.notification_url(&integration),
        lifecycle_url: lifecycle_url(&parts.public_url, &integration),
        path: SubscriptionPath::parse(&row.resource).ok(),
        connection,
    };
    match (row.state, &row.graph_id) {
        (SubscriptionState::Deleting, _) => case.remove(company).await,
        _ if case.connection.intent != ConnectionIntent::Kept => changed(case.rest(company).await),
        (SubscriptionState::Active, Some(graph_id)) => changed(case.keep(graph_id, company).await),
        _ => {
            let _turn = company.leave_to_call().await;
            changed(case.create(Making::Wanted).await)
        }
    }
}

fn changed(update: SubscriptionUpdate) -> Done {
    Done::Changed(Box::new(update))
}

/// The row without the subscription that Graph had for it.
pub(super) fn forgotten(row: &Subscription, now: Timestamp) -> SubscriptionUpdate {
    let former = row.graph_id.clone().map(|graph_id| Former {
        graph_id,
        since: now,
    });
    SubscriptionUpdate {
        state: SubscriptionState::Pending,
        graph_id: None,
        expires_at: None,
        former: former.or_else(|| row.former.clone()),
        ..unchanged(row)
    }
}

impl Case<'_> {
    /// Keeps alive what Graph serves, where and as it is to be.
    async fn keep(&self, graph_id: &str, company: &mut Company) -> SubscriptionUpdate {
        let noted = self.row.lifecycle.unwrap_or_default();
        if noted.removed {
            // It has been told when Graph said it.
            return self.make_anew(company).await;
        }
        if is_another(self.row.notification_url.as_deref(), &self.notification_url) {
            // First of all the changes that come from now on; a handshake shows that they can.
            company.leave();
            let url = Some(&self.notification_url);
            return self.renew(graph_id, url, company).await;
        }
        let now = self.parts.clock.now();
        if is_another(self.row.lifecycle_url.as_deref(), &self.lifecycle_url) {
            if let Ok(_one_at_a_time) = self.stage.memory.replacing.try_lock() {
                let _turn = company.leave_to_call().await;
                return self.replace(graph_id).await;
            }
            if want(self.row, now) == Want::InTime {
                return SubscriptionUpdate {
                    due_at: self.stage.memory.replacement(now),
                    ..unchanged(self.row)
                };
            }
        }
        let waits = schedule::wait_since(self.row.patched_at, self.row.expires_at, now)
            .filter(|_| noted.reauthorize && self.row.failures == 0);
        match waits {
            Some(due_at) => SubscriptionUpdate {
                due_at,
                ..unchanged(self.row)
            },
            None => self.renew(graph_id, None, company).await,
        }
    }

    /// Asks Graph for a later end, and to send to another URL from now on if there is one.
    async fn renew(
        &self,
        graph_id: &str,
        url: Option<&Url>,
        company: &mut Company,
    ) -> SubscriptionUpdate {
        let sent_at = self.parts.clock.now();
        let update = match self.extend(graph_id, url, company).await {
            Ok(renewed) => self.renewed(renewed, url),
            // Expired or removed: Graph never revives one.
            Err(CallError::NotFound) => {
                let gone = self.tell(
                    Operation::SubscriptionRemoved,
                    "Graph had the subscription no more when it was to be renewed: it is made anew",
                    None,
                );
                let mut update = self.make_anew(company).await;
                update.events.insert(0, gone);
                update
            }
            Err(error) => self.not_renewed(&error),
        };
        SubscriptionUpdate {
            patched_at: Some(sent_at),
            ..update
        }
    }

    async fn extend(
        &self,
        graph_id: &str,
        url: Option<&Url>,
        company: &mut Company,
    ) -> Result<SubscriptionResource, CallError> {
        let (graph, lifetimes) = (&self.parts.graph, &self.stage.memory.lifetimes);
        let mut lifetime = lifetimes.ask(self.table_row());
        loop {
            let patch = SubscriptionPatch {
                expires_at: Some(self.parts.clock.now() + lifetime),
                notification_url: url.map(Url::to_string),
                ..SubscriptionPatch::default()
            };
            let answer = company.patch(graph, &self.access, graph_id, &patch).await;
            match self.noted(answer).await {
                Err(error) => match lifetimes.less(self.table_row(), lifetime, &error) {
                    Some(less) => lifetime = less,
                    None => return Err(error),
                },
                renewed => return renewed,
            }
        }
    }

    /// Makes anew what Graph has no more. The new one has the same clientState, so that what Graph still sends for the
    /// old one is known too.
    async fn make_anew(&self, company: &mut Company) -> SubscriptionUpdate {
        let _turn = company.leave_to_call().await;
        self.create(Making::Wanted).await
    }

    /// Makes anew what can only be changed so: where lifecycle notifications go.
    async fn replace(&self, graph_id: &str) -> SubscriptionUpdate {
        let graph = &self.parts.graph;
        let deleted = graph.delete_subscription(&self.access, graph_id).await;
        match self.noted(deleted).await {
            Ok(()) | Err(CallError::NotFound) => {}
            Err(error) => return self.not_renewed(&error),
        }
        let mut update = self.create(Making::Replacing).await;
        if update.state != SubscriptionState::Active {
            let gone = self.tell(
                Operation::SubscriptionRemoved,
                "the subscription was to be made anew for another public URL, and Graph has not done so yet: it is \
                 tried again",
                None,
            );
            update.events.insert(0, gone);
        }
        update
    }

    async fn create(&self, why: Making) -> SubscriptionUpdate {
        // What stands in the way is removed at most once: whatever puts it back will not stop by itself.
        let made = match self.ask_for_it().await {
            Err(CallError::Conflict { existing, message }) => {
                match conflict::resolve(self, existing, &message).await {
                    Ok(conflict::Resolved::Ours(found)) => Ok(*found),
                    Ok(conflict::Resolved::OutOfTheWay) => {
                        self.ask_for_it().await.map(|made| self.as_asked(made))
                    }
                    Ok(conflict::Resolved::NotOurs(why)) => return self.in_conflict(why),
                    Err(error) => Err(error),
                }
            }
            made => made.map(|made| self.as_asked(made)),
        };
        match made {
            Ok(made) => self.made(made, why),
            Err(error) => self.not_made(&error),
        }
    }

    async fn ask_for_it(&self) -> Result<SubscriptionResource, CallError> {
        let (graph, lifetimes) = (&self.parts.graph, &self.stage.memory.lifetimes);
        let row = self.table_row();
        let version = row.map_or(Version::V1, |row| row.version);
        let mut lifetime = lifetimes.ask(row);
        loop {
            let new = NewSubscription {
                change_type: self.row.change_types.to_string(),
                notification_url: self.notification_url.to_string(),
                // It can be set now or never.
                lifecycle_notification_url: Some(self.lifecycle_url.to_string()),
                resource: self.row.resource.clone(),
                expires_at: self.parts.clock.now() + lifetime,
                client_state: Some(self.row.client_state.clone()),
                include_resource_data: None,
                encryption_certificate: None,
                encryption_certificate_id: None,
                latest_supported_tls_version: None,
                notification_query_options: None,
                notification_url_app_id: None,
            };
            let answer = graph.create_subscription(&self.access, version, &new).await;
            match self.noted(answer).await {
                Err(error) => match lifetimes.less(row, lifetime, &error) {
                    Some(less) => lifetime = less,
                    None => return Err(error),
                },
                made => return made,
            }
        }
    }

    /// What Graph has just made has the URLs that it was asked for, in whatever way it may write them.
    fn as_asked(&self, made: SubscriptionResource) -> SubscriptionResource {
        SubscriptionResource {
            notification_url: Some(self.notification_url.to_string()),
            lifecycle_notification_url: Some(self.lifecycle_url.to_string()),
            ..made
        }
    }

    async fn remove(&self, company: &mut Company) -> Done {
        let graph = &self.parts.graph;
        let removed = if let Some(id) = &self.row.graph_id {
            let deleted = company.delete(graph, &self.access, id).await;
            self.noted(deleted).await
        } else {
            // Graph may have made it without our having heard so.
            let _turn = company.leave_to_call().await;
            conflict::remove_unheard_of(self).await
        };
        let now = self.parts.clock.now();
        match removed {
            Ok(()) | Err(CallError::NotFound) => Done::Removed,
            // Who cannot ask Graph any more can only wait for its end.
            Err(error)
                if !error.is_transient() && self.row.expires_at.is_none_or(|end| end <= now) =>
            {
                Done::Removed
            }
            Err(error) => changed(later(self.parts, self.row, &error, error.to_string())),
        }
    }

    /// Graph serves it anew.
    fn made(&self, made: SubscriptionResource, why: Making) -> SubscriptionUpdate {
        let now = self.parts.clock.now();
        let was_away = self.row.renewed_at.is_some()
            || matches!(
                self.row.state,
                SubscriptionState::Conflict | SubscriptionState::Failed
            );
        let back = (was_away && why == Making::Wanted).then(|| {
            let reason = "Graph serves the subscription again";
            self.tell(
                Operation::SubscriptionRecovered,
                reason,
                Some(made.expires_at),
            )
        });
        // What happened while nobody watched has to be looked for.
        let covered = self.path.as_ref().is_some_and(reconcile::covers);
        let ask = AskReconcile {
            reason: ReconcileReason::Created,
            asked_at: now,
            due_at: now,
            deliver_existing: self.row.deliver_existing,
        };
        let former = forgotten(self.row, now).former;
        SubscriptionUpdate {
            former: former.filter(|former| former.graph_id != made.id),
            reconcile: covered.then_some(ask),
            events: back.into_iter().collect(),
            ..self.served(made)
        }
    }

    fn renewed(&self, mut renewed: SubscriptionResource, url: Option<&Url>) -> SubscriptionUpdate {
        // What Graph answers is news only where nothing was known.
        let known = url
            .map(Url::to_string)
            .or(self.row.notification_url.clone());
        renewed.notification_url = known.or(renewed.notification_url);
        let known = self.row.lifecycle_url.clone();
        renewed.lifecycle_notification_url = known.or(renewed.lifecycle_notification_url);
        self.served(renewed)
    }

    /// Graph serves it.
    fn served(&self, served: SubscriptionResource) -> SubscriptionUpdate {
        let now = self.parts.clock.now();
        let notification_url = served.notification_url;
        let lifecycle_url = served.lifecycle_notification_url;
        let renewal = schedule::renewal(now, served.expires_at, &*self.parts.entropy);
        let due_at = if is_another(notification_url.as_deref(), &self.notification_url) {
            now
        } else if is_another(lifecycle_url.as_deref(), &self.lifecycle_url) {
            renewal.min(self.stage.memory.replacement(now))
        } else {
            renewal
        };
        SubscriptionUpdate {
            state: SubscriptionState::Active,
            graph_id: Some(served.id),
            expires_at: Some(served.expires_at),
            due_at,
            failures: 0,
            last_error: None,
            renewed_at: Some(now),
            notification_url,
            lifecycle_url,
            ..unchanged(self.row)
        }
    }

    /// Graph does not serve it, and has not begun to.
    fn not_made(&self, error: &CallError) -> SubscriptionUpdate {
        let now = self.parts.clock.now();
        let told = advice::about(error, self.table_row(), &self.notification_url);
        let away = forgotten(self.row, now);
        if may_pass(error) {
            let retry = later(self.parts, self.row, error, told);
            return SubscriptionUpdate {
                due_at: retry.due_at,
                failures: retry.failures,
                last_error: retry.last_error,
                ..away
            };
        }
        tracing::warn!(subscription.id = %self.row.id, problem = told, "Graph refuses a subscription");
        let news = (self.row.state != SubscriptionState::Failed)
            .then(|| self.tell(Operation::SubscriptionFailed, &told, None));
        SubscriptionUpdate {
            state: SubscriptionState::Failed,
            failures: self.row.failures.saturating_add(1),
            last_error: Some(told),
            due_at: schedule::after_refusal(now, &*self.parts.entropy),
            events: news.into_iter().collect(),
            ..away
        }
    }

    /// Graph does not extend it. While it lives it is not given up, whatever Graph says.
    fn not_renewed(&self, error: &CallError) -> SubscriptionUpdate {
        let told = advice::about(error, self.table_row(), &self.notification_url);
        let mut update = later(self.parts, self.row, error, told);
        let now = self.parts.clock.now();
        if self.row.expires_at.is_some_and(|end| now < end) {
            return update;
        }
        // Graph may still have it, if its clock is behind ours: then it is found when it is made anew.
        let lapsed = self.tell(
            Operation::SubscriptionRemoved,
            "the subscription has lapsed, since Graph could not be asked to renew it: it is made anew",
            self.row.expires_at,
        );
        update.state = SubscriptionState::Pending;
        update.events.push(lapsed);
        update
    }

    fn in_conflict(&self, why: String) -> SubscriptionUpdate {
        let now = self.parts.clock.now();
        tracing::warn!(subscription.id = %self.row.id, problem = why, "another subscription stands in the way");
        let news = (self.row.state != SubscriptionState::Conflict)
            .then(|| self.tell(Operation::SubscriptionConflict, &why, None));
        SubscriptionUpdate {
            state: SubscriptionState::Conflict,
            failures: self.row.failures.saturating_add(1),
            last_error: Some(why),
            due_at: schedule::after_refusal(now, &*self.parts.entropy),
            events: news.into_iter().collect(),
            ..forgotten(self.row, now)
        }
    }

    fn table_row(&self) -> Option<&'static ResourceRow> {
        self.path.as_ref().map(SubscriptionPath::row)
    }

    /// Counts a call, records what it showed of the credentials, and has others wait if Graph wants that.
    pub(super) async fn noted<T>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        self.parts.metrics.call(match &answer {
            Ok(_) => CallResult::Done,
            Err(CallError::Throttled { .. }) => CallResult::Throttled,
            Err(CallError::Credentials { .. }) => CallResult::Credentials,
            Err(CallError::NotFound) => CallResult::NotFound,
            Err(CallError::Conflict { .. }) => CallResult::Conflict,
            Err(CallError::Forbidden { .. } | CallError::Rejected { .. }) => CallResult::Rejected,
            Err(_) => CallResult::Failed,
        });
        if let Err(CallError::Throttled { retry_after, .. }) = &answer {
            let span = retry_after.unwrap_or(schedule::THROTTLED);
            let now = self.parts.clock.monotonic();
            let mut pace = self.stage.memory.pace();
            pace.pause(self.connection.id, span, now);
        }
        let credentials = &self.parts.credentials;
        credentials
            .note(&self.connection, answer.as_ref().err())
            .await;
        answer
    }
}

/// Whether a URL that is known is another than it is to be. Of what is not known, Graph's next answer tells.
fn is_another(known: Option<&str>, wanted: &Url) -> bool {
    known.is_some_and(|known| known != wanted.as_str())
}

/// Whether what made a creation fail may end by itself, or by somebody's mending something elsewhere.
fn may_pass(error: &CallError) -> bool {
    error.is_transient()
        || error.is_failed_handshake()
        || matches!(error, CallError::Credentials { .. } | CallError::NotFound)
}

/// The row is tried again, the later the more often it failed.
pub(super) fn later(
    parts: &SubscribeParts,
    row: &Subscription,
    error: &CallError,
    told: String,
) -> SubscriptionUpdate {
    let failures = row.failures.saturating_add(1);
    SubscriptionUpdate {
        failures,
        last_error: Some(told),
        due_at: schedule::retry(parts.clock.now(), failures, error, &*parts.entropy),
        ..unchanged(row)
    }
}
