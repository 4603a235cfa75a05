//! `GET /v1/resources`: the table of what can be subscribed to.

use axum::response::Response;
use serde::Serialize;
use tidings_domain::resource::{ChangeType, ResourceKind};
use tidings_graph::resource::table::{self, ResourceRow, Rich};

use super::{
    list::{self, NoQuery},
    query::Query,
};

pub(crate) async fn list(Query(NoQuery {}): Query<NoQuery>) -> Response {
    list::table(
        table::ROWS
            .iter()
            .map(|row| ResourceJson::from(*row))
            .collect(),
    )
}

/// A row of the table as it is shown.
#[derive(Debug, Serialize)]
struct ResourceJson {
    kind: ResourceKind,
    name: &'static str,
    /// Of Graph.
    version: &'static str,
    /// What `resource` of a subscription can be; `{…}` stands for one id.
    paths: &'static [&'static str],
    change_types: &'static [ChangeType],
    /// How long a subscription may live.
    max_minutes: u32,
    /// What Tidings asks for, and renews in time.
    ask_minutes: u32,
    /// Any one of these suffices, here and in the next two.
    delegated_permissions: &'static [&'static str],
    personal_permissions: &'static [&'static str],
    application_permissions: &'static [&'static str],
    content_in_notifications: &'static str,
    /// Whether what was missed can be caught up with.
    delta: bool,
    latency: LatencyJson,
    quotas: Vec<QuotaJson>,
    note: &'static str,
}

#[derive(Debug, Serialize)]
struct LatencyJson {
    average: &'static str,
    most: &'static str,
}

#[derive(Debug, Serialize)]
struct QuotaJson {
    limit: u32,
    per: &'static str,
}

impl From<&ResourceRow> for ResourceJson {
    fn from(row: &ResourceRow) -> Self {
        let quotas = row.quotas.iter();
        Self {
            kind: row.kind,
            name: row.name,
            version: row.version.as_str(),
            paths: row.subscriptions,
            change_types: row.changes.allowed(),
            max_minutes: row.lifetime.max_minutes,
            ask_minutes: row.lifetime.ask_minutes,
            delegated_permissions: row.permissions.delegated,
            personal_permissions: row.permissions.personal,
            application_permissions: row.permissions.application,
            content_in_notifications: match row.rich {
                Rich::No => "no",
                Rich::Required => "required",
                Rich::Yes => "yes",
                Rich::YesWithSelect => "with $select",
            },
            delta: row.delta,
            latency: LatencyJson {
                average: row.latency.average,
                most: row.latency.most,
            },
            quotas: quotas
                .map(|quota| QuotaJson {
                    limit: quota.limit,
                    per: quota.per,
                })
                .collect(),
            note: row.note,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidings_graph::resource::table::ROWS;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn every_resource_is_listed_with_its_limits() {
        let api = Api::start().await;
        let body = api.admin().get("/v1/resources").await.body;
        let rows = body["data"].as_array().unwrap();
        assert_eq!(rows.len(), ROWS.len());
        let event = rows.iter().find(|row| row["kind"] == "event").unwrap();
        assert_eq!(
            event["change_types"],
            json!(["created", "updated", "deleted"])
        );
        assert_eq!(event["max_minutes"], 10_070);
        assert!(
            event["paths"]
                .as_array()
                .unwrap()
                .contains(&json!("users/{user}/events"))
        );
        assert!(
            !event["application_permissions"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
}
