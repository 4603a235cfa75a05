//! `tidings demo`.
//!
//! | module | holds |
//! | --- | --- |
//! | `stage` | gateway, emulator and receiver, running in this process |
//! | `gateway`, `balancer` | one node, or several on one PostgreSQL behind one address |
//! | `setup` | what an operator does first |
//! | `mailbox` | changes made through Graph |
//! | `script` | which changes there are and which have arrived |
//! | `report` | what is told |

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tidings_domain::{
    Secret, Timestamp,
    clock::within,
    config::{DatabaseUrl, LogConfig, LogFormat},
};

use self::{
    report::{Line, Summary, Took},
    script::Script,
    setup::Connected,
    stage::Stage,
};
use crate::{
    client::Client,
    context::Context,
    exit::{Exit, Failure},
    output::{Output, printable},
    receiver::{self, Arrival},
    signals::Signals,
    telemetry,
};

mod balancer;
mod gateway;
mod mailbox;
mod report;
mod script;
mod setup;
mod stage;

/// Within so long what one node was told holds on all that share its database.
const HOLDS_EVERYWHERE: Duration = Duration::from_secs(1);

/// Everything takes a second or two; what has not arrived by then will not.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the demo does beside showing the main job.
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Leave everything running until Ctrl-C, to play with
    #[arg(long)]
    pub keep: bool,
    /// Run several nodes on this PostgreSQL, whose database must be empty, instead of one on SQLite
    #[arg(long, value_name = "URL")]
    pub database_url: Option<Secret>,
    /// How many nodes
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 3,
        requires = "database_url",
        value_parser = clap::value_parser!(u8).range(1..=9)
    )]
    pub nodes: u8,
    /// What is logged: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    pub log_level: String,
}

impl Demo {
    /// Shows the whole way of a change.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        telemetry::start(&LogConfig {
            level: self.log_level.clone(),
            format: LogFormat::Text,
        })?;
        let mut signals = Signals::listen()?;
        let mut stage = Stage::start(self.database()?, context).await?;
        let mut shown = tokio::select! {
            shown = show(&mut stage, context) => shown,
            () = signals.next() => Err(Failure::new(Exit::Failed, "the demo was stopped")),
        };
        if self.keep && shown.is_ok() {
            shown = play_on(&mut stage, &mut signals, context.output).await;
        }
        stage.stop().await;
        shown
    }
}

impl Demo {
    /// The database that was given, and how many nodes are to share it.
    fn database(&self) -> Result<Option<(DatabaseUrl, usize)>, Failure> {
        let Some(url) = &self.database_url else {
            return Ok(None);
        };
        let url = DatabaseUrl::parse(url.expose())
            .map_err(|error| Failure::new(Exit::Usage, format!("--database-url: {error}")))?;
        Ok(Some((url, usize::from(self.nodes))))
    }
}

/// Tells of what arrives while somebody plays.
async fn play_on(stage: &mut Stage, signals: &mut Signals, output: Output) -> Result<(), Failure> {
    stage.tell_how_to_play(output)?;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            Some(arrival) = stage.arrivals.recv() => receiver::print(&arrival, output)?,
        }
    }
}

async fn show(stage: &mut Stage, context: &Context) -> Result<(), Failure> {
    let output = context.output;
    let started = context.clock.monotonic();
    output.note(&format!(
        "gateway {}, emulated Graph {}, receiver {}; everything is kept in {}",
        stage.gateway.url, stage.emulator_url, stage.receiver_url, stage.gateway.kept_in
    ))?;
    let api = stage.api(context)?;
    let mailboxes = stage.mailboxes(context)?;
    let mut play = Play {
        api,
        script: Script::new(mailboxes.len()),
        tenants: Vec::new(),
        refused: 0,
    };
    let ended = within(&*context.clock, DEADLINE, async {
        play.tenants = setup::connect(&play.api, mailboxes, output).await?;
        let (webhook, secret) = setup::webhook(&play.api, &stage.receiver_url).await?;
        stage.secret.set(secret);
        output.note(&format!("registered webhook {webhook}"))?;
        if stage.gateway.has_others() {
            context.clock.sleep(HOLDS_EVERYWHERE).await;
        }
        play.run(stage, context).await
    })
    .await;
    if let Ok(failed @ Err(_)) = ended {
        return failed;
    }

    let missing: Vec<String> = play
        .script
        .missing()
        .iter()
        .map(|(tenant, trigger)| format!("{trigger} in {}", play.name(*tenant)))
        .collect();
    report::summary(
        output,
        &Summary {
            last: true,
            expected: play.script.total(),
            arrived: play.script.arrived(),
            refused: play.refused,
            missing: &missing,
            took_ms: context
                .clock
                .monotonic()
                .saturating_sub(started)
                .as_millis(),
            gateway: &stage.gateway.url,
            emulator: &stage.emulator_url,
            receiver: &stage.receiver_url,
            admin_key_file: &stage.gateway.admin_key_file,
        },
    )?;
    if !missing.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{} s have passed and these are missing: {}",
                DEADLINE.as_secs(),
                missing.join(", ")
            ),
        ));
    }
    if play.refused > 0 {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{} deliveries were not signed as they must be",
                play.refused
            ),
        ));
    }
    Ok(())
}

/// The changes, under way.
struct Play {
    api: Client,
    script: Script,
    tenants: Vec<Connected>,
    refused: usize,
}

impl Play {
    /// Makes the changes, each when the one before has arrived, until all have.
    async fn run(&mut self, stage: &mut Stage, context: &Context) -> Result<(), Failure> {
        for place in 0..self.script.items.len() {
            self.change(place, context).await?;
        }
        while self.script.arrived() < self.script.total() {
            let Some(arrival) = stage.arrivals.recv().await else {
                return Err(Failure::new(Exit::Failed, "the receiver has stopped"));
            };
            if let Some(place) = self.take(&arrival, context).await? {
                self.change(place, context).await?;
            }
        }
        Ok(())
    }

    /// Makes the next change of an item, if it has one.
    async fn change(&mut self, place: usize, context: &Context) -> Result<(), Failure> {
        let item = &mut self.script.items[place];
        let Some(next) = item.next_change() else {
            return Ok(());
        };
        item.changed_at = context.clock.now();
        let mailbox = &self.tenants[item.tenant].mailbox;
        let id = mailbox.change(item.kind, next, item.id.as_deref()).await?;
        item.id = Some(id);
        Ok(())
    }

    /// Tells of an arrival; gives the place of its item if it is one that was waited for.
    async fn take(
        &mut self,
        arrival: &Arrival,
        context: &Context,
    ) -> Result<Option<usize>, Failure> {
        let output = context.output;
        let schemes = match &arrival.verdict {
            Ok(schemes) => schemes,
            Err(wrong) => {
                self.refused += 1;
                output.note(&format!(
                    "refused a delivery: {}",
                    printable(&wrong.to_string())
                ))?;
                return Ok(None);
            }
        };
        let (Some(event), Some(kind)) = (&arrival.event, &arrival.kind) else {
            output.note("a delivery holds no event")?;
            return Ok(None);
        };
        let parsed: Value = serde_json::from_str(event.get()).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (id, subject) = (text(&parsed["id"]), text(&parsed["subject"]));
        let connection = text(&parsed["data"]["connection_id"]);
        let tenant = self
            .tenants
            .iter()
            .position(|tenant| tenant.connection == connection);
        let Some(place) = tenant.and_then(|tenant| self.script.expecting(tenant, kind, &subject))
        else {
            output.note(&format!(
                "{} {} came too: Graph may tell of a change more than once",
                printable(kind),
                printable(&id)
            ))?;
            return Ok(None);
        };
        let item = &mut self.script.items[place];
        if !script::has_data(&parsed["data"]) {
            let state = &parsed["data"]["object_state"];
            return Err(Failure::new(
                Exit::Failed,
                format!("{kind} {id} came without its item: {state}"),
            ));
        }
        item.arrived += 1;
        let (changed_at, tenant) = (item.changed_at, item.tenant);
        let (received_at, enriched_at) = self.times(&id).await?;
        report::arrival(
            output,
            &Line {
                number: self.script.arrived(),
                total: self.script.total(),
                verified: true,
                schemes,
                id: &id,
                r#type: kind,
                tenant: &self.tenants[tenant].mailbox.domain,
                tenant_id: &self.tenants[tenant].mailbox.access.tenant,
                took_ms: Took::new(changed_at, received_at, enriched_at, arrival.received_at),
                event,
            },
        )?;
        Ok(Some(place))
    }

    /// When the notification that led to an event was received, and when the event was made.
    async fn times(&self, event: &str) -> Result<(Timestamp, Timestamp), Failure> {
        let event = self.look(&["events", event]).await?;
        let notification = event["notification_id"].as_str().unwrap_or_default();
        let notification = self.look(&["notifications", notification]).await?;
        let time = |value: &Value| {
            value
                .as_str()
                .and_then(|text| text.parse::<Timestamp>().ok())
                .ok_or_else(|| Failure::new(Exit::Failed, "the gateway gave no time"))
        };
        Ok((
            time(&notification["received_at"])?,
            time(&event["created_at"])?,
        ))
    }

    async fn look(&self, path: &[&str]) -> Result<Value, Failure> {
        let answer = self.api.get(path, &[]).await?;
        Ok(serde_json::from_str(answer.get()).unwrap_or_default())
    }

    fn name(&self, tenant: usize) -> &str {
        self.tenants
            .get(tenant)
            .map_or("a tenant that was not connected", |tenant| {
                &tenant.mailbox.domain
            })
    }
}
