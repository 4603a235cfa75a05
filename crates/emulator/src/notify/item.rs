//! The JSON of one item of a notification (Microsoft's "changeNotification resource type" page, in the forms seen in its
//! examples and in the field).

use serde_json::{Map, Value, json};
use tidings_domain::{notification::LifecycleEvent, resource::ChangeType};
use uuid::Uuid;

use super::{Changed, changed::Name};
use crate::{
    Switches, ids,
    mailbox::item::Item,
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
    let mut path = path(what, &subscription.resource, tenant, &switches);
    let mut name = what.name();
    if subscription.immutable
        && let Some((id, immutable)) = what.ids()
    {
        path = path.replace(&*id, &immutable);
        name = name.map(|name| Name {
            id: immutable,
            ..name
        });
    }
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
        resource_data(what, name, path, tenant, &switches)
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

fn resource_data(
    what: Changed<'_>,
    name: Option<Name>,
    path: String,
    tenant: Uuid,
    switches: &Switches,
) -> Value {
    // Who hears of a drive has to ask what changed in it.
    let Some(Name { kind, id, etag }) = name else {
        return Value::Null;
    };
    let mut data = Map::new();
    data.insert(
        "@odata.type".into(),
        cased(&format!("#Microsoft.Graph.{kind}"), switches.casing).into(),
    );
    data.insert("@odata.id".into(), path.into());
    if let Some(etag) = etag.filter(|_| !switches.without_etag) {
        data.insert("@odata.etag".into(), etag.into());
    }
    data.insert("id".into(), id.into());
    if let Changed::User(..) | Changed::Group { .. } = what {
        data.insert("organizationId".into(), tenant.to_string().into());
    }
    if let Changed::Group { members, .. } = what
        && !members.is_empty()
        && switches.group_members
    {
        let members = members.iter().map(|(id, present)| {
            if *present {
                json!({"id": id})
            } else {
                json!({"id": id, "@removed": "deleted"})
            }
        });
        data.insert("members@delta".into(), members.collect());
    }
    Value::Object(data)
}

/// The path of what changed, told to somebody who `subscribed` to something.
pub(super) fn path(
    what: Changed<'_>,
    subscribed: &str,
    tenant: Uuid,
    switches: &Switches,
) -> String {
    let word = |word: &str| cased(word, switches.casing);
    let quoted = |name: &str, id: &str| format!("{}('{id}')", word(name));
    let step = |name: &str, id: &str| match switches.path_form {
        PathForm::Quoted => quoted(name, id),
        PathForm::Segments | PathForm::UserAtTenant => format!("{}/{id}", word(name)),
    };
    let below = |user: Uuid, name: &str, item: &Item| {
        let user = match switches.path_form {
            PathForm::UserAtTenant => format!("{user}@{tenant}"),
            _ => user.to_string(),
        };
        format!("{}/{}", step("Users", &user), step(name, &item.id))
    };
    match what {
        // Teams has one form only.
        Changed::Channel { team, id, .. } => {
            let team = quoted("teams", &team.to_string());
            format!("{team}/{}", quoted("channels", id))
        }
        Changed::Contact(user, item) => below(user.id, "Contacts", item),
        // What was subscribed to, as it was written.
        Changed::Drive(..) => subscribed.trim_start_matches('/').to_owned(),
        Changed::Event(user, item) => below(user.id, "Events", item),
        Changed::Group { id, .. } => step("Groups", &id.to_string()),
        Changed::Message(user, item) => below(user.id, "Messages", item),
        Changed::Team { id, .. } => quoted("teams", &id.to_string()),
        Changed::User(_, user) => step("Users", &user.id.to_string()),
    }
}

fn cased(word: &str, casing: Casing) -> String {
    match casing {
        Casing::Documented => word.to_owned(),
        Casing::Lower => word.to_lowercase(),
        Casing::Upper => word.to_uppercase(),
    }
}
