//! Waits until nothing in this process moves any more, so that time can go on.
//!
//! The kernel knows it best: a thread that has something to do is running or ready to. Whoever waits for the disk, for a
//! socket that somebody in this process is about to write to, or for a channel, will be woken by a thread that is not at
//! rest. So when none has run between some looks at all of them, and all sleep, everything waits for the clock.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    thread::park_timeout,
    time::Duration,
};

/// Between two looks, at first and at most: whoever looks takes time from those who work.
const LOOK: Duration = Duration::from_micros(200);
const LONGEST_LOOK: Duration = Duration::from_millis(3);

/// How often nothing may have happened before it is believed: a packet on the loopback device is on its way for a moment
/// in which nobody runs.
const LOOKS: u32 = 3;

/// How long it takes at most, in looks. Nothing here takes minutes.
const PATIENCE: u32 = 100_000;

/// Waits until every other thread sleeps.
pub(crate) fn wait() {
    let mut threads = Threads::default();
    let mut last = None;
    let (mut same, mut pause) = (0, LOOK);
    for _ in 0..PATIENCE {
        let look = threads.runs().ok();
        if look.is_some() && look == last {
            same += 1;
            pause = LOOK;
        } else {
            same = 0;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        last = look;
        if same >= LOOKS {
            if threads.are_all_asleep() && threads.runs().ok() == last {
                return;
            }
            same = 0;
        }
        park_timeout(pause);
    }
    panic!("this process does not come to rest");
}

/// The threads of this process but that which looks.
#[derive(Default)]
struct Threads(BTreeMap<OsString, Files>);

struct Files {
    state: File,
    runs: File,
}

impl Threads {
    /// How often and how long all of them have run.
    fn runs(&mut self) -> io::Result<Vec<String>> {
        if self.0.is_empty() {
            self.0 = list()?;
        }
        let runs: io::Result<Vec<String>> = self.0.values().map(|one| read(&one.runs)).collect();
        if runs.is_err() {
            // One has ended.
            self.0.clear();
        }
        runs
    }

    /// Whether these are all, and sleep.
    fn are_all_asleep(&mut self) -> bool {
        let asleep = self.0.values().all(|one| {
            let stat = read(&one.state).unwrap_or_default();
            // The name before the state can hold anything but ends with the last bracket.
            let state = stat.rsplit_once(") ").map(|(_, state)| state);
            state.is_some_and(|state| state.starts_with('S'))
        });
        let known: Vec<OsString> = self.0.keys().cloned().collect();
        if let Ok(all) = list() {
            self.0 = all;
        }
        asleep && self.0.keys().eq(&known)
    }
}

fn list() -> io::Result<BTreeMap<OsString, Files>> {
    let own = fs::read_link("/proc/thread-self")?;
    let mut threads = BTreeMap::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        if own.file_name() != Some(&*thread.file_name()) {
            let files = Files {
                state: File::open(thread.path().join("stat"))?,
                runs: File::open(thread.path().join("schedstat"))?,
            };
            threads.insert(thread.file_name(), files);
        }
    }
    Ok(threads)
}

fn read(file: &File) -> io::Result<String> {
    let mut text = [0; 512];
    let length = file.read_at(&mut text, 0)?;
    Ok(String::from_utf8_lossy(&text[..length]).into_owned())
}
