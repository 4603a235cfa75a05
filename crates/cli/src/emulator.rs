//! `tidings emulator`.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tidings_domain::config::{LogConfig, LogFormat};
use tidings_emulator::{Authority, Emulator as World, Options, Scenario, TenantInfo};
use tokio::net::TcpListener;

use crate::{
    address::reachable,
    context::Context,
    exit::{Exit, Failure},
    output::{Column, Style, table},
    signals::Signals,
    telemetry,
};

/// How the emulator is run.
#[derive(Args, Clone, Debug)]
pub struct Emulator {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// Take https notification URLs only, as Graph does; otherwise http is taken for loopback hosts
    #[arg(long)]
    pub require_https: bool,
    /// Serve everything under a certificate authority of its own, for clients that insist on https; the first line says
    /// where its certificate is
    #[arg(long)]
    pub tls: bool,
    /// Certificates (PEM) of an authority that notification URLs may use beside the public ones; can be given more than
    /// once
    #[arg(long = "trust", value_name = "FILE")]
    pub trust: Vec<PathBuf>,
    /// Decides tenants, users, credentials and faults by chance: the same for the same number
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Play a scenario from a JSON file: many changes in the mailboxes of tenants of its own, over time, as its seed decides
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub log_level: String,
}

/// One tenant of the first line.
#[derive(Debug, Serialize)]
struct Tenant<'a> {
    url: &'a str,
    #[serde(flatten)]
    tenant: &'a TenantInfo,
}

/// The first line: what others script against.
#[derive(Debug, Serialize)]
struct First<'a> {
    #[serde(flatten)]
    tenant: Tenant<'a>,
    other_tenants: Vec<Tenant<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<&'a Path>,
}

impl Emulator {
    /// Runs the emulator until somebody asks it to stop.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        telemetry::start(&LogConfig {
            level: self.log_level.clone(),
            format: LogFormat::Text,
        })?;
        let mut signals = Signals::listen()?;
        let mut options = Options::new(Arc::clone(&context.clock), Arc::clone(&context.entropy));
        options.seed = self.seed;
        options.require_https = self.require_https;
        options.roots = self.roots()?;
        let emulator = World::new(options).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot start the emulator: {error}"))
        })?;
        if let Some(scenario) = self.read_scenario()? {
            emulator.play(&scenario).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot play the scenario: {error}"))
            })?;
        }
        let authority = self.authority()?;
        // The file lives as long as the emulator.
        let ca_file = authority.as_ref().map(write_ca).transpose()?;
        let listener = TcpListener::bind(self.listen).await.map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("cannot listen at {}: {error}", self.listen),
            )
            .hint("is another program there? port 0 takes a free one")
        })?;
        let scheme = if self.tls { "https" } else { "http" };
        let url = format!("{scheme}://{}", reachable(listener.local_addr()?));
        tell(
            context,
            &url,
            &emulator.directory(),
            ca_file.as_ref().map(NamedTempFile::path),
        )?;
        emulator
            .serve(listener, authority.as_ref(), signals.next())
            .await?;
        tokio::select! {
            () = emulator.stop() => {}
            () = signals.next() => {}
        }
        Ok(())
    }

    fn roots(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| {
                Failure::new(
                    Exit::Usage,
                    format!("cannot read {}: {error}", path.display()),
                )
            })
        };
        self.trust.iter().map(read).collect()
    }

    fn read_scenario(&self) -> Result<Option<Scenario>, Failure> {
        let Some(path) = &self.scenario else {
            return Ok(None);
        };
        let refused = |error: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Usage,
                format!("cannot read the scenario {}: {error}", path.display()),
            )
            .hint(r#"{"tenants": 2, "mailboxes": 10, "daily": {"events": {"create": 24}}} is one"#)
        };
        let text = fs::read(path).map_err(|error| refused(&error))?;
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| refused(&error))
    }

    fn authority(&self) -> Result<Option<Authority>, Failure> {
        if !self.tls {
            return Ok(None);
        }
        let names = [reachable(self.listen).ip().to_string()];
        Authority::new(&names)
            .map(Some)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))
    }
}

fn write_ca(authority: &Authority) -> Result<NamedTempFile, Failure> {
    let written = tempfile::Builder::new()
        .prefix("tidings-emulator-ca-")
        .suffix(".pem")
        .tempfile()
        .and_then(|mut file| file.write_all(authority.ca_pem().as_bytes()).map(|()| file));
    written.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot write the authority's certificate: {error}"),
        )
    })
}

const USERS: &[Column] = &[
    Column {
        title: "TENANT",
        member: "tenant",
        style: Style::Id,
    },
    Column {
        title: "USER",
        member: "id",
        style: Style::Id,
    },
    Column {
        title: "MAIL",
        member: "mail",
        style: Style::Text,
    },
];

fn tell(
    context: &Context,
    url: &str,
    tenants: &[TenantInfo],
    ca_file: Option<&Path>,
) -> Result<(), Failure> {
    let output = context.output;
    let Some((first, others)) = tenants.split_first() else {
        return Err(Failure::new(Exit::Failed, "the emulator has no tenants"));
    };
    if output.is_json() {
        let tell = |tenant| Tenant { url, tenant };
        return Ok(output.value(&First {
            tenant: tell(first),
            other_tenants: others.iter().map(tell).collect(),
            ca_file,
        })?);
    }
    let rows: Vec<Value> = tenants
        .iter()
        .flat_map(|tenant| {
            tenant.users.iter().map(
                move |user| json!({"tenant": tenant.tenant_id, "id": user.id, "mail": user.mail}),
            )
        })
        .collect();
    output.line(&format!(
        "Microsoft Graph and its sign-in, emulated, at {}",
        url.bold()
    ))?;
    if let Some(path) = ca_file {
        output.line(&format!("Its authority's certificate: {}", path.display()))?;
    }
    output.line(&format!("client id      {}", first.client_id))?;
    output.line(&format!("client secret  {}\n", first.client_secret))?;
    Ok(output.line(&table(USERS, &rows))?)
}
