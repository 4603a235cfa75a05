//! What Graph would post: a collection of change notifications, in the documented shape.

use serde_json::{Value, json};

/// What a subscription is called at Graph, and what its notifications carry.
#[derive(Clone, Debug)]
pub struct Subscribed {
    /// Its id at Graph.
    pub graph_id: String,
    /// The secret that its notifications repeat.
    pub client_state: String,
    /// Its tenant.
    pub tenant_id: String,
    /// Whose calendar it watches.
    pub user_id: String,
}

impl Subscribed {
    /// The notification that an event of the calendar was deleted: no GET follows it.
    pub fn deleted(&self, item: &str) -> Value {
        self.changed("deleted", item)
    }

    /// The same for the `time`th time, told apart by its id.
    pub fn deleted_again(&self, item: &str, time: u32) -> Value {
        let mut notification = self.deleted(item);
        notification["id"] = json!(format!("n-{item}-{time}"));
        notification
    }

    /// The notification of a change to an event of the calendar.
    pub fn changed(&self, change_type: &str, item: &str) -> Value {
        let resource = format!("Users/{}/Events/{item}", self.user_id);
        json!({
            "id": format!("n-{item}-{change_type}"),
            "subscriptionId": self.graph_id,
            "subscriptionExpirationDateTime": "2036-03-20T11:00:00.0000000Z",
            "changeType": change_type,
            "resource": resource,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event",
                "@odata.id": resource,
                "@odata.etag": format!("W/\"{item}\""),
                "id": item,
            },
            "clientState": self.client_state,
            "tenantId": self.tenant_id,
        })
    }
}

/// The body of one POST.
pub fn collection(items: impl IntoIterator<Item = Value>) -> Vec<u8> {
    let items: Vec<Value> = items.into_iter().collect();
    json!({ "value": items }).to_string().into_bytes()
}
