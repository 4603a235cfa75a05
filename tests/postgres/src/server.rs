//! The server.

use std::{
    fs::{self, OpenOptions},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use crate::{
    binaries::Binaries,
    template::{self, DATA, Runner, USER},
    watcher::{self, Signal, Watcher},
};

/// How often a server that starts is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How often at most: a minute, for recovery on a busy machine.
const POLLS: u32 = 12_000;

/// How many ports are tried before something else must be wrong.
const PORTS: u32 = 20;

/// A PostgreSQL of the test's own.
#[derive(Debug)]
pub struct Server {
    binaries: Binaries,
    runner: Runner,
    folder: PathBuf,
    password: String,
    settings: Vec<(String, String)>,
    port: u16,
    postmaster: Option<Child>,
    watcher: Option<Watcher>,
}

impl Server {
    /// Starts one on a free port, with its data in a temporary folder.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL 15 or newer on this machine: says how to get it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with settings of `postgresql.conf`, such as `("max_connections", "20")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::launch(settings, &[])
    }

    /// Starts one that offers TLS with this certificate and its key, both PEM.
    pub fn start_with_tls(certificate: &str, key: &str) -> Self {
        Self::launch(
            &[("ssl", "on")],
            &[("server.crt", certificate), ("server.key", key)],
        )
    }

    /// Starts one with `files` in its data folder.
    fn launch(settings: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let binaries = Binaries::find();
        let runner = Runner::find();
        let folder = tempfile::Builder::new()
            .prefix("tidings-postgres-")
            .tempdir()
            .expect("a temporary folder can be made")
            .keep();
        let watcher = Watcher::start(&folder);
        runner.owns(&folder);
        let password = template::fill(&folder, &binaries, runner);
        for (name, content) in files {
            template::write_private(&folder.join(DATA).join(name), content, runner);
        }
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut server = Self {
            binaries,
            runner,
            folder,
            password,
            settings: settings.iter().map(own).collect(),
            port: 0,
            postmaster: None,
            watcher: Some(watcher),
        };
        for _ in 0..PORTS {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("PostgreSQL does not start:\n{}", server.log());
    }

    /// The URL of the database that is there from the beginning, with the superuser and its password.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes an empty database and gives its URL.
    pub fn create_database(&self, name: &str) -> String {
        self.query("postgres", &format!("CREATE DATABASE \"{name}\""));
        self.url_of(name)
    }

    /// Runs SQL in a database and gives what it answers: a line a row, columns separated by `|`.
    pub fn query(&self, database: &str, sql: &str) -> String {
        let output = Command::new(self.binaries.program("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--username", USER, "--host"])
            .arg(&self.folder)
            .args(["--port", &self.port.to_string(), "--dbname", database])
            .args(["--command", sql])
            .stdin(Stdio::null())
            .output()
            .expect("psql can be run");
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let answer = String::from_utf8(output.stdout).expect("psql writes UTF-8");
        answer.trim_end().to_owned()
    }

    /// The password in the URLs, for tests that look for it where it must not be.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its data folder.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.join(DATA)
    }

    /// SIGKILL to all of its processes at one instant. What was committed is in the data folder.
    pub fn kill(&mut self) {
        self.end(Signal::Kill);
    }

    /// Immediate shutdown: clients are cut off, nothing is flushed, the next start recovers.
    pub fn stop_immediate(&mut self) {
        self.end(Signal::Quit);
    }

    /// Starts it again on what it left, at the same port; stops it at once if it runs. Ends when it takes connections.
    pub fn restart(&mut self) {
        if self.postmaster.is_some() {
            self.stop_immediate();
        }
        for _ in 0..PORTS {
            if self.try_start() {
                return;
            }
        }
        panic!("PostgreSQL does not start again:\n{}", self.log());
    }

    /// Keeps what it has now as a standby would that receives nothing more, for [`Server::fail_over`]. Cuts all
    /// connections.
    pub fn keep_standby(&mut self) {
        self.stop_immediate();
        let standby = self.standby();
        let _ = fs::remove_dir_all(&standby);
        fs::create_dir(&standby).expect("a folder can be made beside the data folder");
        template::copy_data(&self.folder, &standby);
        self.restart();
    }

    /// Kills it, and promotes the standby that was kept, at the same port: what came since is lost, and PostgreSQL begins
    /// a new timeline.
    ///
    /// # Panics
    ///
    /// If none was kept.
    pub fn fail_over(&mut self) {
        self.kill();
        fs::remove_dir_all(self.data_folder()).expect("the data folder can be removed");
        fs::rename(self.standby().join(DATA), self.data_folder()).expect("a standby was kept");
        // Replays its own log and then finds no more: what a standby does when it is promoted.
        let signal = self.data_folder().join("recovery.signal");
        template::write_private(&signal, "", self.runner);
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        self.settings.extend([
            own("restore_command", "false"),
            // Takes no connection before it is promoted.
            own("hot_standby", "off"),
        ]);
        self.restart();
    }

    fn standby(&self) -> PathBuf {
        self.folder.join("standby")
    }

    /// SIGSTOP to all of its processes: connections stay and nothing answers.
    pub fn pause(&self) {
        watcher::send(Signal::Pause, self.pid());
    }

    /// Goes on after [`Server::pause`].
    pub fn resume(&self) {
        watcher::send(Signal::Resume, self.pid());
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let text = fs::read(self.log_file()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn url_of(&self, database: &str) -> String {
        let Self { password, port, .. } = self;
        format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn pid(&self) -> u32 {
        let postmaster = self.postmaster.as_ref();
        postmaster.expect("the server runs").id()
    }

    fn follow(&mut self, pid: Option<u32>) {
        if let Some(watcher) = &mut self.watcher {
            watcher.follow(pid);
        }
    }

    fn end(&mut self, signal: Signal) {
        watcher::send(signal, self.pid());
        if let Some(mut postmaster) = self.postmaster.take() {
            postmaster.wait().expect("its end can be waited for");
        }
        self.follow(None);
    }

    /// Starts the postmaster and waits until it takes connections; `false` if it ends before.
    fn try_start(&mut self) -> bool {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("a log can be made");
        let mut command = Command::new(self.binaries.program("postgres"));
        command
            .current_dir(&self.folder)
            .arg("-D")
            .arg(self.data_folder())
            .args(["-c", "listen_addresses=127.0.0.1", "-c"])
            .arg(format!("port={}", self.port))
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.folder.display()));
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        let mut command = self.runner.runs(command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // An interrupt at the terminal is for the test; the watcher follows.
            .process_group(0);
        let mut postmaster = command.spawn().expect("postgres can be started");
        self.follow(Some(postmaster.id()));
        for _ in 0..POLLS {
            if let Ok(Some(_)) = postmaster.try_wait() {
                self.follow(None);
                return false;
            }
            if is_ready(&self.data_folder(), postmaster.id()) {
                self.postmaster = Some(postmaster);
                return true;
            }
            pass(POLL);
        }
        panic!("PostgreSQL is still not ready:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watcher.take());
        if let Some(mut postmaster) = self.postmaster.take() {
            // Killed by now; this takes its entry out of the system's list.
            let _ = postmaster.wait();
        }
    }
}

/// Whether the postmaster says so: it writes its process id into the first line of `postmaster.pid` and its state into
/// the eighth, which is how `pg_ctl` knows it too.
fn is_ready(data: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = text.lines();
    let own = lines.next().is_some_and(|line| line == pid.to_string());
    own && lines.nth(6).is_some_and(|line| line.trim() == "ready")
}

/// A port nobody listens on. Asked below the range that the system gives to outgoing connections, since the server must
/// find it free again after a restart.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 9_000).expect("below 9,000");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + (own + step * 7) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process of somebody else's is waited for, and there is no clock of ours here"
)]
fn pass(span: Duration) {
    std::thread::sleep(span);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(server: &Server) -> String {
        server.query("things", "SELECT count(*) FROM thing")
    }

    #[test]
    fn what_was_committed_is_there_after_every_kind_of_end() {
        let mut server = Server::start();
        let url = server.create_database("things");
        assert!(url.ends_with("/things"), "{url}");
        server.query("things", "CREATE TABLE thing (id int)");
        server.query("things", "INSERT INTO thing VALUES (1)");
        server.kill();
        server.restart();
        assert_eq!(count(&server), "1");
        server.query("things", "INSERT INTO thing VALUES (2)");
        server.stop_immediate();
        server.restart();
        assert_eq!(count(&server), "2");
        server.restart();
        assert_eq!(count(&server), "2");
        assert_eq!(server.url(), url.replace("/things", "/postgres"));
    }

    #[test]
    fn a_standby_that_takes_over_has_what_it_received_in_a_timeline_of_its_own() {
        let mut server = Server::start();
        server.create_database("things");
        server.query("things", "CREATE TABLE thing (id int)");
        server.query("things", "INSERT INTO thing VALUES (1)");
        server.keep_standby();
        server.query("things", "INSERT INTO thing VALUES (2)");
        assert_eq!(count(&server), "2");
        let timeline = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)";
        assert_eq!(server.query("things", timeline), "00000001");
        server.fail_over();
        assert_eq!(count(&server), "1");
        assert_eq!(server.query("things", timeline), "00000002");
    }

    #[test]
    fn a_paused_server_goes_on_where_it_was() {
        let server = Server::start_with(&[("max_connections", "20")]);
        server.create_database("things");
        server.query("things", "CREATE TABLE thing (id int)");
        server.pause();
        let state = |pid: u32| {
            let output = Command::new("ps")
                .args(["-o", "state=", "-p", &pid.to_string()])
                .output();
            let output = output.expect("there is a ps command");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        assert!(state(server.pid()).starts_with('T'));
        server.resume();
        assert_eq!(count(&server), "0");
        assert_eq!(server.query("things", "SHOW max_connections"), "20");
    }

    #[test]
    fn nothing_is_left_when_it_is_dropped_even_while_it_is_paused() {
        let server = Server::start();
        let (folder, pid) = (server.folder.clone(), server.pid());
        server.pause();
        drop(server);
        assert!(!folder.exists());
        let found = Command::new("kill").args(["-0", &pid.to_string()]).output();
        assert!(!found.expect("there is a kill command").status.success());
    }
}
