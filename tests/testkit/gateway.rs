//! `tidings serve`.

use std::{
    ffi::OsString,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use url::Url;

use crate::{
    api::{Api, Http},
    binary,
    cli::{self, Cli},
    database::Database,
    fault_disk::FaultDisk,
    process::Process,
    wait,
};

/// Into how many shards all work is divided.
const SHARDS: i64 = 64;

/// How a gateway is to be started.
#[derive(Clone, Debug)]
pub struct Settings {
    port: u16,
    folder: Arc<TempDir>,
    elsewhere: Option<PathBuf>,
    variables: Vec<(String, String)>,
    before: Vec<OsString>,
    disk: Option<FaultDisk>,
    database: Option<Arc<Database>>,
    nodes: usize,
    public_url: Option<Url>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// On a free port, in a new folder, with this machine opened for webhooks and for Graph.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let settings = Self {
            port: free_port(),
            folder: Arc::new(folder),
            elsewhere: None,
            variables: Vec::new(),
            before: Vec::new(),
            disk: None,
            database: None,
            nodes: 1,
            public_url: None,
        };
        settings
            .with("TIDINGS__EGRESS__ALLOW", r#"["127.0.0.0/8"]"#)
            .with("TIDINGS__EGRESS__ALLOW_GRAPH", r#"["127.0.0.0/8"]"#)
    }

    /// With a variable, such as `TIDINGS__DELIVER__TIMEOUT`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With waits between the attempts of a delivery that a test can sit through.
    #[must_use]
    pub fn with_quick_retries(self) -> Self {
        let waits = vec![r#""300ms""#; 60].join(",");
        self.with("TIDINGS__DELIVER__RETRY_SCHEDULE", &format!("[{waits}]"))
    }

    /// Started by another program: `prlimit --nofile=64`, for example.
    #[must_use]
    pub fn below<S: Into<OsString>>(mut self, program: impl IntoIterator<Item = S>) -> Self {
        self.before = program.into_iter().map(Into::into).collect();
        self
    }

    /// With its data in a folder of the test's own choice.
    #[must_use]
    pub fn in_folder(mut self, folder: PathBuf) -> Self {
        self.elsewhere = Some(folder);
        self
    }

    /// The same on another free port.
    #[must_use]
    pub fn on_another_port(mut self) -> Self {
        self.port = free_port();
        self
    }

    /// On a disk that fails on command.
    #[must_use]
    pub fn on(mut self, disk: &FaultDisk) -> Self {
        self.disk = Some(disk.clone());
        self
    }

    /// On a PostgreSQL. What a node works on goes to others after three seconds without a sign of it.
    #[must_use]
    pub fn on_database(mut self, database: &Arc<Database>) -> Self {
        self.database = Some(Arc::clone(database));
        self.with("TIDINGS__POSTGRES__LEASE", "3s")
    }

    /// So many gateways of this kind, behind one address.
    #[must_use]
    pub fn times(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Reached by Graph under a URL that is not its own.
    #[must_use]
    pub fn behind(mut self, public_url: Url) -> Self {
        self.public_url = Some(public_url);
        self
    }

    /// How many gateways there are to be.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// The PostgreSQL it is on, if it is on one.
    pub fn database(&self) -> Option<&Arc<Database>> {
        self.database.as_ref()
    }

    /// Its data folder.
    pub fn data_dir(&self) -> PathBuf {
        match (&self.disk, &self.elsewhere) {
            (Some(disk), _) => disk.folder(),
            (None, Some(folder)) => folder.clone(),
            (None, None) => self.folder.path().join("data"),
        }
    }

    /// Where it will be.
    pub fn url(&self) -> Url {
        let url = format!("http://127.0.0.1:{}/", self.port);
        url.parse().expect("an address is a URL")
    }

    fn command(&self) -> Command {
        let program = match self.before.split_first() {
            None => Command::new(binary::tidings()),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(binary::tidings());
                command
            }
        };
        let mut command = cli::cleaned(program);
        let public_url = self.public_url.clone().unwrap_or_else(|| self.url());
        command
            .args(["serve", "--json", "--listen"])
            .arg(format!("127.0.0.1:{}", self.port))
            .args(["--public-url", public_url.as_str()])
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        match &self.database {
            Some(database) => command
                .envs(database.variables())
                .env("TIDINGS__POSTGRES__NODE", format!("node-{}", self.port)),
            None => command.arg("--data-dir").arg(self.data_dir()),
        };
        if let Some(disk) = &self.disk {
            command.envs(disk.variables());
        }
        command
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The program.
    pub process: Process,
    /// The first line as it came.
    pub line: Value,
    settings: Settings,
}

impl Gateway {
    /// Starts one and waits until it listens.
    pub async fn start(settings: &Settings) -> Self {
        let mut process = Process::start("the gateway", settings.command());
        let line = process.json_line().await;
        Self {
            process,
            line,
            settings: settings.clone(),
        }
    }

    /// Starts one that is expected to end by itself.
    pub fn start_unready(settings: &Settings) -> Process {
        Process::start("the gateway", settings.command())
    }

    /// Where it is.
    pub fn url(&self) -> Url {
        self.settings.url()
    }

    /// The address of its socket.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.settings.port))
    }

    /// The environment made at first start.
    pub fn environment(&self) -> &str {
        let id = self.line["environment_id"].as_str();
        id.unwrap_or_else(|| panic!("no environment_id: {}", self.line))
    }

    /// The admin key made at first start, or when the database was prepared.
    pub fn admin_key(&self) -> String {
        if let Some(database) = &self.settings.database {
            return database.admin_key().to_owned();
        }
        let file = self.line["admin_key_file"].as_str();
        let file = file.unwrap_or_else(|| panic!("no admin_key_file: {}", self.line));
        let key = fs::read_to_string(file)
            .unwrap_or_else(|error| panic!("the admin key cannot be read from {file}: {error}"));
        key.trim().to_owned()
    }

    /// The management API with the admin key.
    pub fn api(&self) -> Api {
        Api::new(self.url(), self.admin_key())
    }

    /// A shell that knows where the gateway is; with SQLite where its data folder is, and no key; with PostgreSQL the
    /// admin key.
    pub fn cli(&self) -> Cli {
        let url = self.url();
        let cli = Cli::new().with("TIDINGS_URL", url.as_str().trim_end_matches('/'));
        match &self.settings.database {
            Some(database) => cli.with("TIDINGS_API_KEY", database.admin_key()),
            None => cli.with("TIDINGS_DATA_DIR", self.data_dir().to_str().expect("UTF-8")),
        }
    }

    /// What it counts under this name, all series of it added up; `None` if there is none.
    pub async fn metric(&self, name: &str) -> Option<i64> {
        let url = self.url().join("metrics").expect("a URL");
        let answer = Http::new().send("GET", url, &[], Vec::new()).await;
        let text = answer.text();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let own = labels.is_empty() || labels.starts_with('{');
            own.then(|| value.parse::<i64>().ok()).flatten()
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Its data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.settings.data_dir()
    }

    /// The PostgreSQL it is on, if it is on one.
    pub fn database(&self) -> Option<&Database> {
        self.settings.database().map(|database| &**database)
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate().await
    }

    /// Starts it again in the same place, on what the last one left; gives the time until it listened.
    pub async fn restart(&mut self) -> Duration {
        let started = wait::now();
        self.process = Process::start("the gateway", self.settings.command());
        self.line = self.process.json_line().await;
        wait::now().saturating_sub(started)
    }

    /// The same gateway with other settings at its next start.
    pub fn change(&mut self, change: impl FnOnce(Settings) -> Settings) {
        self.settings = change(self.settings.clone());
    }
}

/// Waits until these gateways hold all shards among them, and each some; gives how long that took.
pub async fn share_the_work(gateways: &[&Gateway]) -> Duration {
    let started = wait::now();
    wait::until("all shards to be held", || async {
        let mut sum = 0;
        for gateway in gateways {
            let held = gateway.metric("tidings_nodes_shards_held").await?;
            if held == 0 {
                return None;
            }
            sum += held;
        }
        // While a shard changes hands nobody may hold it, but never two.
        (sum == SHARDS).then_some(())
    })
    .await;
    wait::now().saturating_sub(started)
}

/// Whether `text` appears in any file below a folder, as bytes: a secret, a token. By `grep`, since unoptimised code takes
/// its time for the tens of megabytes of a database.
pub fn folder_contains(folder: &Path, text: &str) -> bool {
    let status = std::process::Command::new("grep")
        .args([
            "--recursive",
            "--quiet",
            "--text",
            "--fixed-strings",
            "-e",
            text,
        ])
        .arg(folder)
        .status()
        .expect("there is a grep command");
    match status.code() {
        Some(0) => true,
        Some(1) => false,
        _ => panic!("{} cannot be searched", folder.display()),
    }
}

/// A port nobody listens on. Asked below the range that the system gives to outgoing connections, since a gateway must
/// find it free again after a restart.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 11_000).expect("below 11,000");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (own + step * 7) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
