//! `GET /v1/resources`: the table of what can be subscribed to.

use axum::response::Response;
use serde::Serialize;
use tidings_domain::resource::{ChangeType, ResourceKind};
use tidings_graph::resource::table::{self, Permissions, ResourceRow, Rich};

use super::{
    list::{self, NoQuery},
    query::Query,
};

pub(crate) async fn list(Query(NoQuery {}): Query<NoQuery>) -> Response {
    list::whole(
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
    graph_version: &'static str,
    /// What `resource` of a subscription can be; `{…}` stands for one id.
    resources: &'static [&'static str],
    change_types: &'static [ChangeType],
    max_lifetime_minutes: u32,
    /// What Tidings asks for, and renews in time.
    lifetime_minutes: u32,
    /// Whether notifications can carry the item itself.
    rich: &'static str,
    /// Whether what was missed can be caught up with.
    delta: bool,
    latency: LatencyJson,
    quotas: Vec<QuotaJson>,
    permissions: PermissionsJson,
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

/// Any one of a list suffices.
#[derive(Debug, Serialize)]
struct PermissionsJson {
    delegated: &'static [&'static str],
    personal: &'static [&'static str],
    application: &'static [&'static str],
}

impl From<&ResourceRow> for ResourceJson {
    fn from(row: &ResourceRow) -> Self {
        let Permissions {
            delegated,
            personal,
            application,
        } = row.permissions;
        Self {
            kind: row.kind,
            name: row.name,
            graph_version: row.version.as_str(),
            resources: row.subscriptions,
            change_types: row.changes.allowed(),
            max_lifetime_minutes: row.lifetime.max_minutes,
            lifetime_minutes: row.lifetime.ask_minutes,
            rich: match row.rich {
                Rich::No => "no",
                Rich::Required => "required",
                Rich::Yes => "yes",
                Rich::YesWithSelect => "with_select",
            },
            delta: row.delta,
            latency: LatencyJson {
                average: row.latency.average,
                most: row.latency.most,
            },
            quotas: row
                .quotas
                .iter()
                .map(|quota| QuotaJson {
                    limit: quota.limit,
                    per: quota.per,
                })
                .collect(),
            permissions: PermissionsJson {
                delegated,
                personal,
                application,
            },
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
        assert_eq!(event["max_lifetime_minutes"], 10_070);
        assert!(
            event["resources"]
                .as_array()
                .unwrap()
                .contains(&json!("users/{user}/events"))
        );
        assert!(
            !event["permissions"]["application"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
}
