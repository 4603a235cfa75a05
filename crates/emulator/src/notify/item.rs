//! The JSON of one item of a notification (Microsoft's "changeNotification resource type" page, in the forms seen in its
//! examples and in the field).

use serde_json::{Map, Value, json};
use tidings_domain::{notification::LifecycleEvent, resource::ChangeType};
use uuid::Uuid;

use super::Changed;
use crate::{
    Switches, ids,
    subscription::Subscription,
    switches::{Casing, PathForm},
    time,
    world::World,
};

/// The item for a change.
pub(super) fn change(
    world: &World,
    subscription: &Subscription,
    tenant: Uuid,
    what: Changed<'_>,
    change: ChangeType,
) -> String {
    let switches = world.switches();
    let path = path(what, tenant, &switches);
    let mut item = envelope(world, subscription, tenant, &switches);
    let change = if switches.unknown_change_type {
        "unknownFutureValue"
    } else {
        change.as_str()
    };
    item.insert("changeType".into(), change.into());
    item.insert("resource".into(), path.clone().into());
    let data = if switches.null_resource_data {
        Value::Null
    } else {
        resource_data(what, path, tenant, &switches)
    };
    item.insert("resourceData".into(), data);
    Value::Object(item).to_string()
}

/// The item for something that happened to the subscription itself: neither change nor resource.
pub(super) fn lifecycle(
    world: &World,
    subscription: &Subscription,
    event: LifecycleEvent,
) -> String {
    let switches = world.switches();
    let mut item = envelope(world, subscription, subscription.tenant, &switches);
    item.insert("lifecycleEvent".into(), event.as_str().into());
    Value::Object(item).to_string()
}

fn envelope(
    world: &World,
    subscription: &Subscription,
    tenant: Uuid,
    switches: &Switches,
) -> Map<String, Value> {
    let mut item = Map::new();
    if switches.notification_id {
        item.insert("id".into(), ids::notification(&*world.entropy).into());
    }
    item.insert("subscriptionId".into(), subscription.id.to_string().into());
    item.insert(
        "subscriptionExpirationDateTime".into(),
        time::seven_digits(subscription.expires_at, switches.date_offset_minutes).into(),
    );
    if let Some(state) = &subscription.client_state {
        item.insert("clientState".into(), state.clone().into());
    }
    item.insert("tenantId".into(), tenant.to_string().into());
    if switches.unknown_members {
        item.insert(
            "deliveryHint".into(),
            json!({"region": "emulated", "rank": 1}),
        );
    }
    item
}

fn resource_data(what: Changed<'_>, path: String, tenant: Uuid, switches: &Switches) -> Value {
    let (name, id, etag) = match what {
        Changed::Contact(_, item) => ("Contact", item.id.to_string(), Some(item.etag.clone())),
        Changed::Event(_, item) => ("Event", item.id.to_string(), Some(item.etag.clone())),
        Changed::Message(_, item) => ("Message", item.id.to_string(), Some(item.etag.clone())),
        Changed::User(_, user) => ("User", user.id.to_string(), None),
    };
    let mut data = Map::new();
    data.insert(
        "@odata.type".into(),
        cased(&format!("#Microsoft.Graph.{name}"), switches.casing).into(),
    );
    data.insert("@odata.id".into(), path.into());
    if let Some(etag) = etag.filter(|_| !switches.without_etag) {
        data.insert("@odata.etag".into(), etag.into());
    }
    data.insert("id".into(), id.into());
    if let Changed::User(..) = what {
        data.insert("organizationId".into(), tenant.to_string().into());
    }
    Value::Object(data)
}

/// The path of what changed.
pub(super) fn path(what: Changed<'_>, tenant: Uuid, switches: &Switches) -> String {
    let (user, below) = match what {
        Changed::Contact(user, item) => (user.id, Some(("Contacts", &*item.id))),
        Changed::Event(user, item) => (user.id, Some(("Events", &*item.id))),
        Changed::Message(user, item) => (user.id, Some(("Messages", &*item.id))),
        Changed::User(_, user) => (user.id, None),
    };
    let word = |word: &str| cased(word, switches.casing);
    let step = |name: &str, id: &str| match switches.path_form {
        PathForm::Quoted => format!("{}('{id}')", word(name)),
        PathForm::Segments | PathForm::UserAtTenant => format!("{}/{id}", word(name)),
    };
    let user = match (switches.path_form, below) {
        (PathForm::UserAtTenant, Some(_)) => format!("{user}@{tenant}"),
        _ => user.to_string(),
    };
    match below {
        None => step("Users", &user),
        Some((name, id)) => format!("{}/{}", step("Users", &user), step(name, id)),
    }
}

fn cased(word: &str, casing: Casing) -> String {
    match casing {
        Casing::Documented => word.to_owned(),
        Casing::Lower => word.to_lowercase(),
        Casing::Upper => word.to_uppercase(),
    }
}
