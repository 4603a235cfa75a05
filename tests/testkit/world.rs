//! Gateways, emulator and a webhook, connected.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::{
    api::{Answer, Api, Http},
    balancer::Balancer,
    collection::Subscribed,
    database::Database,
    emulator::{Emulator, Tenant},
    gateway::{Gateway, Settings},
    store::Store,
    wait,
};

/// The key of the integration.
pub const INTEGRATION: &str = "microsoft-oauth2-cc";

/// The triggers of calendar events.
pub const EVENT_TRIGGERS: [&str; 3] = ["event.created", "event.updated", "event.deleted"];

/// How long a change may take to hold on all gateways that share a database.
const HOLDS_EVERYWHERE: Duration = Duration::from_secs(1);

/// A gateway, or several on one database, with an integration for an emulator.
#[derive(Debug)]
pub struct World {
    /// The gateway.
    pub gateway: Gateway,
    /// Further ones on the same database.
    pub others: Vec<Gateway>,
    /// The address in front of all of them, if there are several.
    pub balancer: Option<Balancer>,
    /// The emulator.
    pub emulator: Emulator,
    /// The management API with the admin key.
    pub api: Api,
    /// Where Graph posts to.
    pub notification_url: Url,
    /// The secret of the integration.
    pub webhook_secret: String,
    http: Http,
}

/// A connection to a tenant and a subscription to the calendar of its first user.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Ours.
    pub connection_id: String,
    /// Ours.
    pub subscription_id: String,
    /// What Graph knows of it.
    pub subscribed: Subscribed,
}

impl World {
    /// Starts both, the gateway on SQLite.
    pub async fn start() -> Self {
        Self::start_with(&Settings::new()).await
    }

    /// Starts both, the gateway on this store.
    pub async fn start_on(store: Store) -> Self {
        Self::start_with(&store.settings()).await
    }

    /// Starts both, the gateway, or as many as they say, with these settings.
    pub async fn start_with(settings: &Settings) -> Self {
        let emulator = Emulator::start().await;
        let mut settings = settings.clone();
        let mut balancer = None;
        if settings.nodes() > 1 {
            let front = Balancer::start().await;
            settings = settings.behind(front.url());
            balancer = Some(front);
        }
        let gateway = Gateway::start(&settings).await;
        let mut others = Vec::new();
        for _ in 1..settings.nodes() {
            others.push(Gateway::start(&settings.clone().on_another_port()).await);
        }
        if let Some(balancer) = &balancer {
            let all = [&gateway].into_iter().chain(&others);
            balancer.forward_to(all.map(Gateway::address).collect());
        }
        let api = gateway.api();
        let integration = api
            .post(
                "/v1/integrations",
                &json!({
                    "key": INTEGRATION,
                    "client_id": emulator.client_id,
                    "client_secret": emulator.client_secret,
                    "login_url": emulator.url,
                    "graph_url": emulator.url,
                }),
            )
            .await;
        let text = |member: &str| {
            let value = integration[member].as_str();
            value.unwrap_or_else(|| panic!("no {member}: {integration}"))
        };
        Self {
            notification_url: text("notification_url").parse().expect("a URL"),
            webhook_secret: text("webhook_secret").to_owned(),
            gateway,
            others,
            balancer,
            emulator,
            api,
            http: Http::new(),
        }
    }

    /// One of the gateways.
    pub fn node(&mut self, place: usize) -> &mut Gateway {
        match place {
            0 => &mut self.gateway,
            place => &mut self.others[place - 1],
        }
    }

    /// All gateways but this.
    pub fn all_but(&self, place: usize) -> Vec<&Gateway> {
        let all = self.gateways().enumerate();
        all.filter_map(|(own, gateway)| (own != place).then_some(gateway))
            .collect()
    }

    /// The PostgreSQL they share.
    pub fn database(&self) -> &Database {
        let database = self.gateway.database();
        database.expect("the gateways are on a PostgreSQL")
    }

    /// All gateways.
    pub fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        [&self.gateway].into_iter().chain(&self.others)
    }

    /// Connects a tenant, by its place in the emulator.
    pub async fn connect(&self, tenant: &Tenant) -> String {
        let body = json!({"integration": INTEGRATION, "tenant_id": tenant.id});
        id(&self.api.post("/v1/connections", &body).await)
    }

    /// Connects a tenant and subscribes to the calendar of its first user, up to Graph's confirmation.
    pub async fn connect_calendar(&self, tenant: &Tenant) -> Connected {
        let connection_id = self.connect(tenant).await;
        let subscribe = self.subscribe_calendar(tenant, &connection_id, &tenant.users[0]);
        // Each call of it lies in its caller's future otherwise, and those grow large.
        let connected = Box::pin(subscribe).await;
        self.holds_everywhere().await;
        connected
    }

    /// Subscribes to a user's calendar, up to Graph's confirmation.
    pub async fn subscribe_calendar(
        &self,
        tenant: &Tenant,
        connection_id: &str,
        user_id: &str,
    ) -> Connected {
        let body = json!({
            "connection_id": connection_id,
            "resource": format!("users/{user_id}/events"),
            "change_types": ["created", "updated", "deleted"],
        });
        let subscription_id = id(&self.api.post("/v1/subscriptions", &body).await);
        let graph_id = self.active(&subscription_id).await;
        let client_state = self.emulator.client_state(tenant, &graph_id).await;
        Connected {
            connection_id: connection_id.to_owned(),
            subscription_id,
            subscribed: Subscribed {
                graph_id,
                client_state,
                tenant_id: tenant.id.clone(),
                user_id: user_id.to_owned(),
            },
        }
    }

    /// Waits until Graph serves a subscription; gives its id there.
    pub async fn active(&self, subscription_id: &str) -> String {
        wait::until("an active subscription", || async {
            let path = format!("/v1/subscriptions/{subscription_id}");
            let subscription = self.api.get(&path).await;
            let active = subscription["state"] == "active";
            active.then(|| {
                let graph_id = subscription["graph_id"].as_str();
                graph_id
                    .expect("an active subscription has a graph_id")
                    .to_owned()
            })
        })
        .await
    }

    /// Registers a webhook for calendar events of `connections`, or of all if there are none; gives id and secret.
    pub async fn webhook(&self, url: &Url, connections: &[&str]) -> (String, String) {
        let body = json!({
            "url": url,
            "triggers": EVENT_TRIGGERS,
            "connections": connections,
            "description": "a test's",
        });
        let webhook = self.api.post("/v1/webhooks", &body).await;
        let secret = webhook["secret"]
            .as_str()
            .expect("a new webhook shows its secret");
        self.holds_everywhere().await;
        (id(&webhook), secret.to_owned())
    }

    /// Gives a change that one gateway has answered the time that it may take to hold on the others.
    pub async fn holds_everywhere(&self) {
        if !self.others.is_empty() {
            wait::pass(HOLDS_EVERYWHERE).await;
        }
    }

    /// Posts what Graph would post.
    pub async fn notify(&self, body: Vec<u8>) -> Answer {
        let headers = [("content-type", "application/json")];
        let url = self.notification_url.clone();
        self.http.send("POST", url, &headers, body).await
    }
}

/// The id of what the API answered.
pub fn id(value: &Value) -> String {
    let id = value["id"].as_str();
    id.unwrap_or_else(|| panic!("no id: {value}")).to_owned()
}
