//! Comparing because somebody asks for it as he would ask Nango for a sync.

use tidings_domain::{
    ids::{ConnectionId, EnvironmentId, SubscriptionId},
    page::{Page, PageLimit},
    reconcile::ReconcileReason,
    subscription::Subscription,
};
use tidings_storage::record::SubscriptionFilter;

use super::Reconcile;
use crate::manage::ManageError;

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Where everything that is named has to live.
    pub environment: EnvironmentId,
    /// Of which integration.
    pub integration: String,
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only these: ids of subscriptions, kinds or resources. None means all.
    pub syncs: Vec<String>,
}

impl Reconcile {
    /// Has all that is meant reconciled soon, and says how many subscriptions that are.
    ///
    /// `Missing` if there is no such integration or connection, `Invalid` if a sync fits no subscription.
    pub async fn trigger(&self, trigger: Trigger) -> Result<u64, ManageError> {
        let directory = &self.parts.directory;
        let integration = directory
            .integration(trigger.environment, &trigger.integration)
            .ok_or_else(|| ManageError::Missing {
                what: format!("integration `{}`", trigger.integration),
            })?;
        if let Some(id) = trigger.connection {
            directory
                .connection(id)
                .filter(|one| one.integration == integration.id)
                .ok_or_else(|| ManageError::Missing {
                    what: format!("connection `{id}` of integration `{}`", trigger.integration),
                })?;
        }
        if trigger.syncs.is_empty() {
            let which = match trigger.connection {
                Some(id) => SubscriptionFilter::Connection(id),
                None => SubscriptionFilter::Integration(integration.id),
            };
            return Ok(self.ask(which, ReconcileReason::Asked).await?);
        }
        let mut unknown = trigger.syncs.clone();
        let mut meant: Vec<SubscriptionId> = Vec::new();
        let most = PageLimit::new(PageLimit::MAX).unwrap_or_default();
        let mut page = Page::first(most);
        loop {
            let environment = Some(trigger.environment);
            let listing = self
                .parts
                .store
                .subscriptions(environment, trigger.connection, page)
                .await?;
            for row in &listing.items {
                let fits = |sync: &String| is_meant(sync, row);
                if row.integration == integration.id && trigger.syncs.iter().any(fits) {
                    meant.push(row.id);
                    unknown.retain(|sync| !is_meant(sync, row));
                }
            }
            match listing.next {
                Some(next) => {
                    page = Page {
                        after: Some(next),
                        limit: most,
                    }
                }
                None => break,
            }
        }
        if let Some(sync) = unknown.first() {
            return Err(ManageError::Invalid {
                pointer: "/syncs",
                detail: format!(
                    "`{sync}` is none of the subscriptions that are meant: give the id of one, its resource, or a kind \
                     such as `event`; without `syncs` all are compared"
                ),
            });
        }
        let mut asked = 0;
        for id in meant {
            let which = SubscriptionFilter::One(id);
            asked += self.ask(which, ReconcileReason::Asked).await?;
        }
        Ok(asked)
    }
}

fn is_meant(sync: &str, row: &Subscription) -> bool {
    sync == row.kind.as_str()
        || sync.trim_start_matches('/') == row.resource
        || sync.parse().is_ok_and(|id: SubscriptionId| id == row.id)
}
