//! `tidings subscription completeness`.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    client::{Client, ServerArguments},
    commands::show,
    context::Context,
    exit::{Exit, Failure},
    output::{Column, Style, table},
};

const COLUMNS: &[Column] = &[
    Column {
        title: "SUBSCRIPTION",
        member: "subscription_id",
        style: Style::Id,
    },
    Column {
        title: "RESOURCE",
        member: "resource",
        style: Style::Text,
    },
    Column {
        title: "ON TIME",
        member: "on_time",
        style: Style::Text,
    },
    Column {
        title: "LATE",
        member: "late",
        style: Style::Text,
    },
    Column {
        title: "FOUND",
        member: "found",
        style: Style::Text,
    },
    Column {
        title: "NOTIFIED (%)",
        member: "percent",
        style: Style::Text,
    },
    Column {
        title: "COMPARABLE",
        member: "comparable",
        style: Style::Text,
    },
    Column {
        title: "COMPARED (UTC)",
        member: "compared_at",
        style: Style::Text,
    },
    Column {
        title: "BECAUSE",
        member: "reason",
        style: Style::Text,
    },
];

/// What the report is about.
#[derive(Args, Clone, Debug)]
pub struct Completeness {
    /// One subscription; else all of the environment
    #[arg(value_name = "ID", conflicts_with = "connection")]
    pub id: Option<String>,
    /// Only those of this connection
    #[arg(long, value_name = "ID")]
    pub connection: Option<String>,
    /// How far to look back, a number and one of h, d; days are counted whole
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    pub since: String,
    /// Exit with 1 if Graph told of less than so many hundredths of all changes
    #[arg(long, value_name = "PERCENT")]
    pub fail_below: Option<f64>,
    /// How many subscriptions at most, 1 to 500 [default: 50]
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Where to go on: the `next_cursor` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

#[derive(Deserialize)]
struct Counts {
    on_time: u64,
    late: u64,
    found: u64,
    percent: Option<f64>,
}

#[derive(Deserialize)]
struct Report {
    from: String,
    totals: Counts,
    data: Vec<Value>,
    next_cursor: Option<String>,
}

/// Shows how complete notifications were.
pub async fn completeness(arguments: &Completeness, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let mut query = vec![("since", arguments.since.clone())];
    let totals = if let Some(id) = &arguments.id {
        let path = ["subscriptions", id, "completeness"];
        let answer = client.get(&path, &query).await?;
        show::print(&answer, context)?;
        read::<Counts>(&answer)?
    } else {
        query.extend(arguments.connection.clone().map(|id| ("connection", id)));
        query.extend(arguments.limit.map(|limit| ("limit", limit.to_string())));
        query.extend(arguments.cursor.clone().map(|cursor| ("cursor", cursor)));
        let answer = client.get(&["completeness"], &query).await?;
        let report: Report = read(&answer)?;
        if context.output.is_json() {
            context.output.raw(&answer)?;
        } else {
            print(&report, context)?;
        }
        report.totals
    };
    match (arguments.fail_below, totals.percent) {
        (Some(least), Some(percent)) if percent < least => Err(Failure::new(
            Exit::Failed,
            format!("Graph told of {percent:.2} % of the changes, which is less than {least} %"),
        )
        .code("incomplete")),
        _ => Ok(()),
    }
}

fn print(report: &Report, context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    if report.data.is_empty() {
        return Ok(output.note("no subscriptions")?);
    }
    output.line(&table(COLUMNS, &report.data))?;
    let Counts {
        on_time,
        late,
        found,
        percent,
    } = report.totals;
    let percent = percent.map_or_else(
        || "there were no changes".to_owned(),
        |percent| format!("Graph told of {percent:.2} %"),
    );
    output.line(&format!(
        "all since {}: {on_time} on time, {late} late, {found} found only by comparing: {percent}",
        report.from
    ))?;
    if let Some(cursor) = &report.next_cursor {
        output.note(&format!("there are more: --cursor {cursor}"))?;
    }
    Ok(())
}

fn read<'a, T: Deserialize<'a>>(answer: &'a RawValue) -> Result<T, Failure> {
    serde_json::from_str(answer.get()).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the server's report cannot be read: {error}"),
        )
    })
}
