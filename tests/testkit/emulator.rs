//! `tidings emulator`.

use serde_json::{Value, json};
use url::Url;

use crate::{api::Http, cli, process::Process};

/// One emulated tenant.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id, a GUID.
    pub id: String,
    /// The ids of its users.
    pub users: Vec<String>,
}

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    /// Where it is: sign-in and Graph both.
    pub url: Url,
    /// The app registration that is consented in every tenant.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The tenants; there are at least two.
    pub tenants: Vec<Tenant>,
    /// The first line as it came.
    pub line: Value,
    /// The program.
    pub process: Process,
    http: Http,
}

impl Emulator {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let mut command = cli::command();
        command.args(["emulator", "--listen", "127.0.0.1:0", "--json"]);
        let mut process = Process::start("the emulator", command);
        let line = process.json_line().await;
        let text = |value: &Value| {
            value
                .as_str()
                .unwrap_or_else(|| panic!("a member is missing: {line}"))
                .to_owned()
        };
        let tenant = |value: &Value| Tenant {
            id: text(&value["tenant_id"]),
            users: value["users"]
                .as_array()
                .unwrap_or_else(|| panic!("no users: {line}"))
                .iter()
                .map(|user| text(&user["id"]))
                .collect(),
        };
        let mut tenants = vec![tenant(&line)];
        let others = line["other_tenants"].as_array();
        tenants.extend(others.into_iter().flatten().map(tenant));
        Self {
            url: text(&line["url"]).parse().expect("url is a URL"),
            client_id: text(&line["client_id"]),
            client_secret: text(&line["client_secret"]),
            tenants,
            line,
            process,
            http: Http::new(),
        }
    }

    /// A token for a tenant, by client credentials.
    pub async fn token(&self, tenant: &Tenant) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
            self.client_id,
            percent(&self.client_secret)
        );
        let url = self.at(&format!("/{}/oauth2/v2.0/token", tenant.id));
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.http.send("POST", url, &headers, form.into()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["access_token"]
            .as_str()
            .expect("an access token")
            .to_owned()
    }

    /// A call to Graph as the app in a tenant.
    pub async fn graph(&self, tenant: &Tenant, method: &str, path: &str, body: Value) -> Value {
        let bearer = format!("Bearer {}", self.token(tenant).await);
        let mut headers = vec![("authorization", bearer.as_str())];
        let mut bytes = Vec::new();
        if !body.is_null() {
            headers.push(("content-type", "application/json"));
            bytes = body.to_string().into_bytes();
        }
        let answer = self.http.send(method, self.at(path), &headers, bytes).await;
        assert!(
            answer.status.is_success(),
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        if answer.body.is_empty() {
            json!(null)
        } else {
            answer.json()
        }
    }

    /// The clientState of a subscription, which only a GET of the one shows.
    pub async fn client_state(&self, tenant: &Tenant, graph_id: &str) -> String {
        let path = format!("/v1.0/subscriptions/{graph_id}");
        let subscription = self.graph(tenant, "GET", &path, json!(null)).await;
        subscription["clientState"]
            .as_str()
            .expect("a clientState")
            .to_owned()
    }

    /// A call to the control interface.
    pub async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let headers = [("content-type", "application/json")];
        let bytes = body.to_string().into_bytes();
        let answer = self.http.send(method, self.at(path), &headers, bytes).await;
        assert!(
            answer.status.is_success(),
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        if answer.body.is_empty() {
            json!(null)
        } else {
            answer.json()
        }
    }

    fn at(&self, path: &str) -> Url {
        self.url.join(path).expect("a path")
    }
}

/// Percent-encodes whatever a form could take for its own.
fn percent(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
