//! `tidings webhook verify`.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::json;
use tidings_domain::Secret;

use crate::{
    context::Context,
    exit::{Exit, Failure},
    receiver::verify::{self, Scheme, Signatures},
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
    let signatures = signatures(arguments)?;
    let body = payload(&arguments.payload_file)?;

    match verify::verify(&secret, &signatures, &body) {
        Ok(verified) => {
            let stale = verify::fresh(&signatures, context.clock.now()).err();
            if context.output.is_json() {
                return Ok(context.output.value(&json!({
                    "verified": true,
                    "schemes": verified.schemes,
                    "fresh": stale.is_none(),
                }))?);
            }
            let by: Vec<&str> = verified
                .schemes
                .iter()
                .map(|scheme| name(*scheme))
                .collect();
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

fn signatures(arguments: &Verify) -> Result<Signatures, Failure> {
    let mut signatures = Signatures::default();
    for header in &arguments.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            Failure::new(Exit::Usage, format!("`{header}` is no header"))
                .hint("write `--header 'name: value'`")
        })?;
        signatures.set(name, value);
    }
    if let Some(id) = &arguments.id {
        signatures.id = Some(id.clone());
    }
    if let Some(timestamp) = &arguments.timestamp {
        signatures.timestamp = Some(timestamp.clone());
    }
    if let Some(signature) = &arguments.signature {
        // Every entry of `webhook-signature` has a version and a comma; hex has none.
        if signature.contains(',') {
            signatures.standard = Some(signature.clone());
        } else {
            signatures.plain = vec![signature.trim().to_owned()];
        }
    }
    Ok(signatures)
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
