//! A whole API for tests: a real store in a temporary folder, a sign-in and Graph of our own on a real port.

use std::sync::{Arc, atomic::Ordering};

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tidings_domain::{
    Clock, Entropy, Ids, Timestamp, clock::ManualClock, config, entropy::SeededEntropy,
};
use tidings_egress::{AddressPolicy, Egress};
use tidings_pipeline::gateway::{Gateway, Parts};
use tidings_storage::{
    Store,
    sqlite::{SqliteOptions, SqliteStore},
};
use tower::ServiceExt as _;

mod graph;
mod normal;
mod seed;

pub(crate) use graph::{REFUSED, TENANT};
pub(crate) use normal::normal;

/// When everything here happens: 2026-01-02T03:04:05Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_000);

/// The API and everything behind it. Its clock stands still.
pub(crate) struct Api {
    pub(crate) gateway: Arc<Gateway>,
    ids: Ids,
    router: Router,
    admin_key: String,
    graph: graph::Graph,
    _data_dir: tempfile::TempDir,
}

impl Api {
    /// An API after its first start.
    pub(crate) async fn start() -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let graph = graph::Graph::start().await;
        let mut config = config::load(None, [], Vec::new()).unwrap();
        config.store.data_dir = data_dir.path().to_owned();
        config.egress.allow = vec!["127.0.0.0/8".parse().unwrap()];
        config.egress.allow_graph = config.egress.allow.clone();

        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let options = SqliteOptions {
            store: config.store.clone(),
            ingest: config.ingest.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await.unwrap());
        let egress = |allow: &[_]| {
            Egress::new(AddressPolicy::new(allow.to_vec()), Arc::clone(&clock)).unwrap()
        };
        let gateway = Gateway::start(Parts {
            store,
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            graph_egress: egress(&config.egress.allow_graph),
            webhook_egress: egress(&config.egress.allow),
            public_url: "https://tidings.example".parse().unwrap(),
            config,
        })
        .await
        .unwrap();
        gateway.manage.first_start(data_dir.path()).await.unwrap();
        let admin_key = std::fs::read_to_string(data_dir.path().join("admin.key")).unwrap();
        Self {
            router: crate::router(&gateway),
            gateway,
            ids: Ids::new(clock, entropy),
            admin_key,
            graph,
            _data_dir: data_dir,
        }
    }

    /// The holder of the first admin key, which spans all environments.
    pub(crate) fn admin(&self) -> Caller {
        self.caller(&self.admin_key)
    }

    /// The holder of `key`.
    pub(crate) fn caller(&self, key: &str) -> Caller {
        Caller {
            router: self.router.clone(),
            key: Some(key.to_owned()),
            environment: None,
        }
    }

    /// Somebody without a key.
    pub(crate) fn anonymous(&self) -> Caller {
        Caller {
            key: None,
            ..self.caller("")
        }
    }

    /// Where the sign-in and Graph of this test are.
    pub(crate) fn graph_url(&self) -> &str {
        &self.graph.url
    }

    /// Ids of the subscriptions that were removed at Graph.
    pub(crate) fn removed_at_graph(&self) -> Vec<String> {
        self.graph.seen.removed.lock().unwrap().clone()
    }

    /// Begins or ends an outage of Graph.
    pub(crate) fn graph_is_out(&self, out: bool) {
        self.graph.seen.out.store(out, Ordering::SeqCst);
    }

    /// The body of a creation of an integration.
    pub(crate) fn integration(&self, key: &str) -> Value {
        json!({
            "key": key,
            "client_id": "app",
            "client_secret": "app secret",
            "login_url": self.graph.url,
            "graph_url": self.graph.url,
        })
    }

    /// A connection of a new integration with this key.
    pub(crate) async fn connection(&self, integration: &str) -> Value {
        let admin = self.admin();
        admin
            .make("/v1/integrations", self.integration(integration))
            .await;
        let new = json!({ "integration": integration, "tenant_id": TENANT });
        admin.make("/v1/connections", new).await
    }

    /// A webhook for everything that [`Api::change`] makes.
    pub(crate) async fn webhook(&self) -> Value {
        self.webhook_of(&self.admin()).await
    }

    /// The same, made by `owner`. It is disabled, so that nothing is sent behind a test's back.
    pub(crate) async fn webhook_of(&self, owner: &Caller) -> Value {
        let url = format!("{}/hook", self.graph.url);
        let new = json!({ "url": url, "triggers": ["event.updated"] });
        let webhook = owner.make("/v1/webhooks", new).await;
        let disable = format!("/v1/webhooks/{}/disable", webhook["id"].as_str().unwrap());
        owner.post(&disable, Value::Null).await.body
    }
}

/// Somebody who calls the API.
#[derive(Clone)]
pub(crate) struct Caller {
    router: Router,
    key: Option<String>,
    environment: Option<String>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `null` if there was no body.
    pub(crate) body: Value,
}

impl Answer {
    /// The ids of a list.
    pub(crate) fn ids(&self) -> Vec<&str> {
        let entries = self.body["data"].as_array().unwrap();
        entries
            .iter()
            .map(|one| one["id"].as_str().unwrap())
            .collect()
    }
}

impl Caller {
    /// The same caller, who names this environment.
    pub(crate) fn within(&self, environment: &str) -> Self {
        Self {
            environment: Some(environment.to_owned()),
            ..self.clone()
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let body = (!body.is_null()).then_some(body);
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Makes something and gives it, asserting that it was made.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if let Some(environment) = &self.environment {
            request = request.header("tidings-environment", environment);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap()
        };
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}
