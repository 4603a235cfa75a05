use std::sync::Arc;

use rusqlite::{Connection, Result};
use tidings_domain::{Timestamp, entropy::SeededEntropy};

use super::{
    Recent, claim,
    runs::{FAN, FIRST},
};
use crate::{
    record::DedupKey,
    seal::{Seal, SealingKey},
    sqlite::writer::{Tx, transaction},
};

const RUN: u32 = 65_536;
const NOW: Timestamp = Timestamp::from_millis(1);
const LATER: Timestamp = Timestamp::from_millis(2);

struct Case {
    sql: Connection,
    seal: Seal,
    recent: Recent,
}

impl Case {
    fn new() -> Self {
        let entropy = SeededEntropy::new(1);
        let sql = Connection::open_in_memory().unwrap();
        sql.execute_batch(include_str!("../../../migrations/sqlite/0001_first.sql"))
            .unwrap();
        Self {
            recent: Recent::load(&sql).unwrap(),
            sql,
            seal: Seal::new(&SealingKey::random(&entropy), Arc::new(entropy)),
        }
    }

    fn within<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        transaction(&self.sql, &self.seal, &self.recent, work).map(|(value, _)| value)
    }

    fn claim(&self, number: u32) -> bool {
        self.within(|tx| claim_and_write(tx, number)).unwrap()
    }

    /// Claims the keys of one run or more.
    fn claim_all(&self, numbers: std::ops::Range<u32>) {
        assert_eq!(usize::try_from(RUN), Ok(FIRST));
        self.within(|tx| {
            numbers.into_iter().try_for_each(|number| {
                claim_and_write(tx, number).map(|claimed| assert!(claimed, "{number}"))
            })
        })
        .unwrap();
    }

    fn step(&self) {
        self.recent.work(&self.sql, &self.seal, NOW).unwrap();
    }

    fn work(&self) {
        while self.recent.has_work() {
            self.step();
        }
    }

    fn walk(&self, before: Timestamp) {
        self.recent
            .begin_walk(&self.sql, &self.seal, before)
            .unwrap();
        while !self.recent.walk(&self.sql).unwrap() {}
    }

    /// Another process takes over.
    fn restart(&mut self) {
        self.recent = Recent::load(&self.sql).unwrap();
    }

    fn count(&self, query: &str) -> i64 {
        self.sql.query_row(query, [], |row| row.get(0)).unwrap()
    }

    fn keys_in_runs(&self) -> i64 {
        self.count("SELECT coalesce(sum(length(keys)), 0) / 16 FROM dedup")
    }
}

fn claim_and_write(tx: &Tx<'_>, number: u32) -> Result<bool> {
    let claimed = claim(tx, Some(key(number)))?;
    if claimed {
        tx.sql
            .prepare_cached(
                "INSERT INTO notifications (id, environment_id, integration_id, origin, received_at, verdict, resource,
                     dedup_key, checksum, item)
                 VALUES (randomblob(16), x'', x'', 'notification', 0, 'accepted', '', ?, 0, x'')",
            )?
            .execute([key(number).0])?;
    }
    Ok(claimed)
}

/// Keys that are not in the order of their numbers, as hashes are not.
fn key(number: u32) -> DedupKey {
    let mixed = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    DedupKey((mixed ^ (mixed >> 67)).to_be_bytes())
}

#[test]
fn a_key_is_claimed_once_however_far_it_has_moved() {
    let mut case = Case::new();
    case.claim_all(0..RUN);
    let mut steps = 0;
    while case.recent.has_work() {
        // At every step the keys are known, and new ones are taken.
        assert!(!case.claim(0) && !case.claim(RUN / 2) && !case.claim(RUN - 1));
        assert!(case.claim(RUN + steps));
        case.step();
        steps += 1;
    }
    assert!(steps > 2);
    // One was claimed before the first step.
    assert_eq!(case.keys_in_runs(), i64::from(RUN) + 1);
    assert!((0..RUN + steps).all(|number| !case.claim(number)));
    case.restart();
    assert!((0..RUN + steps).all(|number| !case.claim(number)));
    assert!(case.claim(RUN + steps));
}

#[test]
fn work_that_was_cut_short_is_done_anew_and_leaves_nothing_behind() {
    let mut case = Case::new();
    case.claim_all(0..RUN);
    case.step();
    case.restart();
    case.work();
    assert_eq!(case.keys_in_runs(), i64::from(RUN));
    assert_eq!(case.count("SELECT count(*) FROM dedup_runs"), 1);
    assert!(!case.claim(3));
}

#[test]
fn runs_are_merged_so_that_there_are_few_and_none_of_their_keys_is_lost() {
    let mut case = Case::new();
    let runs = u32::try_from(FAN).unwrap() + 1;
    for run in 0..runs {
        case.claim_all(run * RUN..(run + 1) * RUN);
        while case.count("SELECT count(*) FROM dedup_runs WHERE level = 0") <= i64::from(run) {
            case.step();
        }
    }
    // In the middle of the merge, and when another process begins it anew.
    (0..9).for_each(|_| case.step());
    assert!(
        (0..runs * RUN)
            .step_by(97)
            .all(|number| !case.claim(number))
    );
    case.restart();
    case.work();
    assert_eq!(case.count("SELECT count(*) FROM dedup_runs"), 2);
    assert_eq!(case.count("SELECT max(level) FROM dedup_runs"), 1);
    assert_eq!(case.keys_in_runs(), i64::from(runs * RUN));
    assert!(
        (0..runs * RUN)
            .step_by(97)
            .all(|number| !case.claim(number))
    );
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

#[test]
fn a_key_kept_for_an_older_notification_outlives_the_process() {
    let mut case = Case::new();
    case.within(|tx| {
        assert!(claim(tx, Some(key(1)))?);
        super::keep(tx, key(1))
    })
    .unwrap();
    case.restart();
    assert!(!case.claim(1));
    case.claim_all(2..RUN + 1);
    case.work();
    assert_eq!(case.count("SELECT count(*) FROM dedup_late"), 0);
    case.restart();
    assert!(!case.claim(1));
}

#[test]
fn the_filter_of_a_walk_knows_what_was_there_and_what_came_meanwhile() {
    let mut case = Case::new();
    case.claim_all(0..RUN);
    case.work();
    case.restart();
    case.recent.begin_walk(&case.sql, &case.seal, NOW).unwrap();
    assert!(
        !case.recent.walk(&case.sql).unwrap(),
        "there is more than one step"
    );
    case.claim_all(RUN..2 * RUN);
    case.work();
    while !case.recent.walk(&case.sql).unwrap() {}
    assert!((0..2 * RUN).all(|number| !case.claim(number)));
    assert!((2 * RUN..2 * RUN + 1_000).all(|number| case.claim(number)));
}

#[test]
fn runs_whose_keys_are_all_old_are_removed_and_what_they_held_can_be_claimed_again() {
    let case = Case::new();
    case.claim_all(0..RUN);
    case.work();
    case.walk(NOW);
    assert!(!case.claim(0));
    case.walk(LATER);
    case.work();
    assert_eq!(case.keys_in_runs(), 0);
    assert_eq!(case.count("SELECT count(*) FROM dedup_runs"), 0);
    assert!(case.claim(0));
}
