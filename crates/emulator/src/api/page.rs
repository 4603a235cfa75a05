//! Lists in pages.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use url::form_urlencoded;

use super::{GraphError, call::Call};
use crate::mailbox::item::Item;

/// The longest page that Outlook gives (Microsoft's "list messages" page).
const LONGEST: usize = 1_000;

/// Where in a list a page begins and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// How many come before it.
    pub(super) skip: usize,
    /// How many it holds at most.
    pub(super) top: usize,
}

impl Window {
    /// What `$top` and `$skip` say.
    pub(super) fn read(call: &Call<'_>, default_top: usize) -> Result<Self, GraphError> {
        let top = call.number("top")?.unwrap_or(default_top);
        if top == 0 || top > LONGEST {
            return Err(GraphError::invalid(format!(
                "Invalid page size specified: '{top}'. Must be between 1 and {LONGEST} inclusive."
            )));
        }
        Ok(Self {
            skip: call.number("skip")?.unwrap_or(0),
            top,
        })
    }

    /// The part of `all` that is in it, and whether more follow.
    pub(super) fn cut<T>(self, all: &[T]) -> (&[T], bool) {
        let start = self.skip.min(all.len());
        let end = start.saturating_add(self.top).min(all.len());
        (&all[start..end], end < all.len())
    }
}

/// The JSON of one page of items.
pub(super) fn of_items(
    call: &Call<'_>,
    context: &str,
    page: &[Arc<Item>],
    window: Window,
    more: bool,
) -> Bytes {
    let selected = selection(call);
    let mut list = head(call, context, window, more);
    for (place, item) in page.iter().enumerate() {
        if place > 0 {
            list.push(b',');
        }
        match &selected {
            None => item.append_to(&mut list),
            Some(names) => list.extend_from_slice(select(item, names).to_string().as_bytes()),
        }
    }
    list.extend_from_slice(b"]}");
    list.into()
}

/// The JSON of one page of other things.
pub(super) fn of_values(
    call: &Call<'_>,
    context: &str,
    page: impl Iterator<Item = Value>,
    window: Window,
    more: bool,
) -> Bytes {
    let mut list = head(call, context, window, more);
    for (place, value) in page.enumerate() {
        if place > 0 {
            list.push(b',');
        }
        list.extend_from_slice(value.to_string().as_bytes());
    }
    list.extend_from_slice(b"]}");
    list.into()
}

/// The JSON of one item, with only the members that `$select` names, if it does.
pub(super) fn of_item(call: &Call<'_>, item: &Item) -> Bytes {
    let Some(names) = selection(call) else {
        return item.entity.clone();
    };
    let mut value = select(item, &names);
    let whole: Value = serde_json::from_slice(&item.entity).unwrap_or_default();
    value["@odata.context"] = whole["@odata.context"].clone();
    value.to_string().into()
}

fn selection(call: &Call<'_>) -> Option<Vec<String>> {
    call.parameter("select").map(|names| {
        names
            .split(',')
            .map(|name| name.trim().to_lowercase())
            .collect()
    })
}

fn select(item: &Item, names: &[String]) -> Value {
    item.fields
        .iter()
        .filter(|(name, _)| {
            matches!(name.as_str(), "id" | "@odata.etag") || names.contains(&name.to_lowercase())
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn head(call: &Call<'_>, context: &str, window: Window, more: bool) -> Vec<u8> {
    let mut list = Vec::with_capacity(4_096);
    list.extend_from_slice(b"{\"@odata.context\":");
    let context = format!("https://graph.microsoft.com/v1.0/$metadata#{context}");
    list.extend_from_slice(Value::from(context).to_string().as_bytes());
    if more {
        list.extend_from_slice(b",\"@odata.nextLink\":");
        list.extend_from_slice(Value::from(next_link(call, window)).to_string().as_bytes());
    }
    list.extend_from_slice(b",\"value\":[");
    list
}

fn next_link(call: &Call<'_>, window: Window) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &call.query {
        let bare = name.strip_prefix('$').unwrap_or(name);
        if !bare.eq_ignore_ascii_case("top") && !bare.eq_ignore_ascii_case("skip") {
            query.append_pair(name, value);
        }
    }
    query.append_pair("$top", &window.top.to_string());
    query.append_pair("$skip", &(window.skip + window.top).to_string());
    // `$` needs no encoding in a query, and Graph does not encode it.
    format!(
        "{}/{}?{}",
        call.base,
        call.path,
        query.finish().replace("%24", "$")
    )
}
