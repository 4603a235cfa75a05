//! Talks to the management API of a server.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::Args;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use ipnet::{Ipv4Net, Ipv6Net};
use serde_json::{Value, value::RawValue};
use tidings_domain::Secret;
use tidings_egress::{AddressPolicy, Answer, Egress, OnCap, Request};
use url::Url;

use crate::{
    context::Context,
    exit::{Exit, Failure},
};

mod locate;
mod problem;

/// Longer than the server may take for a call of its own to Graph, the slowest thing it does for a request.
const DEADLINE: Duration = Duration::from_mins(1);
/// A page of 500 large entries fits; more is not the API.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Where the server is and what opens it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerArguments {
    /// The server to talk to
    #[arg(
        long,
        visible_alias = "url",
        env = "TIDINGS_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server_url: Url,
    /// The API key. As a flag it shows in the list of processes: prefer the variable. Without either, the key of a
    /// server on this machine is read from its data folder
    #[arg(
        long,
        env = "TIDINGS_API_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    pub api_key: Option<Secret>,
    /// The data folder of a server on this machine
    #[arg(
        long,
        env = "TIDINGS_DATA_DIR",
        value_name = "DIR",
        default_value = "tidings-data"
    )]
    pub data_dir: PathBuf,
    /// The environment to work in (its id or name), for a key that opens all of them; without it the first one
    #[arg(long, env = "TIDINGS_ENVIRONMENT", value_name = "ENVIRONMENT")]
    pub environment: Option<String>,
}

/// A server's management API.
#[derive(Clone, Debug)]
pub struct Client {
    egress: Egress,
    base: Url,
    headers: HeaderMap,
}

impl Client {
    /// The API of the server that `arguments` name, opened by the key that they name or that lies beside the server.
    pub async fn open(arguments: &ServerArguments, context: &Context) -> Result<Self, Failure> {
        let url = &arguments.server_url;
        let environment = arguments.environment.as_deref();
        let key = match &arguments.api_key {
            Some(key) => key.clone(),
            None => match locate::admin_key(url, &arguments.data_dir) {
                Ok(key) => key,
                Err(no_key) => {
                    // A server that does not run leaves no address beside its key; that it does not run is then what
                    // is worth telling.
                    let stranger = Self::new(url.clone(), None, environment, context)?;
                    return Err(stranger.reach().await.err().unwrap_or(no_key));
                }
            },
        };
        Self::new(url.clone(), Some(&key), environment, context)
    }

    /// The API at `base`, opened by `key`.
    pub fn new(
        base: Url,
        key: Option<&Secret>,
        environment: Option<&str>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut bearer = header(&format!("Bearer {}", key.expose()), "the API key")?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("tidings-cli/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(environment) = environment {
            headers.insert(
                "tidings-environment",
                header(environment, "the environment")?,
            );
        }
        // The user named this server, wherever it is; what must not be reached is a matter of the gateway's own calls.
        let everywhere = vec![Ipv4Net::default().into(), Ipv6Net::default().into()];
        let egress = Egress::new(AddressPolicy::new(everywhere), context.clock.clone()).map_err(
            |error| Failure::new(Exit::Failed, format!("cannot make an HTTP client: {error}")),
        )?;
        Ok(Self {
            egress,
            base,
            headers,
        })
    }

    /// Reads what is at `path` below `/v1`.
    pub async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Box<RawValue>, Failure> {
        let body = self.send(Method::GET, path, query, None).await?;
        self.json(&body)
    }

    /// Posts `body` to `path` below `/v1`; `None` where the answer has no body.
    pub async fn post(
        &self,
        path: &[&str],
        body: &Value,
    ) -> Result<Option<Box<RawValue>>, Failure> {
        let body = self.send(Method::POST, path, &[], Some(body)).await?;
        self.optional_json(&body)
    }

    /// Changes what is at `path` below `/v1`.
    pub async fn patch(
        &self,
        path: &[&str],
        body: &Value,
    ) -> Result<Option<Box<RawValue>>, Failure> {
        let body = self.send(Method::PATCH, path, &[], Some(body)).await?;
        self.optional_json(&body)
    }

    /// Deletes what is at `path` below `/v1`.
    pub async fn delete(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Option<Box<RawValue>>, Failure> {
        let body = self.send(Method::DELETE, path, query, None).await?;
        self.optional_json(&body)
    }

    /// Whether anybody answers there; what, does not matter.
    async fn reach(&self) -> Result<(), Failure> {
        let mut url = self.base.clone();
        url.set_path("/healthz");
        let request = Request {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            deadline: DEADLINE,
            answer_cap: 0,
            on_cap: OnCap::Cut,
        };
        self.exchange(request).await.map(|_| ())
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Bytes, Failure> {
        let mut headers = self.headers.clone();
        let body = match body {
            Some(body) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = Request {
            method,
            url: self.address(path, query)?,
            headers,
            body,
            deadline: DEADLINE,
            answer_cap: MAX_ANSWER_BYTES,
            on_cap: OnCap::Fail,
        };
        let answer = self.exchange(request).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(problem::failure(&self.base, answer.status, &answer.body))
    }

    async fn exchange(&self, request: Request) -> Result<Answer, Failure> {
        self.egress.send(request).await.map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format!("cannot reach the server at {}: {error}", self.base),
            )
            .hint("is `tidings serve` running there? `--server-url` or TIDINGS_URL says where to look")
        })
    }

    fn address(&self, path: &[&str], query: &[(&str, String)]) -> Result<Url, Failure> {
        // The URL standard takes `.` and `..` out of a path, so that another thing than the named one would be asked.
        if let Some(name) = path.iter().find(|name| matches!(**name, "" | "." | "..")) {
            return Err(Failure::new(
                Exit::Usage,
                format!("`{name}` cannot be an id"),
            ));
        }
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| {
                Failure::new(
                    Exit::Usage,
                    format!(
                        "`{}` cannot be a server's URL: use http://HOST:PORT",
                        self.base
                    ),
                )
            })?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        url.set_fragment(None);
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn optional_json(&self, body: &[u8]) -> Result<Option<Box<RawValue>>, Failure> {
        if body.is_empty() {
            return Ok(None);
        }
        self.json(body).map(Some)
    }

    fn json(&self, body: &[u8]) -> Result<Box<RawValue>, Failure> {
        serde_json::from_slice(body).map_err(|_| {
            Failure::new(
                Exit::Failed,
                format!("what {} answered is no JSON", self.base),
            )
            .hint("is this a Tidings server? `--server-url` or TIDINGS_URL says where to look")
        })
    }
}

fn header(text: &str, what: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| {
        Failure::new(
            Exit::Usage,
            format!("{what} has characters that cannot be sent"),
        )
    })
}
