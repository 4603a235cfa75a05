//! `tidings webhook verify`.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use owo_colors::OwoColorize;
use serde_json::json;
use tidings_domain::Secret;
use tidings_pipeline::signature::{ID, PLAIN_SIGNATURE, STANDARD_SIGNATURE, TIMESTAMP};

use crate::{
    context::Context,
    exit::{Exit, Failure},
    receiver::verify::{self, Scheme},
    secret_input::SecretInput,
};

/// The delivery and what it claims.
#[derive(Args, Clone, Debug)]
pub struct Verify {
    /// The body, byte for byte as it was sent; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub payload_file: PathBuf,
    /// Read the webhook's secret from this file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    pub secret_file: Option<PathBuf>,
    /// The webhook's secret, `whsec_…`. It shows in the list of processes and in the shell's history: prefer
    /// `--secret-file` or the variable `TIDINGS_WEBHOOK_SECRET`
    #[arg(long, value_name = "SECRET")]
    pub secret: Option<Secret>,
    /// The value of `webhook-signature` (`v1,…`; needs `--id` and `--timestamp`) or of `x-tidings-signature` (hex)
    #[arg(long, value_name = "SIGNATURE", required_unless_present = "headers")]
    pub signature: Option<String>,
    /// The value of `webhook-id`
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// The value of `webhook-timestamp`
    #[arg(long, value_name = "SECONDS")]
    pub timestamp: Option<String>,
    /// A header as it was sent, `name: value`; can be given more than once, others than those of signatures are passed
    /// over
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub headers: Vec<String>,
}

/// Checks the signatures of a delivery.
pub fn verify(arguments: &Verify, context: &Context) -> Result<(), Failure> {
    let is_stdin = |path: &Path| path == Path::new("-");
    if is_stdin(&arguments.payload_file) && arguments.secret_file.as_deref().is_some_and(is_stdin) {
        return Err(Failure::new(
            Exit::Usage,
            "payload and secret cannot both come from standard input",
        ));
    }
    let secret = SecretInput {
        what: "webhook's secret",
        flag: "--secret",
        file: arguments.secret_file.as_deref(),
        value: arguments.secret.as_ref(),
        variable: "TIDINGS_WEBHOOK_SECRET",
    }
    .required(context)?;
    let headers = headers(arguments)?;
    let body = payload(&arguments.payload_file)?;

    match verify::verify(&secret, &headers, &body, None) {
        Ok(schemes) => {
            let now = context.clock.now();
            let stale = verify::verify(&secret, &headers, &body, Some(now)).err();
            if context.output.is_json() {
                return Ok(context.output.value(&json!({
                    "verified": true,
                    "schemes": schemes,
                    "fresh": stale.is_none(),
                }))?);
            }
            let by: Vec<&str> = schemes.into_iter().map(name).collect();
            context.output.line(&format!(
                "{} by {}",
                "verified".green().bold(),
                by.join(" and ")
            ))?;
            if let Some(stale) = stale {
                context
                    .output
                    .note(&format!("a receiver would refuse it today: {stale}"))?;
            }
            Ok(())
        }
        Err(wrong) => {
            if context.output.is_json() {
                context
                    .output
                    .value(&json!({"verified": false, "reason": wrong.to_string()}))?;
                return Err(Failure::told(Exit::Failed));
            }
            Err(Failure::new(Exit::Failed, format!("not verified: {wrong}")))
        }
    }
}

const fn name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Plain => "x-tidings-signature",
        Scheme::StandardWebhooks => "webhook-signature (Standard Webhooks)",
    }
}

fn headers(arguments: &Verify) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    let mut insert = |name: &str, value: &str| {
        let parsed = (
            HeaderName::from_bytes(name.trim().as_bytes()),
            HeaderValue::from_str(value.trim()),
        );
        let (Ok(name), Ok(value)) = parsed else {
            return Err(
                Failure::new(Exit::Usage, format!("`{name}: {value}` is no header"))
                    .hint("write `--header 'name: value'`"),
            );
        };
        headers.insert(name, value);
        Ok(())
    };
    for header in &arguments.headers {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        insert(name, value)?;
    }
    if let Some(id) = &arguments.id {
        insert(ID.as_str(), id)?;
    }
    if let Some(timestamp) = &arguments.timestamp {
        insert(TIMESTAMP.as_str(), timestamp)?;
    }
    if let Some(signature) = &arguments.signature {
        // Every entry of `webhook-signature` has a version and a comma; hex has none.
        let name = if signature.contains(',') {
            STANDARD_SIGNATURE
        } else {
            PLAIN_SIGNATURE
        };
        insert(name.as_str(), signature)?;
    }
    Ok(headers)
}

fn payload(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if path == Path::new("-") {
        let mut body = Vec::new();
        io::stdin().lock().read_to_end(&mut body).map(|_| body)
    } else {
        fs::read(path)
    };
    read.map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("cannot read the payload from {}: {error}", path.display()),
        )
    })
}
