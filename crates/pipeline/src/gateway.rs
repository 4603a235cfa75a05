//! Wires the parts together and runs the stages.

use std::{sync::Arc, time::Duration};

use tidings_domain::{Clock, Entropy, Ids, config::Config};
use tidings_egress::Egress;
use tidings_graph::GraphClient;
use tidings_storage::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    answers::Answers,
    completeness::Tally,
    connection::{ConnectionParts, Connections},
    credentials::Credentials,
    deliver::{self, Deliver},
    directory::Directory,
    enrich::{Enrich, EnrichParts, RecentFinds},
    fence::Fence,
    ingest::Ingest,
    manage::{Manage, ManageParts},
    metrics::Metrics,
    policy::{Policies, PolicyParts},
    reconcile::{Reconcile, ReconcileParts},
    signals::{Signals, Stages},
    subscribe::{Subscribe, SubscribeParts},
    supervisor::{Stopped, Supervisor},
};

/// How often connections are looked for that nobody uses. They are kept for half a minute.
const TIDY: Duration = Duration::from_secs(30);

/// What a gateway is made of.
#[derive(Debug)]
pub struct Parts {
    /// How it is to behave.
    pub config: Config,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Sends requests to sign-in and Graph.
    pub graph_egress: Egress,
    /// Sends deliveries.
    pub webhook_egress: Egress,
    /// Under which URL Graph reaches it.
    pub public_url: Url,
}

/// A running gateway. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Gateway {
    /// How it behaves.
    pub config: Config,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What is configured, in memory.
    pub directory: Arc<Directory>,
    /// Takes notifications.
    pub ingest: Ingest,
    /// The management API's verbs.
    pub manage: Manage,
    /// Makes and removes subscriptions.
    pub subscribe: Subscribe,
    /// Compares what Graph has with what the app was told.
    pub reconcile: Reconcile,
    /// How fast Graph is answered.
    pub answers: Answers,
    /// Counts which changes Graph told of.
    pub tally: Tally,
    /// What it counts.
    pub metrics: Metrics,
    /// Which share of the work it has, where there are several.
    pub fence: Fence,
    /// Runs its loops, and whatever else is to end with it.
    pub supervisor: Supervisor,
}

/// What several stages are made of.
struct Core {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ids: Arc<Ids>,
    graph: GraphClient,
    fence: Fence,
    credentials: Credentials,
    answers: Answers,
    tally: Tally,
}

impl Core {
    fn subscribe(
        &self,
        config: &Config,
        metrics: &Metrics,
        stages: &Stages,
        public_url: Url,
    ) -> Subscribe {
        Subscribe::new(SubscribeParts {
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            graph: self.graph.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            ids: Arc::clone(&self.ids),
            metrics: metrics.subscribe.clone(),
            config: config.subscribe.clone(),
            public_url,
            wake: stages.subscribe.clone(),
            fence: self.fence.clone(),
            credentials: self.credentials.clone(),
            deliver: stages.deliver.clone(),
            reconcile: stages.reconcile.clone(),
        })
    }

    fn reconcile(&self, config: &Config, metrics: &Metrics, stages: &Stages) -> Reconcile {
        Reconcile::new(ReconcileParts {
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            graph: self.graph.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            ids: Arc::clone(&self.ids),
            metrics: metrics.reconcile.clone(),
            config: config.reconcile.clone(),
            wake: stages.reconcile.clone(),
            enrich: stages.enrich.clone(),
            fence: self.fence.clone(),
            credentials: self.credentials.clone(),
            answers: self.answers.clone(),
            deliver: stages.deliver.clone(),
        })
    }

    fn connections(&self, stages: &Stages) -> Connections {
        Connections::new(ConnectionParts {
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            clock: Arc::clone(&self.clock),
            wake: stages.connections.clone(),
            subscribe: stages.subscribe.clone(),
            fence: self.fence.clone(),
        })
    }

    fn policies(&self, config: &Config, stages: &Stages) -> Policies {
        Policies::new(PolicyParts {
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            graph: self.graph.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            ids: Arc::clone(&self.ids),
            config: config.policy.clone(),
            wake: stages.policies.clone(),
            subscribe: stages.subscribe.clone(),
            fence: self.fence.clone(),
            credentials: self.credentials.clone(),
        })
    }

    fn deliver(
        &self,
        config: &Config,
        metrics: &Metrics,
        stages: &Stages,
        egress: Egress,
    ) -> Deliver {
        Deliver::new(deliver::Parts {
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            egress,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            ids: Arc::clone(&self.ids),
            metrics: metrics.deliver.clone(),
            config: config.deliver.clone(),
            hint: stages.deliver.clone(),
            wake: stages.deliver_any.clone(),
            fence: self.fence.clone(),
            shards: stages.deliver_shards.clone(),
        })
    }

    fn enrich(&self, config: &Config, metrics: &Metrics, stages: &Stages) -> Enrich {
        Enrich::new(EnrichParts {
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            graph: self.graph.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            ids: Arc::clone(&self.ids),
            metrics: metrics.enrich.clone(),
            config: config.enrich.clone(),
            wake: stages.enrich.clone(),
            deliver: stages.deliver.clone(),
            reconcile: stages.reconcile.clone(),
            subscribe: stages.subscribe.clone(),
            fence: self.fence.clone(),
            shards: stages.enrich_shards.clone(),
            tally: self.tally.clone(),
            credentials: self.credentials.clone(),
            finds: RecentFinds::new(self.clock.now()),
        })
    }
}

impl Gateway {
    /// Reads what is configured and starts the stages. They take up what was left unfinished.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, StoreError> {
        let Parts {
            config,
            store,
            clock,
            entropy,
            graph_egress,
            webhook_egress,
            public_url,
        } = parts;
        let egresses = [graph_egress.clone(), webhook_egress.clone()];
        let metrics = Metrics::new();
        let supervisor = Supervisor::new(Arc::clone(&clock), metrics.supervisor.clone());
        let ids = Arc::new(Ids::new(Arc::clone(&clock), Arc::clone(&entropy)));
        let directory = Arc::new(Directory::load(Arc::clone(&store)).await?);
        let fence = Fence::new(store.holdings(), metrics.nodes.clone());
        let stages = Stages::default();
        // Signing in, fetching and subscribing share one client, and with it one cache of tokens.
        let graph = GraphClient::new(
            graph_egress,
            Arc::clone(&clock),
            Arc::clone(&entropy),
            config.enrich.timeout.0,
        );
        let credentials = Credentials::new(
            Arc::clone(&store),
            Arc::clone(&directory),
            Arc::clone(&clock),
            Arc::clone(&ids),
            stages.deliver.clone(),
            [stages.subscribe.clone(), stages.reconcile.clone()],
        );
        let ingest = Ingest::new(
            Arc::clone(&store),
            Arc::clone(&directory),
            Arc::clone(&clock),
            Arc::clone(&ids),
            metrics.ingest.clone(),
            stages.enrich.clone(),
            config.ingest.hold.0,
        );
        let manage = Manage::new(ManageParts {
            store: Arc::clone(&store),
            directory: Arc::clone(&directory),
            graph: graph.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            ids: Arc::clone(&ids),
            egress: config.egress.clone(),
            public_url: public_url.clone(),
            deliver: stages.deliver_any.clone(),
            policies: stages.policies.clone(),
            connections: stages.connections.clone(),
        });
        let core = Core {
            store: Arc::clone(&store),
            directory: Arc::clone(&directory),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            ids,
            graph,
            fence: fence.clone(),
            credentials,
            answers: Answers::default(),
            tally: Tally::new(Arc::clone(&store), Arc::clone(&clock)),
        };
        let subscribe = core.subscribe(&config, &metrics, &stages, public_url);
        let reconcile = core.reconcile(&config, &metrics, &stages);
        let enrich = core.enrich(&config, &metrics, &stages);
        let deliver = core.deliver(&config, &metrics, &stages, webhook_egress);
        let gateway = Arc::new(Self {
            config,
            store,
            clock,
            entropy,
            directory,
            ingest,
            manage,
            subscribe,
            reconcile,
            answers: core.answers.clone(),
            tally: core.tally.clone(),
            metrics,
            fence,
            supervisor,
        });
        gateway.follow(&core, &stages);
        gateway.run_stages(deliver, enrich, stages, egresses);
        Ok(gateway)
    }

    /// Has rows follow what is wanted of many at one time.
    fn follow(&self, core: &Core, stages: &Stages) {
        let connections = core.connections(stages);
        let policies = core.policies(&self.config, stages);
        self.run("connection", connections, |connections, stop| async move {
            connections.run(&stop).await;
        });
        self.run("policy", policies, |policies, stop| async move {
            policies.run(&stop).await;
        });
    }

    /// Closes connections that nobody uses.
    fn tidy(&self, egresses: [Egress; 2]) {
        let clock = Arc::clone(&self.clock);
        self.run("egress", egresses, move |egresses, stop| {
            let clock = Arc::clone(&clock);
            async move {
                while stop.run_until_cancelled(clock.sleep(TIDY)).await.is_some() {
                    egresses.iter().for_each(Egress::tidy);
                }
            }
        });
    }

    fn run_stages(&self, deliver: Deliver, enrich: Enrich, stages: Stages, egresses: [Egress; 2]) {
        self.tidy(egresses);
        let signals = Signals {
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            metrics: self.metrics.nodes.clone(),
            stages: stages.clone(),
        };
        let clock = Arc::clone(&self.clock);
        self.run(
            "directory",
            Arc::clone(&self.directory),
            move |directory, stop| {
                let (clock, stages) = (Arc::clone(&clock), stages.clone());
                async move {
                    let after = |change| stages.after(change);
                    directory.run(&*clock, &stop, after).await;
                }
            },
        );
        self.run("signals", signals, |signals, stop| async move {
            signals.run(&stop).await;
        });
        self.run("deliver", deliver, |deliver, stop| async move {
            deliver.run(&stop).await;
        });
        // At rest, what ingest takes waits in the store.
        if self.config.enrich.concurrency > 0 {
            self.run("enrich", enrich, |enrich, stop| async move {
                enrich.run(&stop).await;
            });
        }
        self.run(
            "completeness",
            self.tally.clone(),
            |tally, stop| async move {
                tally.run(&stop).await;
            },
        );
        if self.config.reconcile.concurrency > 0 {
            let reconcile = self.reconcile.clone();
            self.run("reconcile", reconcile, |reconcile, stop| async move {
                tokio::join!(reconcile.run(&stop), reconcile.watch(&stop));
            });
        }
        self.run(
            "subscribe",
            self.subscribe.clone(),
            |subscribe, stop| async move {
                subscribe.run(&stop).await;
            },
        );
    }

    /// Keeps `run` running on `stage` until the gateway stops.
    fn run<S, R, F>(&self, name: &'static str, stage: S, run: R)
    where
        S: Clone + Send + Sync + 'static,
        R: Fn(S, CancellationToken) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.supervisor.soft().clone();
        self.supervisor
            .spawn_loop(name, move || run(stage.clone(), stop.clone()));
    }

    /// Ends everything: lets what is under way finish, for the configured time at most. The store is still open then.
    pub async fn stop(&self) -> Stopped {
        let timeout: Duration = self.config.server.shutdown_timeout.0;
        self.supervisor.stop(timeout).await
    }
}
