//! What people do in their mailboxes: changes to a calendar event and a message, made through Graph.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Value, json};
use tidings_domain::resource::{ChangeType, ResourceKind};
use tidings_egress::{Egress, OnCap, Request};
use tidings_graph::client::{Access, GraphClient};

use crate::exit::{Exit, Failure};

/// An emulated Graph answers at once.
const DEADLINE: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// One user's mailbox in one tenant.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    /// What Graph is asked with.
    pub(super) access: Access,
    /// The user's id.
    pub(super) user: String,
    /// The domain of the tenant, for people.
    pub(super) domain: String,
    graph: GraphClient,
    egress: Egress,
}

impl Mailbox {
    pub(super) fn new(
        access: Access,
        user: String,
        domain: String,
        graph: GraphClient,
        egress: Egress,
    ) -> Self {
        Self {
            access,
            user,
            domain,
            graph,
            egress,
        }
    }

    /// Makes a change to an item of `kind`; `item` is its id, unless it is created now. Gives the item's id.
    pub(super) async fn change(
        &self,
        kind: ResourceKind,
        change: ChangeType,
        item: Option<&str>,
    ) -> Result<String, Failure> {
        let collection = match kind {
            ResourceKind::Message => "messages",
            _ => "events",
        };
        let mut path = vec!["v1.0", "users", &self.user, collection];
        path.extend(item);
        let (method, body) = match change {
            ChangeType::Created => (Method::POST, created(kind)),
            ChangeType::Updated => (Method::PATCH, updated(kind)),
            ChangeType::Deleted => (Method::DELETE, Value::Null),
        };
        let answer = self.call(method, &path, &body).await?;
        let id = item.or_else(|| answer["id"].as_str());
        id.map(str::to_owned)
            .ok_or_else(|| Failure::new(Exit::Failed, "Graph made an item without an id"))
    }

    async fn call(&self, method: Method, path: &[&str], body: &Value) -> Result<Value, Failure> {
        let failed = |what: String| Failure::new(Exit::Failed, format!("Graph: {what}"));
        let token = self
            .graph
            .token(&self.access)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.value.expose()))
            .map_err(|error| failed(error.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        let body = if body.is_null() {
            Bytes::new()
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Bytes::from(body.to_string())
        };
        let mut url = self.access.graph_url.clone();
        url.path_segments_mut()
            .map_err(|()| failed("its URL cannot have a path".to_owned()))?
            .pop_if_empty()
            .extend(path);
        let request = Request {
            method,
            url,
            headers,
            body,
            deadline: DEADLINE,
            answer_cap: MAX_ANSWER_BYTES,
            on_cap: OnCap::Fail,
        };
        let answer = self
            .egress
            .send(request)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !answer.status.is_success() {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            return Err(failed(format!("{} {text}", answer.status)));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).map_err(|error| failed(error.to_string()))
    }
}

fn created(kind: ResourceKind) -> Value {
    match kind {
        ResourceKind::Message => json!({
            "subject": "The figures for November",
            "body": {"contentType": "text", "content": "They are better than we thought. The table is in the shared folder."},
            "toRecipients": [{"emailAddress": {"name": "Team", "address": "team@tidings.example"}}],
        }),
        _ => json!({
            "subject": "Project review",
            "body": {"contentType": "text", "content": "Agenda: what is done, what is next."},
            "start": {"dateTime": "2030-01-14T10:00:00", "timeZone": "UTC"},
            "end": {"dateTime": "2030-01-14T11:00:00", "timeZone": "UTC"},
            "location": {"displayName": "Room 3"},
        }),
    }
}

fn updated(kind: ResourceKind) -> Value {
    match kind {
        ResourceKind::Message => {
            json!({"subject": "The figures for November (corrected)", "importance": "high"})
        }
        _ => json!({
            "subject": "Project review (moved)",
            "start": {"dateTime": "2030-01-14T15:00:00", "timeZone": "UTC"},
            "end": {"dateTime": "2030-01-14T16:00:00", "timeZone": "UTC"},
        }),
    }
}
