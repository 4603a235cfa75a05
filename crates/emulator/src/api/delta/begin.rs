//! Where a call begins: anew, at the end, or where a link leads.

use std::time::Duration;

use http::StatusCode;
use tidings_domain::Timestamp;

use super::feed::{Family, Feed};
use crate::{
    api::{GraphError, call::Call, events},
    delta::{Baked, DeltaOf, Token},
};

/// The query options that every collection knows. Graph refuses those that a collection does not take.
const OPTIONS: [&str; 7] = [
    "count", "expand", "filter", "orderby", "search", "select", "top",
];

/// How many ids a filter names at most (Microsoft's pages on the delta of users and groups).
const MOST_IDS: usize = 50;

/// Where a call begins.
pub(super) enum Start {
    /// With everything there is.
    Anew(Baked),
    /// With what changes from now on.
    Latest(Baked),
    /// Where a link leads.
    On(Token),
    /// With what has changed since.
    Since(Timestamp, Baked),
}

/// Reads where a call begins.
pub(super) fn read(call: &Call<'_>, feed: &Feed<'_>) -> Result<Start, GraphError> {
    let given = feed
        .path_token
        .or_else(|| call.parameter("skiptoken"))
        .or_else(|| call.parameter("deltatoken"))
        .or_else(|| call.parameter("token"));
    let Some(text) = given.filter(|text| !text.is_empty()) else {
        return Ok(Start::Anew(bake(call, feed)?));
    };
    if text.eq_ignore_ascii_case("latest") && feed.family != Family::Outlook {
        return Ok(Start::Latest(bake(call, feed)?));
    }
    if let Some(token) = Token::decode(text) {
        return Ok(Start::On(check(call, feed, token)?));
    }
    if feed.family == Family::Drive
        && let Ok(since) = text.parse()
    {
        return Ok(Start::Since(since, bake(call, feed)?));
    }
    Err(invalid())
}

/// The options of a first call.
fn bake(call: &Call<'_>, feed: &Feed<'_>) -> Result<Baked, GraphError> {
    let refused = OPTIONS
        .iter()
        .find(|option| call.parameter(option).is_some() && !feed.options.contains(option));
    if let Some(option) = refused {
        return Err(GraphError::new(
            StatusCode::BAD_REQUEST,
            "ErrorInvalidUrlQuery",
            format!(
                "The following parameters are not supported with change tracking: '${option}'."
            ),
        ));
    }
    let select = call.parameter("select").map(|names| {
        let names = names.split(',').map(|name| name.trim().to_lowercase());
        names.collect()
    });
    let window = match feed.of {
        DeltaOf::Events => {
            let (from, to) = events::window(call)?;
            Some((from.as_millis(), to.as_millis()))
        }
        _ => None,
    };
    let change = call.parameter("changetype").map(str::to_lowercase);
    if change
        .as_deref()
        .is_some_and(|change| !matches!(change, "created" | "deleted" | "updated"))
    {
        return Err(GraphError::invalid("changeType is not supported."));
    }
    let top = call.number("top")?;
    if top == Some(0) {
        return Err(GraphError::invalid("Invalid page size specified: '0'."));
    }
    let filter = call.parameter("filter");
    let (by_id, by_time) = match feed.family {
        Family::Directory => (filter, None),
        Family::Drive | Family::Outlook => (None, filter),
    };
    Ok(Baked {
        query: without_tokens(call),
        select,
        top,
        window,
        received_from: by_time.map(received_from).transpose()?,
        ids: by_id.map(ids).transpose()?,
        change,
    })
}

/// Checks a link that was given back.
fn check(call: &Call<'_>, feed: &Feed<'_>, token: Token) -> Result<Token, GraphError> {
    if token.collection != feed.collection {
        return Err(invalid());
    }
    if token.generation != feed.generation {
        let (old, new) = (token.generation, feed.generation);
        return Err(match feed.family {
            Family::Drive => feed.gone(call, Some(&token.baked), None),
            Family::Directory | Family::Outlook => void(format!(
                "The sync state generation is not found; generation={old};[highest={new}]."
            )),
        });
    }
    let life = Duration::from_secs(call.world.switches().delta_directory_seconds);
    let made_at = Timestamp::from_millis(token.made_at);
    if feed.family == Family::Directory && call.trace.now.since(made_at) > life {
        return Err(void("The sync state of the link has expired."));
    }
    Ok(token)
}

/// The error for a link that is void.
pub(super) fn void(message: impl Into<String>) -> GraphError {
    GraphError::new(StatusCode::GONE, "SyncStateNotFound", message)
}

fn invalid() -> GraphError {
    GraphError::new(
        StatusCode::BAD_REQUEST,
        "SyncStateInvalid",
        "The sync state is invalid: badly formed, or of another collection.",
    )
}

/// The query as it came, but for tokens.
fn without_tokens(call: &Call<'_>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &call.query {
        let bare = name.strip_prefix('$').unwrap_or(name);
        if !["deltatoken", "skiptoken", "token"]
            .iter()
            .any(|token| bare.eq_ignore_ascii_case(token))
        {
            query.append_pair(name, value);
        }
    }
    query.finish().replace("%24", "$")
}

/// Reads `id eq '{id}' or id eq '{id}'`, the only filter of the directory.
fn ids(filter: &str) -> Result<Vec<String>, GraphError> {
    let ids: Option<Vec<String>> = filter
        .split(" or ")
        .map(|one| {
            let id = one.trim().strip_prefix("id eq '")?.strip_suffix('\'')?;
            Some(id.to_lowercase())
        })
        .collect();
    ids.filter(|ids| ids.len() <= MOST_IDS).ok_or_else(|| {
        GraphError::new(
            StatusCode::BAD_REQUEST,
            "Request_UnsupportedQuery",
            "The query filter is not supported with change tracking: only up to 50 ids are.",
        )
    })
}

/// Reads `receivedDateTime ge {time}`, the only filter there is.
fn received_from(filter: &str) -> Result<i64, GraphError> {
    let words: Vec<&str> = filter.split_whitespace().collect();
    let from = match *words.as_slice() {
        [name, comparison, time] if name.eq_ignore_ascii_case("receivedDateTime") => {
            let time = time.parse().ok().map(Timestamp::as_millis);
            match comparison {
                "ge" => time,
                "gt" => time.map(|time| time + 1),
                _ => None,
            }
        }
        _ => None,
    };
    from.ok_or_else(|| {
        GraphError::new(
            StatusCode::BAD_REQUEST,
            "ErrorInvalidUrlQueryFilter",
            "The query filter is not supported with change tracking: only receivedDateTime with ge or gt is.",
        )
    })
}
