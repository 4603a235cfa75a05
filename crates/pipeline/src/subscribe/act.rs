//! One row: asks Graph for what the row wants, and says what the row is then.

use tidings_domain::{
    connection::Connection,
    subscription::{Subscription, SubscriptionState},
};
use tidings_graph::{
    CallError,
    client::Access,
    resource::{
        SubscriptionPath,
        table::{ResourceRow, Version},
    },
    wire::subscription::{NewSubscription, SubscriptionResource},
};
use tidings_storage::record::SubscriptionUpdate;
use url::Url;

use super::{SubscribeParts, advice, conflict, schedule, unchanged};
use crate::{
    credentials,
    manage::{
        connection::access,
        integration::{lifecycle_url, notification_url},
    },
    metrics::CallResult,
};

/// What becomes of the row.
pub(super) enum Done {
    Changed(SubscriptionUpdate),
    /// It is gone at Graph, and nothing more is to be done.
    Removed,
}

/// All that calls about a row need.
pub(super) struct Case<'a> {
    pub(super) parts: &'a SubscribeParts,
    pub(super) row: &'a Subscription,
    pub(super) access: Access,
    pub(super) notification_url: Url,
    lifecycle_url: Url,
    connection: std::sync::Arc<Connection>,
    path: Option<SubscriptionPath>,
}

/// Does for `row` what it wants now.
pub(super) async fn act(parts: &SubscribeParts, row: &Subscription) -> Done {
    let connection = parts.directory.connection(row.connection);
    let integration = parts.directory.integration_by_id(row.integration);
    let (Some(connection), Some(integration)) = (connection, integration) else {
        // A connection outlives its subscriptions, so the directory has not heard of it yet.
        let error = CallError::Unavailable {
            detail: "the connection is not known yet".to_owned(),
            retry_after: None,
        };
        return Done::Changed(later(parts, row, &error, error.to_string()));
    };
    let case = Case {
        parts,
        row,
        access: access(&integration, connection.tenant_id.to_string()),
        notification_url: notification_url(&parts.public_url, &integration),
        lifecycle_url: lifecycle_url(&parts.public_url, &integration),
        path: SubscriptionPath::parse(&row.resource).ok(),
        connection,
    };
    match (row.state, &row.graph_id) {
        (SubscriptionState::Deleting, _) => case.remove().await,
        (SubscriptionState::Active, Some(graph_id)) => Done::Changed(case.renew(graph_id).await),
        _ => Done::Changed(case.create().await),
    }
}

impl Case<'_> {
    async fn create(&self) -> SubscriptionUpdate {
        // What stands in the way is removed at most once: whatever puts it back will not stop by itself.
        let made = match self.ask_for_it().await {
            Err(CallError::Conflict { existing, message }) => {
                match conflict::resolve(self, existing, &message).await {
                    Ok(conflict::Resolved::Ours(found)) => Ok(*found),
                    Ok(conflict::Resolved::OutOfTheWay) => self.ask_for_it().await,
                    Ok(conflict::Resolved::NotOurs(why)) => return self.in_conflict(why),
                    Err(error) => Err(error),
                }
            }
            made => made,
        };
        match made {
            Ok(made) => self.served(made),
            Err(error) => self.failed(&error),
        }
    }

    async fn ask_for_it(&self) -> Result<SubscriptionResource, CallError> {
        let now = self.parts.clock.now();
        let row = self.table_row();
        let lifetime = row.map_or(std::time::Duration::from_hours(1), |row| row.lifetime.ask());
        let new = NewSubscription {
            change_type: self.row.change_types.to_string(),
            notification_url: self.notification_url.to_string(),
            // It can be set now or never.
            lifecycle_notification_url: Some(self.lifecycle_url.to_string()),
            resource: self.row.resource.clone(),
            expires_at: now + lifetime,
            client_state: Some(self.row.client_state.clone()),
            include_resource_data: None,
            encryption_certificate: None,
            encryption_certificate_id: None,
            latest_supported_tls_version: None,
            notification_query_options: None,
            notification_url_app_id: None,
        };
        let version = row.map_or(Version::V1, |row| row.version);
        let graph = &self.parts.graph;
        self.noted(graph.create_subscription(&self.access, version, &new).await)
            .await
    }

    async fn renew(&self, graph_id: &str) -> SubscriptionUpdate {
        let now = self.parts.clock.now();
        let lifetime = self
            .table_row()
            .map_or(std::time::Duration::from_hours(1), |row| row.lifetime.ask());
        let graph = &self.parts.graph;
        let renewed = graph
            .renew_subscription(&self.access, graph_id, now + lifetime)
            .await;
        match self.noted(renewed).await {
            Ok(renewed) => self.served(renewed),
            // Expired or removed: Graph never revives one. The new one has the same clientState, so that what Graph
            // still sends for the old one is known too.
            Err(CallError::NotFound) => self.create().await,
            Err(error) => self.failed(&error),
        }
    }

    async fn remove(&self) -> Done {
        let graph = &self.parts.graph;
        let removed = match &self.row.graph_id {
            Some(id) => {
                let deleted = graph.delete_subscription(&self.access, id).await;
                self.noted(deleted).await
            }
            // Graph may have made it without our having heard so.
            None => conflict::remove_unheard_of(self).await,
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
            Err(error) => Done::Changed(later(self.parts, self.row, &error, error.to_string())),
        }
    }

    /// Graph serves it.
    fn served(&self, served: SubscriptionResource) -> SubscriptionUpdate {
        let now = self.parts.clock.now();
        SubscriptionUpdate {
            id: self.row.id,
            state: SubscriptionState::Active,
            graph_id: Some(served.id),
            expires_at: Some(served.expires_at),
            due_at: schedule::renewal(now, served.expires_at, &*self.parts.entropy),
            failures: 0,
            last_error: None,
            renewed_at: Some(now),
        }
    }

    fn failed(&self, error: &CallError) -> SubscriptionUpdate {
        let told = advice::about(error, self.table_row(), &self.notification_url);
        let may_pass = error.is_transient()
            || error.is_failed_handshake()
            || matches!(error, CallError::Credentials { .. } | CallError::NotFound);
        let now = self.parts.clock.now();
        // One that still lives is not given up before its end.
        let lives = self.row.state == SubscriptionState::Active
            && self.row.expires_at.is_some_and(|end| now < end);
        if may_pass || lives {
            let mut update = later(self.parts, self.row, error, told);
            if !lives {
                update.state = SubscriptionState::Pending;
            }
            return update;
        }
        tracing::warn!(subscription.id = %self.row.id, problem = told, "Graph refuses a subscription");
        SubscriptionUpdate {
            state: SubscriptionState::Failed,
            failures: self.row.failures.saturating_add(1),
            last_error: Some(told),
            due_at: schedule::after_refusal(now, &*self.parts.entropy),
            ..unchanged(self.row)
        }
    }

    fn in_conflict(&self, why: String) -> SubscriptionUpdate {
        tracing::warn!(subscription.id = %self.row.id, problem = why, "another subscription stands in the way");
        SubscriptionUpdate {
            state: SubscriptionState::Conflict,
            failures: self.row.failures.saturating_add(1),
            last_error: Some(why),
            due_at: schedule::after_refusal(self.parts.clock.now(), &*self.parts.entropy),
            ..unchanged(self.row)
        }
    }

    fn table_row(&self) -> Option<&'static ResourceRow> {
        self.path.as_ref().map(SubscriptionPath::row)
    }

    /// Counts a call and records what it showed of the credentials.
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
        credentials::note(
            &*self.parts.store,
            &self.parts.directory,
            &*self.parts.clock,
            &self.connection,
            answer.as_ref().err(),
        )
        .await;
        answer
    }
}

/// The row is tried again, the later the more often it failed.
fn later(
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
