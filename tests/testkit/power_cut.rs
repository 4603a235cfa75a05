//! What a power cut leaves of a disk: whatever was not synced may be gone, in part or whole.
//!
//! A process that was killed loses nothing, since the kernel keeps what it wrote. So the shim logs what each write
//! replaced, and here some of the writes since each file's last sync are taken back.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions},
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use tidings_domain::Entropy;

use crate::fault_disk::FaultDisk;

/// As in `faultfs.c`.
const MAGIC: u32 = 0x6673_4c67;
const HEAD: usize = 48;

/// Which of the writes that were not synced are lost. Disks and file systems do all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// All of them.
    All,
    /// Those after some point: what was written first reached the disk first.
    Tail,
    /// Any of them: the disk wrote in an order of its own.
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Wrote,
    Resized,
    Synced,
    Failed,
}

/// What a write or a resize replaced.
#[derive(Debug)]
struct Record {
    kind: Kind,
    inode: u64,
    offset: u64,
    /// Of the write; the new size of a resize.
    length: u64,
    old_size: u64,
    saved: Vec<u8>,
}

/// Cuts the power of a machine whose processes on `disk` have just been killed. Gives how much was lost: writes that were
/// not synced, and bytes whose sync failed.
pub fn power_cut(disk: &FaultDisk, lost: Lost, entropy: &dyn Entropy) -> usize {
    let mut histories: HashMap<u64, History> = HashMap::new();
    for record in read_log(&disk.log()) {
        histories.entry(record.inode).or_default().take(record);
    }

    let mut taken_back = 0;
    for path in files(&disk.folder()) {
        if path.to_string_lossy().ends_with("-shm") {
            // Memory that processes share; no file after a power cut.
            fs::remove_file(&path).expect("a file can be removed");
            continue;
        }
        let inode = fs::metadata(&path).expect("a file has metadata").ino();
        if let Some(history) = histories.get(&inode) {
            let gone = choose(history.unsynced.len(), lost, entropy);
            taken_back += gone.iter().filter(|gone| **gone).count() + history.doomed.len();
            take_back(&path, history, &gone);
        }
    }
    fs::remove_file(disk.log()).expect("the undo log can be removed");
    taken_back
}

/// What became of one file.
#[derive(Debug, Default)]
struct History {
    /// Since the last sync.
    unsynced: Vec<Record>,
    /// What stood, byte by byte, where writes were whose sync failed: they never reach the disk any more, unless
    /// something is written there anew and synced.
    doomed: BTreeMap<u64, u8>,
}

impl History {
    fn take(&mut self, record: Record) {
        match record.kind {
            Kind::Wrote | Kind::Resized => self.unsynced.push(record),
            Kind::Synced => {
                for written in self.unsynced.drain(..) {
                    for place in written.places() {
                        self.doomed.remove(&place);
                    }
                }
            }
            Kind::Failed => {
                for failed in self.unsynced.drain(..) {
                    for (index, place) in failed.places().enumerate() {
                        let before = failed.saved.get(index).copied().unwrap_or(0);
                        self.doomed.entry(place).or_insert(before);
                    }
                }
            }
        }
    }
}

impl Record {
    /// Where it wrote.
    fn places(&self) -> Range<u64> {
        match self.kind {
            Kind::Wrote => self.offset..self.offset + self.length,
            Kind::Resized | Kind::Synced | Kind::Failed => 0..0,
        }
    }
}

fn choose(records: usize, lost: Lost, entropy: &dyn Entropy) -> Vec<bool> {
    match lost {
        Lost::All => vec![true; records],
        Lost::Tail => {
            let bound = u64::try_from(records).expect("a count") + 1;
            let kept = usize::try_from(entropy.u64() % bound).expect("a count");
            (0..records).map(|index| index >= kept).collect()
        }
        Lost::Any => (0..records).map(|_| entropy.u64() % 2 == 0).collect(),
    }
}

/// Takes back the writes that are `gone`, the newest first, so that each place holds something that once stood there.
fn take_back(path: &Path, history: &History, gone: &[bool]) {
    let records = &history.unsynced;
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .expect("a file can be opened");
    let fate = || records.iter().zip(gone);
    for (record, _) in fate().rev().filter(|(_, gone)| **gone) {
        put(&file, &record.saved, record.offset);
        if record.kind == Kind::Wrote {
            // What lay behind the end of the file then was nothing; a hole reads as zeros.
            let hole = usize::try_from(record.length).expect("a length") - record.saved.len();
            let start = record.offset + u64::try_from(record.saved.len()).expect("a length");
            put(&file, &vec![0; hole], start);
        }
    }
    for (place, byte) in &history.doomed {
        put(&file, &[*byte], *place);
    }
    let Some(first) = records.first() else { return };
    let mut size = first.old_size;
    for (record, _) in fate().filter(|(_, gone)| !**gone) {
        size = match record.kind {
            Kind::Wrote => size.max(record.offset + record.length),
            Kind::Resized | Kind::Synced | Kind::Failed => record.length,
        };
    }
    file.set_len(size).expect("a file can be cut");
}

fn put(file: &File, bytes: &[u8], offset: u64) {
    file.write_all_at(bytes, offset)
        .expect("a file can be written");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn read_log(path: &Path) -> Vec<Record> {
    let bytes = fs::read(path).expect("there is an undo log");
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while let Some((record, after)) = read_record(rest) {
        records.push(record);
        rest = after;
    }
    records
}

/// `None` at the end, also where the kill cut a record short: then its write was not made.
fn read_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let word = |at: usize| {
        let bytes = head[at..at + 4].try_into();
        u32::from_ne_bytes(bytes.expect("four bytes"))
    };
    let long = |at: usize| {
        let bytes = head[at..at + 8].try_into();
        u64::from_ne_bytes(bytes.expect("eight bytes"))
    };
    assert_eq!(word(0), MAGIC, "the undo log is not one");
    let kind = match word(4) {
        1 => Kind::Wrote,
        2 => Kind::Resized,
        3 => Kind::Synced,
        4 => Kind::Failed,
        other => panic!("no kind of record: {other}"),
    };
    let (saved, rest) = rest.split_at_checked(usize::try_from(long(40)).ok()?)?;
    let record = Record {
        kind,
        inode: long(8),
        offset: long(16),
        length: long(24),
        old_size: long(32),
        saved: saved.to_vec(),
    };
    Some((record, rest))
}
