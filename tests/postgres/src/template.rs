//! The data folder that is copied for each server, and the user that may run on it.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::{
        fs::{OpenOptionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use crate::binaries::Binaries;

/// The superuser of every test server.
pub(crate) const USER: &str = "tidings";

/// The name of the data folder inside of a server's folder.
pub(crate) const DATA: &str = "data";

/// The name of the file with the superuser's password.
const PASSWORD: &str = "password";

/// Small enough that copying is quick; the product asks nothing of it.
const WAL_SEGMENT_MEGABYTES: &str = "1";

/// Who runs the server: PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runner(Option<(u32, u32)>);

impl Runner {
    /// Ourselves, or as root whoever PostgreSQL's package made for it, or nobody.
    pub(crate) fn find() -> Self {
        if id("-u", None) != Some(0) {
            return Self(None);
        }
        let other = ["postgres", "nobody"]
            .into_iter()
            .find_map(|user| Some((id("-u", Some(user))?, id("-g", Some(user))?)));
        let other = other.expect("there is a user `postgres` or `nobody` to run PostgreSQL as");
        Self(Some(other))
    }

    /// The same command as that user.
    pub(crate) fn runs(self, mut command: Command) -> Command {
        if let Self(Some((user, group))) = self {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes a path belong to that user.
    pub(crate) fn owns(self, path: &Path) {
        if let Self(Some((user, group))) = self {
            chown(path, Some(user), Some(group)).expect("root can give files away");
        }
    }
}

/// Fills a server's fresh folder with data folder and password; gives the password.
pub(crate) fn fill(folder: &Path, binaries: &Binaries, runner: Runner) -> String {
    let Some(target) = target_folder() else {
        return make(folder, binaries, runner);
    };
    let tools = target.join("tools");
    fs::create_dir_all(&tools).expect("a folder can be made in target");
    let version: String = binaries
        .version
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
        .collect();
    let template = tools.join(format!("postgres-{version}"));
    // Of the many tests that begin at one time one makes it, the others wait for that one.
    let lock = File::create(tools.join("postgres.lock")).expect("a lock can be made in target");
    lock.lock().expect("a file can be locked");
    if !template.exists() {
        make(folder, binaries, runner);
        let begun = tools.join("postgres.new");
        let _ = fs::remove_dir_all(&begun);
        fs::create_dir(&begun).expect("a folder can be made in target");
        copy(folder, &begun);
        fs::rename(&begun, &template).expect("the template can be put in its place");
    }
    drop(lock);
    if !folder.join(DATA).exists() {
        copy(&template, folder);
    }
    let password = fs::read_to_string(folder.join(PASSWORD));
    password.expect("a template holds its password")
}

/// Runs initdb. Over TCP a password is asked for, as in production, and so that nobody else on this machine gets into a
/// server that runs commands for its superuser; the socket lies in a folder that others cannot enter.
fn make(folder: &Path, binaries: &Binaries, runner: Runner) -> String {
    let mut bytes = [0; 16];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    random.expect("there is /dev/urandom");
    let password = format!("{:032x}", u128::from_be_bytes(bytes));
    let file = folder.join(PASSWORD);
    write_private(&file, &password, runner);

    let mut command = Command::new(binaries.program("initdb"));
    command
        .current_dir(folder)
        .args(["--no-sync", "--encoding=UTF8", "--locale=C"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
        .arg(format!("--username={USER}"))
        .arg(format!("--pwfile={}", file.display()))
        .arg(format!("--wal-segsize={WAL_SEGMENT_MEGABYTES}"))
        .arg("-D")
        .arg(folder.join(DATA));
    let output = runner.runs(command).output().expect("initdb can be run");
    assert!(
        output.status.success(),
        "initdb failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    password
}

/// Writes a file that only the server's user can read.
pub(crate) fn write_private(path: &Path, content: &str, runner: Runner) {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    runner.owns(path);
}

/// Copies what is in `from` into `to`, with owners and modes, which PostgreSQL insists on.
fn copy(from: &Path, to: &Path) {
    copy_data(from, to);
    copy_one(PASSWORD, from, to);
}

/// Copies the data folder in `from` into `to`.
pub(crate) fn copy_data(from: &Path, to: &Path) {
    copy_one(DATA, from, to);
}

fn copy_one(name: &str, from: &Path, to: &Path) {
    let status = Command::new("cp")
        .args([OsStr::new("-Rp"), from.join(name).as_ref(), to.as_ref()])
        .status();
    let copied = status.expect("there is a cp command").success();
    assert!(copied, "cannot copy {} to {}", from.display(), to.display());
}

/// The folder that cargo builds to: the one above this test that cargo has marked as a cache.
fn target_folder() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let folder = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())?;
    Some(folder.to_owned())
}

fn id(which: &str, user: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg(which).args(user).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
