//! How a month passes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tidings_domain::{Clock as _, Timestamp};
use tidings_emulator::{Switches, switches::Challenges};

use crate::{
    judge::{self, Judgement},
    still,
    storm::Storm,
    world::{Draw, World},
};

/// One month at a time in one process: rest is that of the whole process.
static ONE: Mutex<()> = Mutex::new(());

const DAY: Duration = Duration::from_hours(24);

/// How long it is until everything has settled after everything has been compared: the longest wait between two attempts of a
/// delivery.
const SETTLES: Duration = Duration::from_hours(28);

/// How often it is looked at what Graph serves.
const LOOK: Duration = Duration::from_hours(1);

/// The seeds of a list such as `3,20-40`.
pub(crate) fn seeds(asked: &str) -> Vec<u64> {
    let number = |text: &str| {
        text.trim()
            .parse()
            .expect("TIDINGS_MONTH is a list of numbers")
    };
    asked
        .split(',')
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| match part.split_once('-') {
            Some((from, to)) => number(from)..=number(to),
            None => number(part)..=number(part),
        })
        .collect()
}

/// A month in which nothing goes wrong.
pub(crate) fn fair(seed: u64) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut world = World::begin(seed, Duration::ZERO, DAY, Switches::default());
    let end = world.clock.now() + DAY * 30;
    while let Some(at) = world.run.next_at().filter(|at| *at < end) {
        world.pass_until(at);
        world.change(at);
        still::wait();
    }
    world.pass(DAY * 2);
    let mut judgement = Judgement::default();
    judge::last_states(&world, &mut judgement);
    judge::exactly_once(&world, &mut judgement);
    judge::manners(&world, &mut judgement);
    judge::accepted(&world, &mut judgement);
    conclude(seed, &world, &judgement);
}

/// A month in which much goes wrong.
pub(crate) fn stormy(seed: u64) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    println!("the month of seed {seed}");
    let draw = Draw::new(seed ^ 0x0073_746f_726d);
    let skew = Duration::from_secs(draw.below(300));
    let interval = DAY * *draw.one(&[1, 2, 3]);
    let mut world = World::begin(seed, skew, interval, switches(&draw));
    let begin = world.clock.now();
    let end = begin + DAY * 30;
    let mut storm = Storm::new(&draw, begin, begin + DAY * 28);
    let mut judgement = Judgement::default();
    let mut gaps = Gaps::default();
    let mut look = begin + LOOK;
    storm.blow(&mut world);
    loop {
        let next = [world.run.next_at(), storm.next_at(), Some(look)];
        let Some(at) = next.into_iter().flatten().min().filter(|at| *at < end) else {
            break;
        };
        world.pass_until(at);
        world.change(at);
        // Kills, at least some, come in the middle of what the change sets off.
        if draw.percent(50) {
            still::wait();
        }
        storm.blow(&mut world);
        still::wait();
        if at >= look {
            gaps.look(&world, storm.explains_gap(at), at, &mut judgement);
            look = at + LOOK;
        }
    }
    storm.calm(&mut world);
    world.revive();
    still::wait();
    world.pass(interval + interval / 8 + SETTLES);
    judge::last_states(&world, &mut judgement);
    judge::manners(&world, &mut judgement);
    judge::accepted(&world, &mut judgement);
    judge::once(&world, &mut judgement);
    conclude(seed, &world, &judgement);
}

fn conclude(seed: u64, world: &World, judgement: &Judgement) {
    println!(
        "seed {seed}: {} subscriptions, {} changes, events {:?}, lost {:?}",
        world.wanted.len(),
        world.run.steps(),
        judgement.events,
        world.emulator.losses(),
    );
    for wrong in &judgement.wrong {
        println!("seed {seed}: {wrong}");
    }
    assert!(
        judgement.wrong.is_empty(),
        "seed {seed}: {} things are wrong; `TIDINGS_MONTH={seed}` plays it again",
        judgement.wrong.len()
    );
}

/// Which of the forms seen in the field Graph has in this month.
fn switches(draw: &Draw) -> Switches {
    Switches {
        notification_id: draw.percent(50),
        challenges: *draw.one(&[Challenges::Off, Challenges::End]),
        delta_lag_seconds: draw.below(120),
        delta_page: *draw.one(&[0, 2, 5]),
        delta_sparse: draw.percent(50),
        delta_early_removals: draw.percent(30),
        without_etag: draw.percent(20),
        group_members: draw.percent(50),
        maxima_minutes: BTreeMap::from([("channel".to_owned(), 60)]),
        ..Switches::default()
    }
}

/// What Graph did not serve when it was last looked.
#[derive(Debug, Default)]
struct Gaps {
    missing: BTreeMap<String, Timestamp>,
}

impl Gaps {
    /// Looks whether Graph serves all that is wanted. What was missing before already, with nothing to explain it, is a gap.
    fn look(&mut self, world: &World, explained: bool, now: Timestamp, judgement: &mut Judgement) {
        let served: Vec<String> = world
            .emulator
            .subscriptions()
            .into_iter()
            .map(|one| one.resource.trim_start_matches('/').to_owned())
            .collect();
        let mut missing = BTreeMap::new();
        for wanted in &world.wanted {
            let of_tenant = format!("{} of {}", wanted.resource, wanted.tenant);
            let shared = matches!(wanted.kind, "user" | "group");
            let count = served.iter().filter(|one| **one == wanted.resource).count();
            // Every tenant has its own subscription to these.
            let expected = if shared { world.run.tenants().len() } else { 1 };
            if count >= expected || explained {
                continue;
            }
            let since = self.missing.get(&of_tenant).copied().unwrap_or(now);
            if since + LOOK <= now {
                judgement
                    .wrong
                    .push(format!("{of_tenant} was not served from {since} to {now}"));
            }
            missing.insert(of_tenant, since);
        }
        self.missing = missing;
    }
}
