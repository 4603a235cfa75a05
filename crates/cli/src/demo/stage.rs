//! Gateway, emulator and receiver, running in this process on free loopback ports and in a temporary folder.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::StatusCode;
use ipnet::Ipv4Net;
use owo_colors::OwoColorize;
use tempfile::TempDir;
use tidings_domain::{Ids, Secret, config::DatabaseUrl};
use tidings_egress::{AddressPolicy, Egress};
use tidings_emulator::{Emulator, Options};
use tidings_graph::client::{Access, GraphClient};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use super::{gateway::Gateway, mailbox::Mailbox};
use crate::{
    client::Client,
    context::Context,
    exit::{Exit, Failure},
    output::Output,
    receiver::{Arrival, Receiver, SecretSlot},
};

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Stage {
    /// Where sign-in and Graph are.
    pub(super) emulator_url: String,
    /// Where deliveries go.
    pub(super) receiver_url: String,
    /// Gives the receiver its secret.
    pub(super) secret: SecretSlot,
    /// What the receiver got.
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    /// The gateway.
    pub(super) gateway: Gateway,
    emulator: Emulator,
    tasks: TaskTracker,
    stop: CancellationToken,
    folder: TempDir,
}

/// A free port of this machine.
pub(super) const ANY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

impl Stage {
    /// Starts everything; with a database, so many nodes on it.
    pub(super) async fn start(
        database: Option<(DatabaseUrl, usize)>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("tidings-demo-")
            .tempdir()
            .map_err(|error| cannot("make a temporary folder", &error))?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());

        let options = Options::new(Arc::clone(&context.clock), Arc::clone(&context.entropy));
        let emulator =
            Emulator::new(options).map_err(|error| cannot("start the emulator", &error))?;
        let listener = TcpListener::bind(ANY)
            .await
            .map_err(|error| cannot("listen", &error))?;
        let emulator_url = format!("http://{}", listener.local_addr()?);
        let (serving, stopping) = (emulator.clone(), stop.clone());
        tasks.spawn(async move {
            serving
                .serve(listener, None, stopping.cancelled_owned())
                .await
        });

        let (receiver, arrivals) = Receiver::bind(ANY, StatusCode::OK, Arc::clone(&context.clock))
            .await
            .map_err(|error| cannot("listen", &error))?;
        let receiver_url = format!("http://{}/", receiver.address());
        let secret = receiver.secret_slot();
        tasks.spawn(receiver.run(stop.clone()));

        let gateway = match database {
            None => Gateway::alone(folder.path(), context).await?,
            Some((database, nodes)) => {
                Gateway::shared(database, nodes, folder.path(), &tasks, &stop, context).await?
            }
        };
        Ok(Self {
            emulator_url,
            receiver_url,
            secret,
            arrivals,
            gateway,
            emulator,
            tasks,
            stop,
            folder,
        })
    }

    /// The management API with the admin key.
    pub(super) fn api(&self, context: &Context) -> Result<Client, Failure> {
        let key = std::fs::read_to_string(&self.gateway.admin_key_file)
            .map_err(|error| cannot("read the admin key", &error))?;
        Client::new(
            url(&self.gateway.url)?,
            Some(&Secret::new(key.trim())),
            None,
            context,
        )
    }

    /// The mailbox of the first user of each tenant.
    pub(super) fn mailboxes(&self, context: &Context) -> Result<Vec<Mailbox>, Failure> {
        let egress = Egress::new(loopback(), Arc::clone(&context.clock))
            .map_err(|error| cannot("make an HTTP client", &error))?;
        let graph = GraphClient::new(
            egress.clone(),
            Arc::clone(&context.clock),
            Arc::clone(&context.entropy),
            Duration::from_secs(10),
        );
        let base = url(&self.emulator_url)?;
        let integration = Ids::new(Arc::clone(&context.clock), Arc::clone(&context.entropy)).next();
        let mailboxes = self.emulator.directory().into_iter().filter_map(|tenant| {
            let user = tenant.users.first()?.id.to_string();
            let access = Access {
                integration,
                tenant: tenant.tenant_id.to_string(),
                client_id: tenant.client_id.to_string(),
                client_secret: Secret::new(tenant.client_secret),
                login_url: base.clone(),
                graph_url: base.clone(),
            };
            Some(Mailbox::new(
                access,
                user,
                tenant.domain,
                graph.clone(),
                egress.clone(),
            ))
        });
        Ok(mailboxes.collect())
    }

    /// Says where everything is and how to go on by hand.
    pub(super) fn tell_how_to_play(&self, output: Output) -> Result<(), Failure> {
        if output.is_json() {
            return Ok(());
        }
        output.line("")?;
        output.line(
            &"Everything goes on running until Ctrl-C. In another terminal:"
                .bold()
                .to_string(),
        )?;
        output.line("")?;
        for line in [
            format!("export TIDINGS_URL={}", self.gateway.url),
            format!(
                "export TIDINGS_API_KEY=$(cat {})",
                self.gateway.admin_key_file.display()
            ),
            "tidings event list".to_owned(),
            "tidings delivery list".to_owned(),
        ] {
            output.line(&format!("    {line}"))?;
        }
        output.line("")?;
        output.line(&format!("emulated Graph  {}", self.emulator_url))?;
        output.line(&format!("receiver        {}", self.receiver_url))?;
        Ok(output.line(&format!(
            "admin key       {}",
            self.gateway.admin_key_file.display()
        ))?)
    }

    /// Stops everything and removes the folder.
    pub(super) async fn stop(mut self) {
        self.gateway.stop().await;
        self.arrivals.close();
        self.stop.cancel();
        self.emulator.stop().await;
        self.tasks.close();
        self.tasks.wait().await;
        // A folder that cannot be removed is the system's to clean: it is below its temporary one.
        let _ = self.folder.close();
    }
}

fn loopback() -> AddressPolicy {
    AddressPolicy::new(vec![Ipv4Net::new_assert([127, 0, 0, 0].into(), 8).into()])
}

fn url(text: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|error| cannot("use its own address", &error))
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what}: {error}"))
}
