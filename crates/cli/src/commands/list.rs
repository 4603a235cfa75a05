//! `tidings <noun> list`.

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use tidings_domain::page::PageLimit;

use super::Noun;
use crate::{
    client::{Client, ServerArguments},
    context::Context,
    exit::{Exit, Failure},
    output::table,
};

/// Which part of a list is wanted.
#[derive(Args, Clone, Debug)]
pub struct List {
    /// How many entries at most, 1 to 500 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(PageLimit::MAX)))]
    pub limit: Option<u32>,
    /// Where to go on: the `next_cursor` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

#[derive(Deserialize)]
struct Listing {
    data: Vec<Value>,
    next_cursor: Option<String>,
}

/// Shows a page of `noun`s for which `filters` (query parameters) hold.
pub async fn list(
    noun: &Noun,
    arguments: &List,
    filters: &[(&str, Option<String>)],
    context: &Context,
) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let mut query: Vec<(&str, String)> = filters
        .iter()
        .filter_map(|(name, value)| value.clone().map(|value| (*name, value)))
        .collect();
    query.extend(arguments.limit.map(|limit| ("limit", limit.to_string())));
    query.extend(arguments.cursor.clone().map(|cursor| ("cursor", cursor)));
    let answer = client.get(&[noun.path], &query).await?;
    if context.output.is_json() {
        return Ok(context.output.raw(&answer)?);
    }
    let listing: Listing = serde_json::from_str(answer.get()).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the server's list of {} cannot be read: {error}", noun.path),
        )
    })?;
    if listing.data.is_empty() {
        return Ok(context.output.note(&format!("no {}", noun.path))?);
    }
    context.output.line(&table(noun.columns, &listing.data))?;
    if let Some(cursor) = listing.next_cursor {
        context
            .output
            .note(&format!("there are more: --cursor {cursor}"))?;
    }
    Ok(())
}
