//! Ends the server when the test is gone, in whatever way it went.
//!
//! A shell waits at the end of a pipe whose other end this process holds: the system closes that when the process ends,
//! be it by `kill -9`. The shell then kills the server and removes its folder. (A signal on the parent's death, which
//! Linux offers, follows the thread that started the child, and tests end their threads.)

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// Prints the children of `$pid`: the server's processes. Each leads a group of its own, so that no signal to a group
/// reaches all.
const CHILDREN: &str = r#"
children() {
    cat "/proc/$pid/task/$pid/children" 2>/dev/null ||
        ps -A -o pid= -o ppid= | while read -r child parent; do
            if [ "$parent" = "$pid" ]; then echo "$child"; fi
        done
}
"#;

/// Each line on its input is the server's process, or empty while there is none. The last one is `end`, unless the test was
/// killed: then a program that it had started, such as `cp`, may still be filling the folder.
const WATCH: &str = r#"
trap '' HUP INT TERM
pid= end=
while read -r line; do
    if [ "$line" = end ]; then end=yes; else pid=$line; fi
done
if [ -n "$pid" ] && kill -STOP "$pid"; then kill -KILL "$pid" $(children); fi
rm -rf "$1"
for again in 1 2 3; do
    if [ "$end" ] && [ ! -e "$1" ]; then break; fi
    sleep 1
    rm -rf "$1"
done
"#;

/// SIGSTOP for the postmaster first, so that no further child is born meanwhile.
const KILL: &str = "pid=$1; kill -STOP $pid && kill -KILL $pid $(children)";
const PAUSE: &str = "pid=$1; kill -STOP $pid && kill -STOP $(children)";
const RESUME: &str = "pid=$1; kill -CONT $pid $(children)";

/// What can be sent to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// SIGKILL to all of its processes.
    Kill,
    /// SIGSTOP to all of its processes.
    Pause,
    /// SIGCONT to all of its processes.
    Resume,
    /// SIGQUIT to the postmaster: PostgreSQL's immediate shutdown.
    Quit,
}

/// Sends it.
pub(crate) fn send(signal: Signal, pid: u32) {
    let script = match signal {
        Signal::Kill => KILL,
        Signal::Pause => PAUSE,
        Signal::Resume => RESUME,
        Signal::Quit => "kill -QUIT $1",
    };
    let status = Command::new("sh")
        .args(["-c", &format!("{CHILDREN}{script}"), "sh", &pid.to_string()])
        // A child that ended by itself meanwhile is none that a signal has to reach.
        .stderr(Stdio::null())
        .status();
    status.expect("there is a shell");
}

/// The shell at the other end of the pipe.
#[derive(Debug)]
pub(crate) struct Watcher {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watcher {
    /// From now on `folder` goes when this process does.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", &format!("{CHILDREN}{WATCH}"), "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What kills the test's whole group, such as a runner that has lost patience, must leave it alive.
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let pipe = shell.stdin.take();
        Self { shell, pipe }
    }

    /// Says which process is the server.
    pub(crate) fn follow(&mut self, pid: Option<u32>) {
        let line = pid.map_or_else(String::new, |pid| pid.to_string());
        let pipe = self.pipe.as_mut().expect("the pipe is open until the end");
        writeln!(pipe, "{line}").expect("the watcher reads");
    }
}

impl Drop for Watcher {
    /// When this returns, everything is gone.
    fn drop(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = writeln!(pipe, "end");
        }
        let _ = self.shell.wait();
    }
}
