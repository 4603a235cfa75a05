//! The keys that tell every change from every other.
//!
//! Keys are hashes, so in a sorted table each new one lies somewhere else: every batch would rewrite as many pages as it
//! has keys, and those pages, not the notifications, would fill the log. So keys are appended first, to `dedup_recent`,
//! and held in memory to be looked up. When there are many they are moved, in the order of their bytes and slice by
//! slice, to `dedup`, where one page takes many of them at once.

use std::{cell::RefCell, collections::HashSet};

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::Timestamp;

use super::{row::Time, writer::Tx};
use crate::record::DedupKey;

/// This many recent keys are moved: about 4 MiB of memory.
const MOVE_AT: usize = 65_536;

/// How many keys one slice of a move takes.
const SLICE: usize = 2_048;

/// How many sorted keys one step of the walk looks at.
const WALK: i64 = 2_000;

/// Claims a key; `false` if it is taken. What has none is a change of its own.
pub(super) fn claim(tx: &Tx<'_>, key: Option<DedupKey>) -> Result<bool> {
    let Some(key) = key else {
        return Ok(true);
    };
    if tx.recent.contains(key) || is_sorted_in(tx.sql, key)? {
        return Ok(false);
    }
    tx.sql
        .prepare_cached("INSERT INTO dedup_recent (key, at) VALUES (?, ?)")?
        .execute((key.0.as_slice(), Time(tx.now)))?;
    tx.recent.add(key);
    Ok(true)
}

fn is_sorted_in(sql: &Connection, key: DedupKey) -> Result<bool> {
    sql.prepare_cached("SELECT 1 FROM dedup WHERE key = ?")?
        .query_row([key.0.as_slice()], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

/// The keys in `dedup_recent`, in memory. Belongs to the writer's thread, and follows its transactions.
#[derive(Debug, Default)]
pub(super) struct Recent(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    keys: HashSet<DedupKey>,
    /// Those of the transaction under way, in their order.
    added: Vec<DedupKey>,
    moving: Option<Move>,
}

/// A move under way.
#[derive(Debug)]
struct Move {
    /// What is moved, in the order of its bytes.
    keys: Vec<DedupKey>,
    /// How many of them are in `dedup`.
    moved: usize,
    /// The last row of `dedup_recent` that is moved.
    through: i64,
}

/// One slice of a move, to be done in a transaction of its own.
#[derive(Debug)]
pub(super) enum Step {
    Insert(Vec<DedupKey>),
    Remove { through: i64 },
}

impl Recent {
    /// Reads what is in the table.
    pub(super) fn load(sql: &Connection) -> Result<Self> {
        let mut statement = sql.prepare("SELECT key FROM dedup_recent")?;
        let keys = statement
            .query_map([], |row| row.get(0).map(DedupKey))?
            .collect::<Result<HashSet<DedupKey>>>()?;
        Ok(Self(RefCell::new(State {
            keys,
            ..State::default()
        })))
    }

    fn contains(&self, key: DedupKey) -> bool {
        self.0.borrow().keys.contains(&key)
    }

    fn add(&self, key: DedupKey) {
        let mut state = self.0.borrow_mut();
        state.keys.insert(key);
        state.added.push(key);
    }

    /// The place in the transaction under way to which [`Recent::undo`] can go back.
    pub(super) fn mark(&self) -> usize {
        self.0.borrow().added.len()
    }

    /// Forgets what was added behind `mark`: it was rolled back.
    pub(super) fn undo(&self, mark: usize) {
        let State { keys, added, .. } = &mut *self.0.borrow_mut();
        for key in added.drain(mark..) {
            keys.remove(&key);
        }
    }

    /// What the transaction under way has added is on disk.
    pub(super) fn committed(&self) {
        self.0.borrow_mut().added.clear();
    }

    /// Whether there is something to move.
    pub(super) fn is_moving(&self) -> bool {
        let state = self.0.borrow();
        state.moving.is_some() || state.keys.len() >= MOVE_AT
    }

    /// The next slice of a move. Between two transactions only: what is in memory is then what is in the table.
    pub(super) fn next_step(&self, sql: &Connection) -> Result<Option<Step>> {
        let State { keys, moving, .. } = &mut *self.0.borrow_mut();
        if moving.is_none() && keys.len() >= MOVE_AT {
            let through =
                sql.query_row("SELECT max(seq) FROM dedup_recent", [], |row| row.get(0))?;
            let mut keys: Vec<DedupKey> = keys.iter().copied().collect();
            keys.sort_unstable();
            *moving = Some(Move {
                keys,
                moved: 0,
                through,
            });
        }
        Ok(moving.as_ref().map(|moving| {
            let rest = &moving.keys[moving.moved..];
            if rest.is_empty() {
                Step::Remove {
                    through: moving.through,
                }
            } else {
                Step::Insert(rest[..rest.len().min(SLICE)].to_vec())
            }
        }))
    }

    /// A slice is on disk; `removed` rows of `dedup_recent` are gone.
    pub(super) fn stepped(&self, step: &Step, removed: usize) {
        let State { keys, moving, .. } = &mut *self.0.borrow_mut();
        match (step, moving.as_mut()) {
            (Step::Insert(slice), Some(moving)) => moving.moved += slice.len(),
            (Step::Remove { .. }, Some(done)) if removed < SLICE => {
                for key in &done.keys {
                    keys.remove(key);
                }
                *moving = None;
            }
            _ => {}
        }
    }
}

impl Step {
    /// Does it; how many rows of `dedup_recent` it has removed.
    pub(super) fn run(&self, tx: &Tx<'_>) -> Result<usize> {
        match self {
            Self::Insert(keys) => {
                let mut statement = tx.sql.prepare_cached(
                    "INSERT INTO dedup (key, at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                )?;
                for key in keys {
                    // The time of the move, a little after that of the claim: keys are kept for longer, never shorter.
                    statement.execute((key.0.as_slice(), Time(tx.now)))?;
                }
                Ok(0)
            }
            Self::Remove { through } => {
                let slice = i64::try_from(SLICE).unwrap_or(i64::MAX);
                tx.sql
                    .prepare_cached(
                        "DELETE FROM dedup_recent WHERE seq IN
                             (SELECT seq FROM dedup_recent WHERE seq <= ? ORDER BY seq LIMIT ?)",
                    )?
                    .execute((through, slice))
            }
        }
    }
}

/// What one step of the walk through the sorted keys has found.
pub(super) struct OldKeys {
    /// Keys that are older than wanted.
    pub(super) old: Vec<Vec<u8>>,
    /// Where the next step begins; `None` at the end.
    pub(super) next: Option<Vec<u8>>,
}

/// Looks at some sorted keys behind `from`. The order of their bytes says nothing of their age, so all of them are
/// walked through, from time to time.
pub(super) fn old_keys(sql: &Connection, from: &[u8], before: Timestamp) -> Result<OldKeys> {
    let mut found = OldKeys {
        old: Vec::new(),
        next: None,
    };
    let mut statement =
        sql.prepare_cached("SELECT key, at FROM dedup WHERE key > ? ORDER BY key LIMIT ?")?;
    let mut rows = statement.query((from, WALK))?;
    let mut seen = 0;
    let mut last = Vec::new();
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        seen += 1;
        if row.get::<_, i64>(1)? < before.as_millis() {
            found.old.push(last.clone());
        }
    }
    if seen == WALK {
        found.next = Some(last);
    }
    Ok(found)
}

/// Removes sorted keys.
pub(super) fn forget(tx: &Tx<'_>, keys: &[Vec<u8>]) -> Result<()> {
    let mut statement = tx.sql.prepare_cached("DELETE FROM dedup WHERE key = ?")?;
    for key in keys {
        statement.execute([key])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidings_domain::entropy::SeededEntropy;

    use super::*;
    use crate::{
        seal::{Seal, SealingKey},
        sqlite::writer::transaction,
    };

    struct Case {
        sql: Connection,
        seal: Seal,
        recent: Recent,
    }

    impl Case {
        fn new() -> Self {
            let entropy = SeededEntropy::new(1);
            let sql = Connection::open_in_memory().unwrap();
            sql.execute_batch(include_str!("../../migrations/sqlite/0001_first.sql"))
                .unwrap();
            Self {
                recent: Recent::load(&sql).unwrap(),
                sql,
                seal: Seal::new(&SealingKey::random(&entropy), Arc::new(entropy)),
            }
        }

        fn claim(&self, number: u32) -> bool {
            self.within(|tx| claim(tx, Some(key(number)))).unwrap()
        }

        fn within<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
            let now = Timestamp::from_millis(1);
            transaction(&self.sql, &self.seal, &self.recent, now, work).map(|(value, _)| value)
        }

        fn rows(&self, table: &str) -> usize {
            self.sql
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get::<_, i64>(0)
                })
                .map(|count| usize::try_from(count).unwrap())
                .unwrap()
        }
    }

    /// Keys that are not in the order of their numbers, as hashes are not.
    fn key(number: u32) -> DedupKey {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&number.reverse_bits().to_be_bytes());
        DedupKey(bytes)
    }

    #[test]
    fn a_key_is_claimed_once_however_far_it_has_moved() {
        let case = Case::new();
        let all = u32::try_from(MOVE_AT).unwrap();
        case.within(|tx| {
            (0..all)
                .try_for_each(|number| claim(tx, Some(key(number))).map(|claimed| assert!(claimed)))
        })
        .unwrap();
        let mut steps = 0;
        while let Some(step) = case.recent.next_step(&case.sql).unwrap() {
            // At every step of the move the keys are known, and new ones are taken.
            assert!(!case.claim(0) && !case.claim(all / 2) && !case.claim(all - 1));
            assert!(case.claim(all + steps));
            let removed = case.within(|tx| step.run(tx)).unwrap();
            case.recent.stepped(&step, removed);
            steps += 1;
        }
        assert!(steps > 2);
        assert_eq!(case.rows("dedup"), MOVE_AT);
        assert_eq!(case.rows("dedup_recent"), usize::try_from(steps).unwrap());
        assert!((0..all + steps).all(|number| !case.claim(number)));
        // Another process finds the same.
        let again = Recent::load(&case.sql).unwrap();
        assert_eq!(again.0.borrow().keys.len(), usize::try_from(steps).unwrap());
    }

    #[test]
    fn a_move_that_was_cut_short_is_begun_anew() {
        let mut case = Case::new();
        let all = u32::try_from(MOVE_AT).unwrap();
        case.within(|tx| (0..all).try_for_each(|number| claim(tx, Some(key(number))).map(|_| ())))
            .unwrap();
        let step = case.recent.next_step(&case.sql).unwrap().unwrap();
        case.within(|tx| step.run(tx)).unwrap();
        case.recent = Recent::load(&case.sql).unwrap();
        while let Some(step) = case.recent.next_step(&case.sql).unwrap() {
            let removed = case.within(|tx| step.run(tx)).unwrap();
            case.recent.stepped(&step, removed);
        }
        assert_eq!(
            (case.rows("dedup"), case.rows("dedup_recent")),
            (MOVE_AT, 0)
        );
        assert!(!case.claim(3));
    }

    #[test]
    fn what_is_rolled_back_can_be_claimed_again() {
        let case = Case::new();
        let failed = case.within(|tx| {
            assert!(claim(tx, Some(key(1)))?);
            assert!(!claim(tx, Some(key(1)))?);
            Err::<(), _>(rusqlite::Error::QueryReturnedNoRows)
        });
        assert!(failed.is_err());
        assert!(case.claim(1));
        assert!(!case.claim(1));
    }
}
