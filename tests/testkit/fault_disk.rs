//! A disk that fails on command: `faultfs/faultfs.c` below the gateway.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
};

use tempfile::TempDir;

use crate::{binary, tool};

/// The shim, compiled once a process; `None` without a C compiler.
static SHIM: LazyLock<Option<PathBuf>> = LazyLock::new(|| Some(compile(&tool::find("cc")?)));

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// fsync fails with EIO.
    FsyncFails,
    /// fsync takes this many milliseconds longer.
    FsyncSlow(u32),
    /// Every write fails with EIO.
    WriteFails,
    /// No file can grow: ENOSPC.
    Full,
}

impl Fault {
    fn line(self) -> String {
        match self {
            Self::FsyncFails => "fsync eio\n".to_owned(),
            Self::FsyncSlow(milliseconds) => format!("fsync delay {milliseconds}\n"),
            Self::WriteFails => "write eio\n".to_owned(),
            Self::Full => "write enospc\n".to_owned(),
        }
    }
}

/// A folder whose disk fails on command.
#[derive(Clone, Debug)]
pub struct FaultDisk {
    shim: PathBuf,
    folder: Arc<TempDir>,
    records: bool,
}

impl FaultDisk {
    /// A disk, or `None` after having said so where this machine cannot have one (no Linux, no C compiler).
    pub fn new(test: &str) -> Option<Self> {
        Self::build(test, false)
    }

    /// A disk of which [`crate::power_cut::power_cut`] can take back what was not synced.
    pub fn with_power_cuts(test: &str) -> Option<Self> {
        Self::build(test, true)
    }

    fn build(test: &str, records: bool) -> Option<Self> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            tool::skip(test, "faults below the store need Linux with glibc");
            return None;
        }
        let Some(shim) = SHIM.clone() else {
            tool::skip(test, "faults below the store need a C compiler, `cc`");
            return None;
        };
        let disk = Self {
            shim,
            folder: Arc::new(tempfile::tempdir().expect("a temporary folder can be made")),
            records,
        };
        fs::create_dir(disk.folder()).expect("a folder can be made");
        Some(disk)
    }

    /// The folder that is on it.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// From now on exactly these faults happen.
    pub fn set(&self, faults: &[Fault]) {
        let text: String = faults.iter().map(|fault| fault.line()).collect();
        // Renamed into place: the shim must not read half a file.
        let fresh = self.folder.path().join("faults.new");
        fs::write(&fresh, text).expect("the control file can be written");
        fs::rename(fresh, self.control()).expect("the control file can be replaced");
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        self.set(&[]);
    }

    /// What a process needs to be on this disk.
    pub(crate) fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        let mut variables = vec![
            ("LD_PRELOAD", self.shim.clone()),
            ("FAULTFS_ROOT", self.folder()),
            ("FAULTFS_CONTROL", self.control()),
        ];
        if self.records {
            variables.push(("FAULTFS_LOG", self.log()));
        }
        variables
    }

    /// A command that runs on this disk.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.variables());
        command
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("undo.log")
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("faults")
    }
}

/// Compiles the shim unless that was done. Many processes may do so at one time: each into a file of its own, renamed.
fn compile(compiler: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("faultfs/faultfs.c");
    let folder = binary::target_folder().join("tools");
    fs::create_dir_all(&folder).expect("a folder can be made in target");
    let shim = folder.join("faultfs.so");
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    if changed(&shim) > changed(&source) {
        return shim;
    }
    let fresh = folder.join(format!("faultfs-{}.so", std::process::id()));
    let status = Command::new(compiler)
        .args([
            "-std=gnu11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "-o",
        ])
        .arg(&fresh)
        .arg(&source)
        .args(["-ldl", "-pthread"])
        .status()
        .expect("the C compiler can be started");
    assert!(status.success(), "faultfs.c does not compile");
    fs::rename(&fresh, &shim).expect("the shim can be put in its place");
    shim
}
