//! Five tenants, the gateway that watches them, and the apps that it tells.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{api::Api, gateway::free_port, receiver::Receiver, world::id};
use tidings_domain::{Clock, Entropy, Timestamp, clock::ManualClock, entropy::SeededEntropy};
use tidings_emulator::{
    Emulator, Options, Run, Scenario, Switches,
    scenario::{Kind, Rates},
};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};
use uuid::Uuid;

use crate::{
    gateway::{Gateway, Settings},
    skewed::Skewed,
    still,
};

/// When the month begins: 2026-03-01.
const BEGIN: Timestamp = Timestamp::from_millis(1_772_323_200_000);

const TENANTS: usize = 5;
const MAILBOXES: usize = 40;

/// The longest step in which time passes. After ten minutes in which nothing happened a gateway would take itself for having
/// been away, and compare everything.
const STEP: Duration = Duration::from_mins(9);

/// What an app asks for.
pub(crate) struct App {
    pub(crate) name: &'static str,
    pub(crate) receiver: Receiver,
    /// The kinds of its triggers.
    pub(crate) kinds: Vec<&'static str>,
    /// Of which connections; of all if there are none.
    pub(crate) connections: Vec<String>,
}

/// A subscription that somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) connection: String,
    pub(crate) tenant: Uuid,
    pub(crate) resource: String,
    /// What the paths of its items begin with, in what is true.
    pub(crate) prefix: String,
    /// The kind of its events.
    pub(crate) kind: &'static str,
}

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) emulator: Emulator,
    pub(crate) run: Run,
    pub(crate) apps: Vec<App>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) api: Api,
    /// Where emulator and receivers run.
    pub(crate) runtime: Runtime,
    pub(crate) draw: Draw,
    pub(crate) app_id: Uuid,
    gateway: Option<Gateway>,
    settings: Settings,
    _folder: TempDir,
    _serving: JoinSet<()>,
}

/// What a seed decides.
#[derive(Debug)]
pub(crate) struct Draw(SeededEntropy);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number below `n`.
    pub(crate) fn below(&self, n: u64) -> u64 {
        let entropy: &dyn Entropy = &self.0;
        entropy.u64() % n
    }

    /// A number from `from` up to but without `to`.
    pub(crate) fn between(&self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    /// One of these.
    pub(crate) fn one<'a, T>(&self, of: &'a [T]) -> &'a T {
        let place = self.below(of.len() as u64);
        &of[usize::try_from(place).expect("a place")]
    }

    /// Yes, so often in a hundred.
    pub(crate) fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

impl World {
    /// Makes tenants and mailboxes, connects them, subscribes, and lets the first comparison pass. Then truth is kept.
    ///
    /// The gateway's time of day is ahead of Graph's by `skew`; it compares every `interval`.
    pub(crate) fn begin(seed: u64, skew: Duration, interval: Duration, switches: Switches) -> Self {
        let draw = Draw::new(seed);
        let clock = ManualClock::new(BEGIN);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("graph")
            .build()
            .expect("a runtime");
        let mut options = Options::new(
            Arc::new(clock.clone()),
            Arc::new(SeededEntropy::new(seed ^ 1)),
        );
        options.seed = seed;
        options.switches = switches;
        let emulator = Emulator::new(options).expect("an emulator");
        let (url, serving) = runtime.block_on(serve(&emulator));
        let run = emulator.begin(&scenario(seed)).expect("a scenario");
        let folder = folder();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let ahead = Skewed {
            clock: clock.clone(),
            ahead: skew,
        };
        let mut settings = Settings::new(
            address,
            folder.path(),
            Arc::new(ahead),
            Arc::new(SeededEntropy::new(seed ^ 2)),
        );
        settings.config.reconcile.interval.0 = interval;
        let gateway = Gateway::start(&settings);
        let key = std::fs::read_to_string(folder.path().join("admin.key")).expect("a key");
        let base = format!("http://{address}/").parse().expect("a URL");
        let tenant = &run.tenants()[0];
        let (app_id, secret) = (tenant.client_id, tenant.client_secret.clone());
        let mut world = Self {
            api: Api::new(base, key.trim()),
            clock,
            emulator,
            run,
            apps: Vec::new(),
            wanted: Vec::new(),
            runtime,
            draw,
            app_id,
            gateway: Some(gateway),
            settings,
            _folder: folder,
            _serving: serving,
        };
        // Graph's delta queries learn of what has just been made some time later.
        world.pass(Duration::from_mins(10));
        world.integrate(&url, &secret);
        world.ask();
        still::wait();
        world.pass(Duration::from_mins(30));
        world.emulator.keep_truth();
        world
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.runtime.block_on(self.api.post(path, body))
    }

    fn integrate(&self, url: &str, secret: &str) {
        let integration = json!({
            "key": "month",
            "client_id": self.app_id,
            "client_secret": secret,
            "login_url": url,
            "graph_url": url,
        });
        self.post("/v1/integrations", &integration);
    }

    /// Connects every tenant, subscribes to some of what is there, and registers the apps.
    fn ask(&mut self) {
        let tenants = self.run.tenants().to_vec();
        let mut connections = Vec::new();
        for tenant in &tenants {
            let body = json!({"integration": "month", "tenant_id": tenant.tenant_id});
            connections.push(id(&self.post("/v1/connections", &body)));
        }
        for (tenant, connection) in tenants.iter().zip(&connections) {
            let tenant = tenant.tenant_id;
            let mut wants = vec![
                ("user", "users".to_owned(), "users/".to_owned()),
                ("group", "groups".to_owned(), "groups/".to_owned()),
            ];
            for user in self.users(tenant) {
                wants.extend(self.of_mailbox(user));
            }
            wants.extend(self.of_teams(tenant));
            for (kind, resource, prefix) in wants {
                let changes = match kind {
                    "drive_item" => json!(["updated"]),
                    "group" | "user" => json!(["updated", "deleted"]),
                    _ => json!(["created", "updated", "deleted"]),
                };
                let body = json!({
                    "connection_id": connection, "resource": resource, "change_types": changes,
                });
                self.post("/v1/subscriptions", &body);
                self.wanted.push(Wanted {
                    connection: connection.clone(),
                    tenant,
                    resource,
                    prefix,
                    kind,
                });
            }
        }
        let all = vec![
            "channel",
            "contact",
            "drive_item",
            "event",
            "group",
            "message",
            "user",
        ];
        self.app("all", all.clone(), Vec::new());
        self.app("one tenant", all, vec![connections[1].clone()]);
        self.app("calendars", vec!["event"], connections[2..4].to_vec());
        self.app("often down", vec!["contact", "message"], Vec::new());
    }

    fn users(&self, tenant: Uuid) -> Vec<Uuid> {
        let all = self.emulator.directory();
        let tenant = all.iter().find(|one| one.tenant_id == tenant);
        let users = tenant.expect("a tenant").users.iter();
        users.map(|user| user.id).collect()
    }

    /// What is watched of a mailbox: most have one kind or none.
    fn of_mailbox(&self, user: Uuid) -> Vec<(&'static str, String, String)> {
        let mut wants = Vec::new();
        for (kind, below, chance) in [
            ("event", "events", 18),
            // Each of its folders is compared by itself.
            ("message", "messages", 8),
            ("contact", "contacts", 18),
        ] {
            if self.draw.percent(chance) {
                let resource = format!("users/{user}/{below}");
                wants.push((kind, resource.clone(), format!("{resource}/")));
            }
        }
        if self.draw.percent(10) {
            let drive = self.emulator.drive_id(user).expect("a drive");
            let resource = format!("users/{user}/drive/root");
            wants.push(("drive_item", resource, format!("drives/{drive}/items/")));
        }
        wants
    }

    /// The channels of one team in each tenant: their subscriptions live for an hour.
    fn of_teams(&self, tenant: Uuid) -> Vec<(&'static str, String, String)> {
        let groups = self.emulator.groups(tenant).expect("groups");
        let teams = groups.iter().filter_map(|group| {
            let id: Uuid = group["id"].as_str()?.parse().ok()?;
            let channels = self.emulator.channels(id).ok()?;
            (!channels.is_empty()).then(|| format!("teams/{id}/channels"))
        });
        teams
            .take(2)
            .map(|path| ("channel", path.clone(), format!("{path}/")))
            .collect()
    }

    fn app(&mut self, name: &'static str, kinds: Vec<&'static str>, connections: Vec<String>) {
        let receiver = self.runtime.block_on(Receiver::start());
        let triggers: Vec<String> = kinds
            .iter()
            .flat_map(|kind| ["created", "updated", "deleted"].map(|how| format!("{kind}.{how}")))
            .collect();
        let body = json!({
            "url": receiver.url(), "triggers": triggers, "connections": connections,
        });
        self.post("/v1/webhooks", &body);
        self.apps.push(App {
            name,
            receiver,
            kinds,
            connections,
        });
    }

    /// Lets time pass at rest, in steps short enough for whatever is repeated.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.pass_until(self.clock.now() + span);
    }

    /// Lets time pass until `end`.
    pub(crate) fn pass_until(&mut self, end: Timestamp) {
        while self.clock.now() < end {
            let step = self.clock.now().until(end).min(STEP);
            self.step(step);
        }
    }

    /// Lets a short time pass. What happens at once happens before the rest of it has passed.
    pub(crate) fn step(&mut self, span: Duration) {
        self.clock.advance(span);
        still::wait();
    }

    /// Makes the changes that are due until `at`.
    pub(crate) fn change(&mut self, at: Timestamp) {
        let _entered = self.runtime.enter();
        self.run.until(at).expect("a change can be made");
    }

    /// Kills the gateway.
    pub(crate) fn kill(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.kill();
        }
    }

    /// Starts the gateway again.
    pub(crate) fn revive(&mut self) {
        if self.gateway.is_none() {
            self.gateway = Some(Gateway::start(&self.settings));
        }
    }

    /// The whole of a list of the API.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        self.runtime.block_on(self.api.list(path))
    }
}

/// Serves it on a free port; its URL.
async fn serve(emulator: &Emulator) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let emulator = emulator.clone();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let served = emulator.serve(listener, None, std::future::pending());
        served.await.expect("the emulator serves");
    });
    (format!("http://{address}"), serving)
}

/// In memory if there is such a place: nothing here depends on the disk, and a month has many commits.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a temporary folder")
}

fn scenario(seed: u64) -> Scenario {
    let rates = |create, update, delete, r#move| Rates {
        create,
        delete,
        r#move,
        update,
    };
    Scenario {
        seed,
        tenants: TENANTS,
        mailboxes: MAILBOXES,
        initial: 2,
        daily: BTreeMap::from([
            (Kind::Channels, rates(0.01, 0.01, 0.005, 0.0)),
            (Kind::Contacts, rates(0.05, 0.05, 0.02, 0.0)),
            (Kind::DriveItems, rates(0.04, 0.04, 0.02, 0.02)),
            (Kind::Events, rates(0.08, 0.1, 0.04, 0.0)),
            (Kind::Groups, rates(0.005, 0.01, 0.004, 0.01)),
            (Kind::Messages, rates(0.1, 0.1, 0.04, 0.03)),
            (Kind::Users, rates(0.005, 0.02, 0.004, 0.0)),
        ]),
    }
}
