//! The directory's tables and the indices over them.

use std::{collections::HashMap, sync::Arc};

use tidings_domain::{
    connection::Connection,
    environment::Environment,
    ids::{ConnectionId, EnvironmentId, IntegrationId, SubscriptionId, WebhookId},
    integration::Integration,
    trigger::Trigger,
    webhook::Webhook,
};
use tidings_storage::record::KeyedHash;
use uuid::Uuid;

use super::{GraphId, SubscriptionEntry};

/// What is configured, as one moment saw it. Held by a read lock: look up, and let go.
#[derive(Debug, Default)]
pub struct Tables {
    environments: HashMap<EnvironmentId, Arc<Environment>>,
    integrations: HashMap<IntegrationId, KnownIntegration>,
    /// Few per environment, so that a scan beats a key that would have to be allocated.
    integrations_of: HashMap<EnvironmentId, Vec<IntegrationId>>,
    connections: HashMap<ConnectionId, Arc<Connection>>,
    connections_by_tenant: HashMap<(IntegrationId, Uuid), ConnectionId>,
    subscriptions: HashMap<SubscriptionId, Arc<SubscriptionEntry>>,
    subscriptions_by_graph_id: HashMap<GraphId, SubscriptionId>,
    subscriptions_by_client_state: HashMap<KeyedHash, SubscriptionId>,
    webhooks: HashMap<WebhookId, Arc<Webhook>>,
    webhooks_by_trigger: HashMap<(EnvironmentId, Trigger), Vec<Arc<Webhook>>>,
}

#[derive(Clone, Debug)]
struct KnownIntegration {
    integration: Arc<Integration>,
    webhook_secret_hash: KeyedHash,
}

impl Tables {
    /// An environment.
    pub fn environment(&self, id: EnvironmentId) -> Option<&Arc<Environment>> {
        self.environments.get(&id)
    }

    /// The integration with this key in this environment.
    pub fn integration(&self, environment: EnvironmentId, key: &str) -> Option<&Arc<Integration>> {
        self.integrations_of
            .get(&environment)?
            .iter()
            .filter_map(|id| self.integration_by_id(*id))
            .find(|integration| integration.key.as_str() == key)
    }

    /// An integration.
    pub fn integration_by_id(&self, id: IntegrationId) -> Option<&Arc<Integration>> {
        self.integrations.get(&id).map(|known| &known.integration)
    }

    /// The keyed hash of the clientState of an integration's hand-made subscriptions.
    pub fn webhook_secret_hash(&self, id: IntegrationId) -> Option<KeyedHash> {
        self.integrations
            .get(&id)
            .map(|known| known.webhook_secret_hash)
    }

    /// A connection.
    pub fn connection(&self, id: ConnectionId) -> Option<&Arc<Connection>> {
        self.connections.get(&id)
    }

    /// The connection of an integration to a tenant.
    pub fn connection_for_tenant(
        &self,
        integration: IntegrationId,
        tenant: Uuid,
    ) -> Option<&Arc<Connection>> {
        self.connections
            .get(self.connections_by_tenant.get(&(integration, tenant))?)
    }

    /// A subscription.
    pub fn subscription(&self, id: SubscriptionId) -> Option<&Arc<SubscriptionEntry>> {
        self.subscriptions.get(&id)
    }

    /// The subscription that Graph knows by this id.
    pub fn subscription_by_graph_id(&self, id: &GraphId) -> Option<&Arc<SubscriptionEntry>> {
        self.subscriptions
            .get(self.subscriptions_by_graph_id.get(id)?)
    }

    /// The subscription with this clientState.
    pub fn subscription_by_client_state(&self, hash: KeyedHash) -> Option<&Arc<SubscriptionEntry>> {
        // Nobody can find out a hash by the time a look-up takes: without the store's key, nobody can choose one.
        self.subscriptions
            .get(self.subscriptions_by_client_state.get(&hash)?)
    }

    /// A webhook.
    pub fn webhook(&self, id: WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.get(&id)
    }

    /// The webhooks that ask for `trigger` events of a connection, disabled ones included: their deliveries are held.
    pub fn webhooks_wanting(
        &self,
        environment: EnvironmentId,
        connection: ConnectionId,
        trigger: Trigger,
    ) -> impl Iterator<Item = &Arc<Webhook>> {
        self.webhooks_by_trigger
            .get(&(environment, trigger))
            .into_iter()
            .flatten()
            .filter(move |webhook| webhook.wants(environment, connection, trigger))
    }

    /// How many subscriptions there are.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    pub(super) fn set_environments(&mut self, environments: Vec<Environment>) {
        self.environments = environments
            .into_iter()
            .map(|one| (one.id, Arc::new(one)))
            .collect();
    }

    pub(super) fn set_integrations(&mut self, integrations: Vec<(Integration, KeyedHash)>) {
        self.integrations.clear();
        self.integrations_of.clear();
        for (integration, webhook_secret_hash) in integrations {
            self.integrations_of
                .entry(integration.environment)
                .or_default()
                .push(integration.id);
            let known = KnownIntegration {
                integration: Arc::new(integration),
                webhook_secret_hash,
            };
            self.integrations.insert(known.integration.id, known);
        }
    }

    pub(super) fn set_connection(&mut self, id: ConnectionId, connection: Option<Connection>) {
        if let Some(old) = self.connections.remove(&id) {
            self.connections_by_tenant
                .remove(&(old.integration, old.tenant_id));
        }
        if let Some(new) = connection {
            self.connections_by_tenant
                .insert((new.integration, new.tenant_id), id);
            self.connections.insert(id, Arc::new(new));
        }
    }

    pub(super) fn set_subscription(
        &mut self,
        id: SubscriptionId,
        subscription: Option<SubscriptionEntry>,
    ) {
        if let Some(old) = self.subscriptions.remove(&id) {
            // Another row may have taken over Graph's id meanwhile: only our own entry is removed.
            for graph_id in [&old.graph_id, &old.former_graph_id].into_iter().flatten() {
                if self.subscriptions_by_graph_id.get(graph_id) == Some(&id) {
                    self.subscriptions_by_graph_id.remove(graph_id);
                }
            }
            self.subscriptions_by_client_state
                .remove(&old.client_state_hash);
        }
        if let Some(new) = subscription {
            if let Some(graph_id) = &new.former_graph_id {
                let known = self.subscriptions_by_graph_id.entry(graph_id.clone());
                known.or_insert(id);
            }
            if let Some(graph_id) = &new.graph_id {
                self.subscriptions_by_graph_id.insert(graph_id.clone(), id);
            }
            self.subscriptions_by_client_state
                .insert(new.client_state_hash, id);
            self.subscriptions.insert(id, Arc::new(new));
        }
    }

    pub(super) fn set_webhook(&mut self, id: WebhookId, webhook: Option<Webhook>) {
        if let Some(old) = self.webhooks.remove(&id) {
            for &trigger in &old.triggers {
                if let Some(wanting) = self
                    .webhooks_by_trigger
                    .get_mut(&(old.environment, trigger))
                {
                    wanting.retain(|one| one.id != id);
                    if wanting.is_empty() {
                        self.webhooks_by_trigger.remove(&(old.environment, trigger));
                    }
                }
            }
        }
        if let Some(new) = webhook.map(Arc::new) {
            for &trigger in &new.triggers {
                let wanting = self
                    .webhooks_by_trigger
                    .entry((new.environment, trigger))
                    .or_default();
                // A trigger that is listed twice is still one wish.
                if wanting.last().is_none_or(|last| last.id != id) {
                    wanting.push(new.clone());
                }
            }
            self.webhooks.insert(id, new);
        }
    }
}
