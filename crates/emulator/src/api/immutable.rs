//! Ids that stay when an item moves: `Prefer: IdType="ImmutableId"` (Microsoft's "obtain immutable identifiers for Outlook
//! resources" page).

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::route::{ContactRoute, DeltaRoute, Route};
use crate::ids;

impl Route<'_> {
    /// Whether answers hold items of a mailbox that have an immutable id. Folders have one id only, which stays.
    pub(super) fn shows_mailbox_items(&self) -> bool {
        matches!(
            self,
            Self::CalendarView { .. }
                | Self::Contact(ContactRoute::Collection { .. } | ContactRoute::Single { .. })
                | Self::Delta(
                    DeltaRoute::Contacts { .. }
                        | DeltaRoute::Events { .. }
                        | DeltaRoute::Messages { .. },
                )
                | Self::Event { .. }
                | Self::Events { .. }
                | Self::Message { .. }
                | Self::MessageMove { .. }
                | Self::Messages { .. }
        )
    }
}

/// Writes immutable ids in the place of others into an answer that holds one item, or a list.
pub(super) async fn translate(response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(parts, Full::new(body));
    };
    match value.get_mut("value") {
        Some(Value::Array(items)) => items.iter_mut().for_each(translate_one),
        _ => translate_one(&mut value),
    }
    parts.headers.insert(
        "preference-applied",
        HeaderValue::from_static("IdType=\"ImmutableId\""),
    );
    Response::from_parts(parts, Full::new(value.to_string().into()))
}

fn translate_one(item: &mut Value) {
    let immutable = item.get("id").and_then(Value::as_str);
    if let Some(immutable) = immutable.and_then(ids::immutable) {
        item["id"] = immutable.into();
    }
}
