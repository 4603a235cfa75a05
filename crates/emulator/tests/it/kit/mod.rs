//! A running emulator, a client, a receiver.

mod receiver;
mod rounds;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use tidings_domain::{
    Clock, Timestamp,
    clock::{ManualClock, SystemClock},
    entropy::SeededEntropy,
};
use tidings_egress::{AddressPolicy, Answer, Egress, EgressError, OnCap, Request};
use tidings_emulator::{Emulator, Options, Quota, TenantInfo};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub(crate) use receiver::{Receiver, Reply};
pub(crate) use rounds::{id, reason};

/// When every test begins: 2026-11-22T10:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// An emulator that can be called.
pub(crate) struct Graph {
    pub(crate) emulator: Emulator,
    pub(crate) clock: ManualClock,
    pub(crate) url: String,
    pub(crate) tenants: Vec<TenantInfo>,
    client: Egress,
    tasks: TaskTracker,
}

/// What a call was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Graph {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let clock = ManualClock::new(START);
        let mut options = Options::manual(clock.clone(), Arc::new(SeededEntropy::new(42)));
        change(&mut options);
        let emulator = Emulator::new(options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tasks = TaskTracker::new();
        let serving = emulator.clone();
        tasks.spawn(async move {
            serving
                .serve(listener, None, std::future::pending())
                .await
                .unwrap();
        });
        Self {
            tenants: emulator.directory(),
            client: client(&[]),
            emulator,
            clock,
            url,
            tasks,
        }
    }

    /// The call as it is, with the client's own deadline on the system's clock.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answered, EgressError> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.url)
        };
        send(&self.client, method, &url, headers, body.into()).await
    }

    /// A token of the first app in a tenant.
    pub(crate) async fn token(&self, tenant: usize) -> String {
        let tenant = &self.tenants[tenant];
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
            tenant.client_id,
            tenant.client_secret.replace('~', "%7E"),
        );
        let path = format!("/{}/oauth2/v2.0/token", tenant.tenant_id);
        let answer = self.send(Method::POST, &path, &[], form).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A call to Graph in the first tenant.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answered {
        self.call_in(0, method, path, body).await
    }

    /// A call to Graph in a tenant.
    pub(crate) async fn call_in(
        &self,
        tenant: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answered {
        let bearer = format!("Bearer {}", self.token(tenant).await);
        let path = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("/v1.0/{path}")
        };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let headers = [
            ("authorization", &*bearer),
            ("content-type", "application/json"),
        ];
        self.send(method, &path, &headers, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answered {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answered {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answered {
        self.call(Method::DELETE, path, None).await
    }

    /// A call to the control API.
    pub(crate) async fn control(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answered {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let headers = [("content-type", "application/json")];
        let path = format!("/emulator/{path}");
        self.send(method, &path, &headers, body).await.unwrap()
    }

    /// The id of a user of a tenant.
    pub(crate) fn user(&self, tenant: usize, user: usize) -> String {
        self.tenants[tenant].users[user].id.to_string()
    }

    /// Subscribes to something in a tenant, with any secret, for a day; its JSON.
    pub(crate) async fn subscribe_in(&self, tenant: usize, resource: &str, url: &str) -> Value {
        let body = subscription(resource, url);
        let answer = self
            .call_in(tenant, Method::POST, "subscriptions", Some(body))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()
    }

    /// Subscribes to the events of the first user of the first tenant.
    pub(crate) async fn subscribe_to_events(&self, url: &str) -> Value {
        let resource = format!("users/{}/events", self.user(0, 0));
        self.subscribe_in(0, &resource, url).await
    }

    /// Puts an event into the calendar of the first user of the first tenant; its JSON.
    pub(crate) async fn new_event(&self) -> Value {
        let path = format!("users/{}/events", self.user(0, 0));
        let answer = self.post(&path, json!({"subject": "Tea"})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()
    }

    /// The time that the emulator has.
    pub(crate) fn emulator_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits until somebody sleeps on the emulator's clock for exactly `span`, as the next to wake.
    pub(crate) async fn until_next_wake(&self, span: Duration) {
        while self.clock.next_wake() != Some(span) {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until nothing is on its way.
    pub(crate) async fn until_idle(&self) {
        while self.emulator.pending() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// The most that each of those whom `quota` counts has used of it, least first.
    pub(crate) fn highest(&self, quota: Quota) -> Vec<u64> {
        let uses = self.emulator.quota_uses();
        let mut highest: Vec<u64> = uses
            .iter()
            .filter(|one| one.quota == quota)
            .map(|one| one.highest)
            .collect();
        highest.sort_unstable();
        highest
    }

    /// Ends everything: a task that would not end would hang here.
    pub(crate) async fn stop(self) {
        self.emulator.stop().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks status, code and message of one of Graph's errors, and the envelope around them.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: &str, message: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{}", self.text());
        assert_eq!(error["message"], message);
        let request_id = self.headers["request-id"].to_str().unwrap();
        assert_eq!(error["innerError"]["request-id"], request_id);
        assert!(error["innerError"]["client-request-id"].is_string());
        // No zone suffix.
        assert_eq!(error["innerError"]["date"].as_str().unwrap().len(), 19);
    }
}

/// The body that creates a subscription which ends in a day.
pub(crate) fn subscription(resource: &str, url: &str) -> Value {
    json!({
        "changeType": "created,updated,deleted",
        "notificationUrl": url,
        "resource": resource,
        "expirationDateTime": "2026-11-23T10:00:00.0000000Z",
        "clientState": "s3cret",
    })
}

pub(crate) fn client(roots: &[Vec<u8>]) -> Egress {
    let loopback = ["127.0.0.0/8".parse().unwrap()];
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Egress::with_roots(AddressPolicy::new(loopback.to_vec()), clock, roots).unwrap()
}

pub(crate) async fn send(
    client: &Egress,
    method: Method,
    url: &str,
    headers: &[(&'static str, &str)],
    body: Bytes,
) -> Result<Answered, EgressError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    if !map.contains_key(header::CONTENT_TYPE) {
        map.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
    }
    let Answer {
        status,
        headers,
        body,
        ..
    } = client
        .send(Request {
            method,
            url: url.parse().unwrap(),
            headers: map,
            body,
            deadline: Duration::from_mins(1),
            answer_cap: 1 << 24,
            on_cap: OnCap::Fail,
        })
        .await?;
    Ok(Answered {
        status,
        headers,
        body,
    })
}
