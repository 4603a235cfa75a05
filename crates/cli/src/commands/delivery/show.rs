//! `tidings delivery show`.

use serde_json::Value;

use crate::{
    client::Client,
    commands::show::{self, Show},
    context::Context,
    exit::Failure,
    output::{Column, Style, record, table},
};

const ATTEMPTS: &[Column] = &[
    Column {
        title: "ATTEMPT",
        member: "number",
        style: Style::Id,
    },
    Column {
        title: "STARTED (UTC)",
        member: "started_at",
        style: Style::Id,
    },
    Column {
        title: "MS",
        member: "took_ms",
        style: Style::Id,
    },
    Column {
        title: "OUTCOME",
        member: "outcome",
        style: Style::Id,
    },
    Column {
        title: "STATUS",
        member: "status",
        style: Style::Id,
    },
    Column {
        title: "ERROR",
        member: "error",
        style: Style::Text,
    },
    Column {
        title: "ANSWER",
        member: "answer",
        style: Style::Text,
    },
];

/// Shows a delivery, its attempts as a table below it.
pub async fn show(arguments: &Show, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let answer = client.get(&["deliveries", &arguments.id], &[]).await?;
    if context.output.is_json() {
        return show::print(&answer, context);
    }
    let mut delivery = show::members(&answer)?;
    let log = delivery.take("attempt_log");
    context.output.line(&record(&delivery))?;
    match log {
        Some(Value::Array(attempts)) if !attempts.is_empty() => {
            context.output.line("")?;
            Ok(context.output.line(&table(ATTEMPTS, &attempts))?)
        }
        _ => Ok(()),
    }
}
