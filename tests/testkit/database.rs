//! A PostgreSQL with a database that is ready for gateways: made as an operator makes it, with the commands.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tempfile::TempDir;
use tidings_test_postgres::Server;

use crate::cli;

/// The name of the database.
const NAME: &str = "tidings";

/// A database of the test's own on a server of the test's own.
#[derive(Debug)]
pub struct Database {
    server: Mutex<Server>,
    url: String,
    folder: TempDir,
    admin_key: String,
}

impl Database {
    /// Starts a server, makes the database and the sealing key, and prepares it for gateways.
    pub fn start() -> Arc<Self> {
        let empty = Self::empty();
        let applied = empty.run(&["migrate", "apply", "--json"]);
        let admin_key = applied["admin_key"].as_str();
        let admin_key = admin_key.unwrap_or_else(|| panic!("no admin_key: {applied}"));
        Arc::new(Self {
            admin_key: admin_key.to_owned(),
            ..empty
        })
    }

    /// Starts a server and makes the database, with nothing in it, and a sealing key. It has no admin key.
    pub fn empty() -> Self {
        Self::on(Server::start(), "")
    }

    /// The same on a given server, with `parameters` such as `?sslmode=require` behind its URL.
    pub fn on(server: Server, parameters: &str) -> Self {
        let database = Self {
            url: server.create_database(NAME) + parameters,
            server: Mutex::new(server),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            admin_key: String::new(),
        };
        let file = database.sealing_key_file();
        let file = file.to_str().expect("UTF-8");
        database.run(&["sealing-key", "create", file, "--json"]);
        database
    }

    /// With the admin key of whatever was copied into it.
    #[must_use]
    pub fn opened_by(mut self, admin_key: String) -> Self {
        self.admin_key = admin_key;
        self
    }

    /// The server, to be killed, stopped, paused, started again.
    pub fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of the database, with its password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file with the sealing key.
    pub fn sealing_key_file(&self) -> PathBuf {
        self.folder.path().join("sealing.key")
    }

    /// The admin key that was shown when the database was prepared.
    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// Runs SQL: a line a row.
    pub fn query(&self, sql: &str) -> String {
        self.server().query(NAME, sql)
    }

    /// How many deadlocks the server has had to end, in all its life.
    pub fn deadlocks(&self) -> u64 {
        let sql = format!("SELECT deadlocks FROM pg_stat_database WHERE datname = '{NAME}'");
        self.query(&sql).parse().expect("a number")
    }

    /// What a command needs to be on this database.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let file = self.sealing_key_file();
        [
            ("TIDINGS_DATABASE_URL", self.url.clone()),
            (
                "TIDINGS_SEALING_KEY_FILE",
                file.to_str().expect("UTF-8").to_owned(),
            ),
        ]
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let output = cli::clean(Command::new(crate::binary::tidings()))
            .args(arguments)
            .envs(self.variables())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("tidings can be started");
        assert!(
            output.status.success(),
            "tidings {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("it prints JSON")
    }
}
