//! Graph has a subscription with the same resource and change types already: whose it is, and what follows.

use tidings_domain::{SafeUrl, resource::ChangeTypes};
use tidings_graph::{
    CallError, resource::SubscriptionPath, wire::subscription::SubscriptionResource,
};
use url::Url;

use super::act::Case;

/// What a conflict turned out to be.
pub(super) enum Resolved {
    /// What stands in the way is the wanted one: its maker, we ourselves, did not live to write that down.
    Ours(Box<SubscriptionResource>),
    /// It has been removed: the wanted one can be made.
    OutOfTheWay,
    /// It is somebody else's; why, for people.
    NotOurs(String),
}

/// Finds out whose the existing subscription is. `existing` is its id, if Graph told it.
pub(super) async fn resolve(
    case: &Case<'_>,
    existing: Option<String>,
    message: &str,
) -> Result<Resolved, CallError> {
    let id = match existing {
        Some(id) => Some(id),
        None => like_ours(case).await?.into_iter().next(),
    };
    let Some(id) = id else {
        return Ok(Resolved::NotOurs(format!(
            "Graph allows only one such subscription, and there is one already: {message}"
        )));
    };
    let graph = &case.parts.graph;
    let found = match case
        .noted(graph.get_subscription(&case.access, &id).await)
        .await
    {
        Ok(found) => found,
        Err(CallError::NotFound) => return Ok(Resolved::OutOfTheWay),
        Err(error) => return Err(error),
    };
    if found.client_state.as_ref() == Some(&case.row.client_state) {
        return Ok(Resolved::Ours(Box::new(found)));
    }
    let holder = found.client_state.as_ref().and_then(|state| {
        let hash = case.parts.store.hash_client_state(state.expose());
        case.parts.directory.subscription_by_client_state(hash)
    });
    if let Some(holder) = holder {
        return Ok(Resolved::NotOurs(format!(
            "subscription {} of environment {} has the same app watch the same resource in the same tenant: \
             delete one of them, or ask for other change types",
            holder.id, holder.environment
        )));
    }
    if found.notification_url.as_deref() == Some(case.notification_url.as_str()) {
        // Ours once, and forgotten: nobody else has this URL.
        return remove(case, &id).await;
    }
    let elsewhere = shown(found.notification_url.as_deref());
    if case.parts.config.take_over {
        tracing::warn!(subscription.id = %case.row.id, graph.id = id, elsewhere, "a subscription of another installation is taken over");
        return remove(case, &id).await;
    }
    Ok(Resolved::NotOurs(format!(
        "subscription {id} of the same app sends the same to {elsewhere}: another installation uses this app \
         registration. Remove it there, register an app for each, or start this one with `--take-over` to have it here",
    )))
}

async fn remove(case: &Case<'_>, id: &str) -> Result<Resolved, CallError> {
    let deleted = case.parts.graph.delete_subscription(&case.access, id).await;
    match case.noted(deleted).await {
        Ok(()) | Err(CallError::NotFound) => Ok(Resolved::OutOfTheWay),
        Err(error) => Err(error),
    }
}

/// Removes at Graph what was made for a row that does not know of it.
pub(super) async fn remove_unheard_of(case: &Case<'_>) -> Result<(), CallError> {
    let graph = &case.parts.graph;
    for id in like_ours(case).await? {
        let found = match case
            .noted(graph.get_subscription(&case.access, &id).await)
            .await
        {
            Ok(found) => found,
            Err(CallError::NotFound) => continue,
            Err(error) => return Err(error),
        };
        if found.client_state.as_ref() == Some(&case.row.client_state) {
            let deleted = graph.delete_subscription(&case.access, &id).await;
            return case.noted(deleted).await;
        }
    }
    Ok(())
}

/// The ids of the subscriptions at Graph with our resource and change types.
async fn like_ours(case: &Case<'_>) -> Result<Vec<String>, CallError> {
    let listed = case.parts.graph.list_subscriptions(&case.access).await;
    let listed = case.noted(listed).await?;
    let is_like_ours = |one: &SubscriptionResource| {
        let changes: Result<ChangeTypes, _> = one.change_type.parse();
        let resource = SubscriptionPath::parse(&one.resource);
        changes == Ok(case.row.change_types)
            && resource.is_ok_and(|path| path.canonical().eq_ignore_ascii_case(&case.row.resource))
    };
    let ids = listed.into_iter().filter(is_like_ours).map(|one| one.id);
    Ok(ids.collect())
}

fn shown(url: Option<&str>) -> String {
    match url.map(Url::parse) {
        Some(Ok(url)) => SafeUrl::new(url).to_string(),
        _ => "an unknown URL".to_owned(),
    }
}
