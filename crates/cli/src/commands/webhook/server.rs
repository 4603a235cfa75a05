//! `tidings webhook server`.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use http::StatusCode;
use owo_colors::OwoColorize;
use serde_json::json;
use tidings_domain::Secret;
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    exit::{Exit, Failure},
    receiver::{self, Receiver},
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
    let (listening, mut arrivals) =
        Receiver::bind(address, arguments.status, context.clock.clone())
            .await
            .map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot listen at {address}: {error}"))
                    .hint("is another program there? `--port 0` takes a free port")
            })?;
    listening.secret_slot().set(secret);

    let url = format!("http://{}/", listening.address());
    if context.output.is_json() {
        context
            .output
            .value(&json!({"listening": listening.address(), "url": url}))?;
    } else {
        context.output.line(&format!(
            "Receiving at {}: register it with `tidings webhook create --url {url}`",
            url.bold()
        ))?;
    }

    let stop = CancellationToken::new();
    let serving = listening.run(stop.clone());
    tokio::pin!(serving);
    loop {
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = signals.next(), if !stop.is_cancelled() => stop.cancel(),
            Some(arrival) = arrivals.recv() => receiver::print(&arrival, context.output)?,
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
