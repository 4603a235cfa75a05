//! `GET /v1/completeness`, and `GET /v1/subscriptions/{id}/completeness` for one: which changes Graph told of, in time or late,
//! and which were only found by comparing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tidings_domain::{
    Timestamp,
    completeness::{Completeness, Day},
    config::Span,
    ids::{ConnectionId, SubscriptionId},
    reconcile::{Reconcile, ReconcileReason},
    resource::ResourceKind,
    subscription::Subscription,
};
use tidings_graph::resource::SubscriptionPath;
use tidings_pipeline::{completeness::KEPT, gateway::Gateway, reconcile};
use tidings_storage::record::SubscriptionFilter;

use crate::{
    api::{
        access::Access,
        list::{self, After, Limit},
        path::NamedWith,
        query::Query,
    },
    problem::{Code, Problem},
};

/// How far a report goes back if nobody says.
const WEEK: Span = Span(Duration::from_hours(7 * 24));

/// How many changes became known, as it is shown.
#[derive(Debug, Serialize)]
struct Counts {
    on_time: u64,
    late: u64,
    found: u64,
    /// Of how many hundredths of them Graph told.
    percent: Option<f64>,
}

impl From<Completeness> for Counts {
    fn from(counts: Completeness) -> Self {
        Self {
            on_time: counts.on_time,
            late: counts.late,
            found: counts.found,
            percent: counts.percent(),
        }
    }
}

/// One subscription's line.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    subscription_id: SubscriptionId,
    connection_id: ConnectionId,
    resource: String,
    kind: ResourceKind,
    /// Whether what it watches can be compared: if not, nothing is ever found.
    comparable: bool,
    #[serde(flatten)]
    counts: Counts,
    /// When it was compared last, to the end.
    compared_at: Option<Timestamp>,
    /// Why comparing was last asked for.
    reason: Option<ReconcileReason>,
    /// What keeps it from being compared.
    last_error: Option<String>,
    /// Since when Graph tells of nothing, if that is longer than it used to.
    silent_since: Option<Timestamp>,
}

impl Line {
    fn new(subscription: &Subscription, counts: Completeness, state: Option<Reconcile>) -> Self {
        let path = SubscriptionPath::parse(&subscription.resource);
        Self {
            subscription_id: subscription.id,
            connection_id: subscription.connection,
            resource: subscription.resource.clone(),
            kind: subscription.kind,
            comparable: path.is_ok_and(|path| reconcile::covers(&path)),
            counts: counts.into(),
            compared_at: state.as_ref().and_then(|state| state.finished_at),
            reason: state.as_ref().map(|state| state.reason),
            silent_since: state
                .as_ref()
                .and_then(|state| state.silence)
                .map(|silence| silence.since),
            last_error: state.and_then(|state| state.last_error),
        }
    }
}

/// A page of the report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// From when on it counts: days are counted whole.
    from: Timestamp,
    /// Of all that are meant, also those of other pages.
    totals: Counts,
    data: Vec<Line>,
    next_cursor: Option<String>,
}

/// The report of one subscription.
#[derive(Debug, Serialize)]
pub(crate) struct One {
    from: Timestamp,
    #[serde(flatten)]
    line: Line,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    since: Option<Span>,
    connection: Option<ConnectionId>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<After>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedOfOne {
    since: Option<Span>,
}

pub(crate) async fn all(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Report>, Problem> {
    let from = from(&gateway, wanted.since)?;
    let page = list::page(wanted.limit, wanted.cursor);
    let store = &gateway.store;
    let which = match wanted.connection {
        None => SubscriptionFilter::Environment(access.environment),
        Some(id) => {
            let connection = store.connection(id).await?;
            if connection.is_none_or(|one| one.environment != access.environment) {
                return Err(Problem::not_found(format_args!("connection `{id}`")));
            }
            SubscriptionFilter::Connection(id)
        }
    };
    // What this node still has in memory belongs to it. Should that fail, it is counted a little later.
    let _ = gateway.tally.flush().await;
    let totals = store.completeness(which, from).await?;
    let listing = store
        .subscriptions(Some(access.environment), wanted.connection, page)
        .await?;
    let ids = listing.items.iter().map(|one| one.id).collect();
    let mut counts: HashMap<SubscriptionId, Completeness> = HashMap::new();
    for day in store.counted_days(ids, from).await? {
        let of = counts.entry(day.subscription).or_default();
        *of = *of + day.counts;
    }
    let mut data = Vec::with_capacity(listing.items.len());
    for subscription in &listing.items {
        let state = store.reconcile(subscription.id).await?;
        let counts = counts.get(&subscription.id).copied().unwrap_or_default();
        data.push(Line::new(subscription, counts, state));
    }
    Ok(Json(Report {
        from: from.start(),
        totals: totals.into(),
        data,
        next_cursor: listing.next.as_ref().map(list::written),
    }))
}

pub(crate) async fn one(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    NamedWith(id, wanted): NamedWith<SubscriptionId, WantedOfOne>,
) -> Result<Json<One>, Problem> {
    let from = from(&gateway, wanted.since)?;
    let subscription = super::find(&gateway, &access, id).await?;
    let _ = gateway.tally.flush().await;
    let counts = gateway
        .store
        .completeness(SubscriptionFilter::One(id), from)
        .await?;
    let state = gateway.store.reconcile(id).await?;
    Ok(Json(One {
        from: from.start(),
        line: Line::new(&subscription, counts, state),
    }))
}

fn from(gateway: &Gateway, since: Option<Span>) -> Result<Day, Problem> {
    let Span(since) = since.unwrap_or(WEEK);
    if since > KEPT {
        let days = KEPT.as_secs() / 86_400;
        let detail = format!("counts are kept for {days} days: say `since={days}d` or less");
        return Err(Problem::new(Code::InvalidParameter, detail));
    }
    Ok(Day::of(gateway.clock.now() - since))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};
    use tidings_domain::completeness::{Counted, How};

    use crate::api::testing::{Api, normal};

    async fn count(api: &Api, subscription: &Value, how: How, count: u64) {
        let counted = Counted {
            subscription: subscription.as_str().unwrap().parse().unwrap(),
            at: api.gateway.clock.now(),
            how,
            count,
        };
        let store = &api.gateway.store;
        store.count_changes(vec![counted]).await.unwrap();
    }

    #[tokio::test]
    async fn the_report_says_what_graph_told_and_what_was_found() {
        let api = Api::start().await;
        let [one, other] = [api.connection("one").await, api.connection("other").await];
        let mut ids = Vec::new();
        for connection in [&one, &other] {
            let new = json!({
                "connection_id": connection["id"],
                "resource": "users/7/events",
                "change_types": ["updated"],
            });
            let made = api.admin().make("/v1/subscriptions", new).await;
            ids.push(made["id"].clone());
        }
        for (how, many) in [(How::OnTime, 2), (How::Late, 1), (How::Found, 1)] {
            count(&api, &ids[0], how, many).await;
        }
        count(&api, &ids[1], How::OnTime, 4).await;
        let report = api.admin().get("/v1/completeness?since=1d").await;
        let totals = json!({"on_time": 6, "late": 1, "found": 1, "percent": 87.5});
        assert_eq!(report.body["totals"], totals, "{report:?}");
        assert_eq!(report.body["data"].as_array().unwrap().len(), 2);
        let connection = one["id"].as_str().unwrap();
        let path = format!("/v1/completeness?connection={connection}&limit=1");
        let report = api.admin().get(&path).await;
        let counts = json!({"on_time": 2, "late": 1, "found": 1, "percent": 75.0});
        assert_eq!(report.body["totals"], counts);
        assert_eq!(report.body["data"].as_array().unwrap().len(), 1);
        let id = ids[0].as_str().unwrap();
        let path = format!("/v1/subscriptions/{id}/completeness?since=2d");
        let mut line = api.admin().get(&path).await.body;
        // What it is compared with here knows no delta queries, which may have shown by now.
        line["last_error"] = Value::Null;
        assert_eq!(
            normal(&line),
            json!({
                "from": "time",
                "subscription_id": "sub_*",
                "connection_id": "conn_*",
                "resource": "users/7/events",
                "kind": "event",
                "comparable": true,
                "on_time": 2,
                "late": 1,
                "found": 1,
                "percent": 75.0,
                "compared_at": null,
                "reason": "created",
                "last_error": null,
                "silent_since": null,
            })
        );
    }

    #[tokio::test]
    async fn a_time_that_is_not_kept_is_refused() {
        let api = Api::start().await;
        for since in ["63d", "week", "1"] {
            let path = format!("/v1/completeness?since={since}");
            let answer = api.admin().get(&path).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
            assert_eq!(answer.body["code"], "invalid_parameter");
        }
    }
}
