//! One environment with one integration and two connections, over a real store.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use tidings_domain::{
    Clock, Entropy, Ids, Secret, Timestamp,
    clock::ManualClock,
    config::{self, Config},
    connection::{Connection, ConnectionIntent, ConnectionState},
    entropy::SeededEntropy,
    environment::Environment,
    event::Event,
    ids::{ConnectionId, EnvironmentId, IntegrationId, SubscriptionId},
    integration::{Integration, WebhookSecret},
    page::{Page, PageLimit},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_egress::{AddressPolicy, Egress};
use tidings_graph::{client::GraphClient, resource::SubscriptionPath};
use tidings_storage::{
    Store,
    record::{EventFilter, QueuedNotification, Seq},
    sqlite::{SqliteOptions, SqliteStore},
};
use url::Url;

use crate::{
    credentials::Credentials, deliver::Hint, directory::Directory, metrics::Metrics, wake::Wake,
};

/// The tenant of the first connection.
pub(crate) const TENANT: &str = "1f6a9f0e-77aa-4a57-9a2d-64f1b2d7c3a1";
const OTHER_TENANT: &str = "2f6a9f0e-77aa-4a57-9a2d-64f1b2d7c3a1";

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: ManualClock,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) metrics: Metrics,
    pub(crate) config: Config,
    pub(crate) graph: GraphClient,
    pub(crate) environment: EnvironmentId,
    pub(crate) integration: IntegrationId,
    pub(crate) connection: ConnectionId,
    /// Of the same integration, to another tenant.
    pub(crate) other: ConnectionId,
    _folder: TempDir,
}

impl World {
    /// A world whose sign-in and Graph are at `url`.
    pub(crate) async fn new(url: &Url) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_millis(1_767_323_045_000));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(5));
        let ids = Arc::new(Ids::new(Arc::clone(&shared), Arc::clone(&entropy)));
        let mut config = config::load(None, [], Vec::new()).unwrap();
        config.store.data_dir = folder.path().to_owned();
        let options = SqliteOptions {
            store: config.store.clone(),
            ingest: config.ingest.clone(),
            clock: Arc::clone(&shared),
            entropy: Arc::clone(&entropy),
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await.unwrap());
        let environment = ids.environment();
        let created_at = clock.now();
        let made = Environment {
            id: environment,
            name: "prod".to_owned(),
            created_at,
        };
        store.create_environment(made).await.unwrap();
        let integration = ids.next();
        let made = Integration {
            id: integration,
            environment,
            key: "mail".parse().unwrap(),
            client_id: "app".to_owned(),
            client_secret: Secret::new("app secret"),
            webhook_secret: WebhookSecret::parse("the-secret-for-hand-made-ones").unwrap(),
            login_url: url.clone(),
            graph_url: url.clone(),
            created_at,
        };
        store.create_integration(made).await.unwrap();
        let mut connections = Vec::new();
        for tenant in [TENANT, OTHER_TENANT] {
            let made = Connection {
                id: ids.next(),
                environment,
                integration,
                tenant_id: tenant.parse().unwrap(),
                state: ConnectionState::Active,
                intent: ConnectionIntent::Kept,
                created_at,
            };
            connections.push(made.id);
            store.create_connection(made).await.unwrap();
        }
        let directory = Arc::new(Directory::load(Arc::clone(&store)).await.unwrap());
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let egress = Egress::new(policy, Arc::clone(&shared)).unwrap();
        let timeout = Duration::from_secs(30);
        let graph = GraphClient::new(egress, shared, Arc::clone(&entropy), timeout);
        Self {
            store,
            directory,
            clock,
            entropy,
            ids,
            metrics: Metrics::new(),
            config,
            graph,
            environment,
            integration,
            connection: connections[0],
            other: connections[1],
            _folder: folder,
        }
    }

    /// Records what calls show of credentials.
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials::new(
            Arc::clone(&self.store),
            Arc::clone(&self.directory),
            Arc::new(self.clock.clone()),
            Arc::clone(&self.ids),
            Hint::new(),
            [Wake::new(), Wake::new()],
        )
    }

    /// A subscription to `resource` of which the directory knows; its id.
    pub(crate) async fn subscribed(&self, resource: &str) -> SubscriptionId {
        let path = SubscriptionPath::parse(resource).unwrap();
        let now = self.clock.now();
        let id = self.ids.next();
        let subscription = Subscription {
            id,
            environment: self.environment,
            integration: self.integration,
            connection: self.connection,
            policy: None,
            resource: path.canonical().to_owned(),
            kind: path.kind(),
            change_types: "updated".parse().unwrap(),
            state: SubscriptionState::Active,
            client_state: Secret::new("state"),
            graph_id: None,
            expires_at: None,
            due_at: now + Duration::from_hours(24),
            failures: 0,
            last_error: None,
            created_at: now,
            renewed_at: None,
            deliver_existing: false,
            lifecycle: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
        };
        let create = self.store.create_subscription(subscription, Shard::FIRST);
        create.await.unwrap();
        self.directory.reload().await.unwrap();
        id
    }

    /// The events so far, oldest first.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let page = Page::first(PageLimit::new(500).unwrap());
        let listing = self
            .store
            .events(EventFilter::default(), page)
            .await
            .unwrap();
        listing.items.into_iter().rev().collect()
    }

    /// Waits until there are `count` events.
    pub(crate) async fn events_reach(&self, count: usize) -> Vec<Event> {
        loop {
            let events = self.events().await;
            if events.len() >= count {
                assert_eq!(events.len(), count);
                return events;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The queue of enrich.
    pub(crate) async fn queue(&self) -> Vec<QueuedNotification> {
        self.store
            .queued_notifications(Seq::default(), 1_000)
            .await
            .unwrap()
    }

    /// Waits until `ready`, and until somebody sleeps for at most `span`, and lets that time pass.
    pub(crate) async fn pass(&self, span: Duration, ready: impl Fn() -> bool) {
        while !ready() || self.clock.next_wake().is_none_or(|wait| wait > span) {
            tokio::task::yield_now().await;
        }
        self.clock.advance(span);
    }
}
