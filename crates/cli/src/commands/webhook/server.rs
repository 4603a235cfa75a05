//! `tidings webhook server`.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use http::StatusCode;
use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::{json, value::RawValue};
use tidings_domain::{Secret, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    exit::{Exit, Failure},
    output::printable,
    receiver::{Arrival, Receiver, verify::Scheme},
    secret_input::SecretInput,
    signals::Signals,
};

/// Where the receiver listens and what it verifies with.
#[derive(Args, Clone, Debug)]
pub struct Server {
    /// The port; 0 takes a free one
    #[arg(long, short = 'p', value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// The address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// Read the webhook's secret from this file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    pub secret_file: Option<PathBuf>,
    /// The webhook's secret, `whsec_…`. It shows in the list of processes and in the shell's history: prefer
    /// `--secret-file` or the variable `TIDINGS_WEBHOOK_SECRET`
    #[arg(long, value_name = "SECRET")]
    pub secret: Option<Secret>,
    /// Answer verified deliveries with this status, to see what retries do
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = status)]
    pub status: StatusCode,
}

/// Receives and prints until somebody asks it to stop.
pub async fn serve(arguments: &Server, context: &Context) -> Result<(), Failure> {
    let secret = SecretInput {
        what: "webhook's secret",
        flag: "--secret",
        file: arguments.secret_file.as_deref(),
        value: arguments.secret.as_ref(),
        variable: "TIDINGS_WEBHOOK_SECRET",
    }
    .required(context)?;
    let mut signals = Signals::listen()?;
    let address = SocketAddr::new(arguments.listen, arguments.port);
    let (receiver, mut arrivals) = Receiver::bind(address, arguments.status, context.clock.clone())
        .await
        .map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot listen at {address}: {error}"))
                .hint("is another program there? `--port 0` takes a free port")
        })?;
    receiver.secret_slot().set(secret);

    let url = format!("http://{}/", receiver.address());
    if context.output.is_json() {
        context
            .output
            .value(&json!({"listening": receiver.address(), "url": url}))?;
    } else {
        context.output.line(&format!(
            "Receiving at {}: register it with `tidings webhook create --url {url}`",
            url.bold()
        ))?;
    }

    let stop = CancellationToken::new();
    let serving = receiver.run(stop.clone());
    tokio::pin!(serving);
    loop {
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = signals.next(), if !stop.is_cancelled() => stop.cancel(),
            Some(arrival) = arrivals.recv() => print(&arrival, context)?,
        }
    }
}

fn status(text: &str) -> Result<StatusCode, String> {
    text.parse::<u16>()
        .ok()
        .filter(|number| (200..=599).contains(number))
        .and_then(|number| StatusCode::from_u16(number).ok())
        .ok_or_else(|| "a status is a number from 200 to 599".to_owned())
}

/// A delivery as one line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    verified: bool,
    reason: Option<String>,
    id: Option<&'a str>,
    r#type: Option<&'a str>,
    attempt: Option<u32>,
    received_at: Timestamp,
    schemes: &'a [Scheme],
    bytes: usize,
    event: Option<&'a RawValue>,
}

fn print(arrival: &Arrival, context: &Context) -> Result<(), Failure> {
    let (schemes, reason): (&[Scheme], _) = match &arrival.verdict {
        Ok(schemes) => (schemes, None),
        Err(wrong) => (&[], Some(wrong.to_string())),
    };
    if context.output.is_json() {
        return Ok(context.output.value(&Line {
            verified: reason.is_none(),
            reason,
            id: arrival.id.as_deref(),
            r#type: arrival.kind.as_deref(),
            attempt: arrival.attempt,
            received_at: arrival.received_at,
            schemes,
            bytes: arrival.bytes,
            event: arrival.event.as_deref(),
        })?);
    }
    let id = arrival.id.as_deref().unwrap_or("(no webhook-id)");
    let head = match &reason {
        None => format!(
            "{} {} {} attempt {}",
            "verified".green().bold(),
            arrival.kind.as_deref().unwrap_or("(no type)").bold(),
            printable(id),
            arrival.attempt.unwrap_or(1),
        ),
        Some(reason) => format!(
            "{} {}: {}",
            "refused".red().bold(),
            printable(id),
            printable(reason)
        ),
    };
    context
        .output
        .line(&format!("{} {head}", arrival.received_at.dimmed()))?;
    if let Some(event) = &arrival.event {
        let pretty = serde_json::from_str::<serde_json::Value>(event.get())
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| event.get().to_owned());
        context.output.line(&printable(&pretty))?;
    }
    Ok(())
}
