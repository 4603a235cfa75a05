//! Two environments, three integrations, four connections and their subscriptions, over a real store.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tidings_domain::{
    Clock, Entropy, Ids, Secret, Timestamp,
    clock::ManualClock,
    config,
    connection::{Connection, ConnectionIntent, ConnectionState},
    entropy::SeededEntropy,
    environment::Environment,
    ids::{ConnectionId, EnvironmentId, IntegrationId, SubscriptionId},
    integration::{Integration, WebhookSecret},
    notification::{Notification, Verdict},
    page::{Page, PageLimit},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_graph::resource::SubscriptionPath;
use tidings_storage::{
    Store,
    record::{NotificationFilter, QueuedNotification, Seq},
    sqlite::{SqliteOptions, SqliteStore},
};
use url::Url;
use uuid::Uuid;

use crate::{
    directory::{Change, Directory},
    ingest::{Ingest, IngestError},
    metrics::Metrics,
    wake::Wake,
};

pub(super) const TENANT_A: &str = "aaaaaaaa-1111-4222-8333-444444444444";
pub(super) const TENANT_B: &str = "bbbbbbbb-1111-4222-8333-444444444444";
pub(super) const TENANT_C: &str = "cccccccc-1111-4222-8333-444444444444";
pub(super) const NOBODY: &str = "dddddddd-1111-4222-8333-444444444444";
pub(super) const USER: &str = "5d9c1f6a-1b7e-4f57-8f0e-2c3a4b5c6d7e";
pub(super) const BY_HAND: &str = "the-secret-of-mail-in-prod";
/// How long the world holds what fits nothing.
pub(super) const HOLD: Duration = Duration::from_secs(5);

/// A subscription and what Graph says of it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: SubscriptionId,
    pub(super) graph_id: String,
    pub(super) client_state: String,
}

pub(super) struct World {
    pub(super) store: Arc<dyn Store>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: ManualClock,
    pub(super) ids: Arc<Ids>,
    pub(super) metrics: Metrics,
    pub(super) ingest: Ingest,
    pub(super) enrich: Wake,
    pub(super) prod: EnvironmentId,
    pub(super) dev: EnvironmentId,
    /// The integration `mail` in prod.
    pub(super) mail: IntegrationId,
    /// Connections of `mail` in prod.
    pub(super) a: ConnectionId,
    pub(super) b: ConnectionId,
    /// `users/{USER}/events` of tenant A.
    pub(super) events_a: Known,
    /// The same of tenant B.
    pub(super) events_b: Known,
    /// `users/ada@contoso.example/messages` of tenant A.
    pub(super) messages_a: Known,
    /// The root of a drive of tenant A.
    pub(super) drive_a: Known,
    /// Of tenant A too, but of the integration `other` in prod.
    pub(super) of_other: Known,
    /// Of the integration `mail` in dev.
    pub(super) of_dev: Known,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_millis(1_767_323_045_000));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(3));
        let ids = Arc::new(Ids::new(Arc::clone(&shared), Arc::clone(&entropy)));
        let mut config = config::load(None, [], Vec::new()).unwrap();
        config.store.data_dir = folder.path().to_owned();
        let options = SqliteOptions {
            store: config.store,
            ingest: config.ingest,
            clock: Arc::clone(&shared),
            entropy,
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await.unwrap());
        let seed = Seed {
            store: &*store,
            ids: &ids,
            now: clock.now(),
        };
        let (prod, dev) = (
            seed.environment("prod").await,
            seed.environment("dev").await,
        );
        let mail = seed.integration(prod, "mail", BY_HAND).await;
        let other = seed
            .integration(prod, "other", "the-secret-of-other-in-prod")
            .await;
        let mail_in_dev = seed
            .integration(dev, "mail", "the-secret-of-mail-in-dev")
            .await;
        let a = seed.connection(prod, mail, TENANT_A).await;
        let b = seed.connection(prod, mail, TENANT_B).await;
        let c = seed.connection(prod, other, TENANT_A).await;
        let d = seed.connection(dev, mail_in_dev, TENANT_A).await;
        let events = format!("users/{USER}/events");
        let events_a = seed.subscription((prod, mail, a), &events, 1).await;
        let events_b = seed.subscription((prod, mail, b), &events, 2).await;
        let messages_a = seed
            .subscription((prod, mail, a), "users/ada@contoso.example/messages", 3)
            .await;
        let drive_a = seed
            .subscription((prod, mail, a), "drives/b!abc/root", 4)
            .await;
        let of_other = seed.subscription((prod, other, c), &events, 5).await;
        let of_dev = seed.subscription((dev, mail_in_dev, d), &events, 6).await;

        let directory = Arc::new(Directory::load(Arc::clone(&store)).await.unwrap());
        let (metrics, enrich) = (Metrics::new(), Wake::new());
        let ingest = Ingest::new(
            Arc::clone(&store),
            Arc::clone(&directory),
            shared,
            Arc::clone(&ids),
            metrics.ingest.clone(),
            enrich.clone(),
            HOLD,
        );
        Self {
            store,
            directory,
            clock,
            ids,
            metrics,
            ingest,
            enrich,
            prod,
            dev,
            mail,
            a,
            b,
            events_a,
            events_b,
            messages_a,
            drive_a,
            of_other,
            of_dev,
            _folder: folder,
        }
    }

    /// Posts these items to `mail` in prod.
    pub(super) async fn post(&self, items: &[String]) -> Vec<Verdict> {
        self.post_body(&format!("{{\"value\":[{}]}}", items.join(",")))
            .await
            .unwrap()
    }

    pub(super) async fn post_body(&self, body: &str) -> Result<Vec<Verdict>, IngestError> {
        let body = Bytes::from(body.to_owned());
        self.ingest
            .receive(self.prod, "mail", body)
            .await
            .map(|receipt| receipt.verdicts)
    }

    /// Everything that is kept, oldest first.
    pub(super) async fn kept(&self) -> Vec<Notification> {
        let page = Page::first(PageLimit::new(500).unwrap());
        let listing = self
            .store
            .notifications(NotificationFilter::default(), page)
            .await
            .unwrap();
        // Lists leave out the items themselves.
        let mut kept = Vec::new();
        for listed in listing.items.into_iter().rev() {
            kept.push(self.store.notification(listed.id).await.unwrap().unwrap());
        }
        kept
    }

    /// The queue of enrich.
    pub(super) async fn queued(&self) -> Vec<QueuedNotification> {
        self.store
            .queued_notifications(Seq::default(), 1_000)
            .await
            .unwrap()
    }

    /// Adds a subscription of connection A after the start, as subscribe would before it asks Graph: without Graph's id.
    pub(super) async fn subscribe_late(&self, resource: &str, number: u32) -> Known {
        let seed = Seed {
            store: &*self.store,
            ids: &self.ids,
            now: self.clock.now(),
        };
        let known = seed
            .subscription_with((self.prod, self.mail, self.a), resource, number, None)
            .await;
        self.directory
            .refresh(Change::Subscription(known.id))
            .await
            .unwrap();
        known
    }
}

struct Seed<'a> {
    store: &'a dyn Store,
    ids: &'a Ids,
    now: Timestamp,
}

impl Seed<'_> {
    async fn environment(&self, name: &str) -> EnvironmentId {
        let id = self.ids.environment();
        let environment = Environment {
            id,
            name: name.to_owned(),
            created_at: self.now,
        };
        self.store.create_environment(environment).await.unwrap();
        id
    }

    async fn integration(
        &self,
        environment: EnvironmentId,
        key: &str,
        secret: &str,
    ) -> IntegrationId {
        let id = self.ids.next();
        let integration = Integration {
            id,
            environment,
            key: key.parse().unwrap(),
            client_id: "app".to_owned(),
            client_secret: Secret::new("app secret"),
            webhook_secret: WebhookSecret::parse(secret).unwrap(),
            login_url: Url::parse("https://login.example").unwrap(),
            graph_url: Url::parse("https://graph.example").unwrap(),
            created_at: self.now,
        };
        self.store.create_integration(integration).await.unwrap();
        id
    }

    async fn connection(
        &self,
        environment: EnvironmentId,
        integration: IntegrationId,
        tenant: &str,
    ) -> ConnectionId {
        let id = self.ids.next();
        let connection = Connection {
            id,
            environment,
            integration,
            tenant_id: tenant.parse::<Uuid>().unwrap(),
            state: ConnectionState::Active,
            intent: ConnectionIntent::Kept,
            created_at: self.now,
        };
        self.store.create_connection(connection).await.unwrap();
        id
    }

    async fn subscription(
        &self,
        owner: (EnvironmentId, IntegrationId, ConnectionId),
        resource: &str,
        number: u32,
    ) -> Known {
        let graph_id = format!("{number:08x}-aaaa-4bbb-8ccc-dddddddddddd");
        self.subscription_with(owner, resource, number, Some(graph_id))
            .await
    }

    async fn subscription_with(
        &self,
        (environment, integration, connection): (EnvironmentId, IntegrationId, ConnectionId),
        resource: &str,
        number: u32,
        graph_id: Option<String>,
    ) -> Known {
        let path = SubscriptionPath::parse(resource).unwrap();
        let id = self.ids.next();
        let client_state = format!("client-state-number-{number}");
        let subscription = Subscription {
            id,
            environment,
            integration,
            connection,
            policy: None,
            resource: path.canonical().to_owned(),
            kind: path.kind(),
            change_types: "updated".parse().unwrap(),
            state: SubscriptionState::Active,
            client_state: Secret::new(client_state.clone()),
            graph_id: graph_id.clone(),
            expires_at: None,
            due_at: self.now,
            failures: 0,
            last_error: None,
            created_at: self.now,
            renewed_at: None,
            deliver_existing: false,
            lifecycle: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
        };
        self.store
            .create_subscription(subscription, Shard::FIRST)
            .await
            .unwrap();
        Known {
            id,
            graph_id: graph_id
                .unwrap_or_else(|| format!("{number:08x}-aaaa-4bbb-8ccc-dddddddddddd")),
            client_state,
        }
    }
}
