//! What faults make of items on their way: dropped, doubled, late, shuffled, merged.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use url::Url;

use super::{Outgoing, air::Flight, send, tell_missed};
use crate::{fault::Fault, ledger::Loss, world::World};

/// Items that wait for others.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    shuffled: Mutex<Vec<Outgoing>>,
    merged: Mutex<HashMap<Url, Batch>>,
}

/// Items that are to share a POST.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<Outgoing>,
    /// Tells a batch from an earlier one of the same URL.
    number: u64,
}

impl Buffers {
    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        let merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        let merged: usize = merged.values().map(|batch| batch.items.len()).sum();
        let shuffled = self.shuffled.lock().unwrap_or_else(PoisonError::into_inner);
        merged + shuffled.len()
    }
}

/// Sends items, each on its own way.
pub(super) fn take(world: &Arc<World>, items: Vec<Outgoing>) {
    for item in items {
        let dropped = world.faults.hit(|fault| match fault {
            Fault::Drop { missed, .. } => Some(*missed),
            _ => None,
        });
        if let Some(missed) = dropped {
            world.ledger.lost(Loss::Fault, 1);
            if missed && item.missed.is_some() {
                tell_missed(world, [item.subscription]);
            }
            continue;
        }
        let twice = world
            .faults
            .hit(|fault| matches!(fault, Fault::Duplicate { .. }).then_some(()));
        if twice.is_some() {
            delay(world, item.clone());
        }
        delay(world, item);
    }
}

fn delay(world: &Arc<World>, item: Outgoing) {
    let late = world.faults.hit(|fault| match fault {
        Fault::Delay { ms, .. } => Some(*ms),
        _ => None,
    });
    let Some(ms) = late else {
        shuffle(world, item);
        return;
    };
    let world = Arc::clone(world);
    let tasks = world.tasks.clone();
    let flight = Flight::post(&world);
    tasks.spawn(async move {
        tokio::select! {
            () = flight.sleep(Duration::from_millis(ms)) => shuffle(&world, item),
            () = world.stop.cancelled() => {}
        }
    });
}

fn shuffle(world: &Arc<World>, item: Outgoing) {
    let size = world.faults.hit(|fault| match fault {
        Fault::Reorder { size } => Some(*size),
        _ => None,
    });
    let Some(size) = size else {
        merge(world, item);
        return;
    };
    let full = {
        let buffer = &world.notifier.buffers.shuffled;
        let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.push(item);
        (buffer.len() >= size).then(|| std::mem::take(&mut *buffer))
    };
    if let Some(items) = full {
        release_shuffled(world, items);
    }
}

/// Sends items in an order that the seed decides, each after the first try of the one before.
fn release_shuffled(world: &Arc<World>, mut items: Vec<Outgoing>) {
    // Fisher–Yates; two items always change places, or the fault would now and then do nothing.
    for last in (1..items.len()).rev() {
        let other = if items.len() == 2 {
            0
        } else {
            world.faults.draw(last + 1)
        };
        items.swap(last, other);
    }
    send::start_in_order(world, items);
}

/// Sends an item, alone or with others of its URL.
pub(super) fn merge(world: &Arc<World>, item: Outgoing) {
    let wanted = world.faults.hit(|fault| match fault {
        Fault::Merge { size, within_ms } => Some((*size, *within_ms)),
        _ => None,
    });
    let Some((size, within_ms)) = wanted else {
        send::start(world, &[item]);
        return;
    };
    let url = item.url.clone();
    let (full, opened) = {
        let mut merged = world
            .notifier
            .buffers
            .merged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let batch = merged.entry(url.clone()).or_default();
        batch.items.push(item);
        let opened = (batch.items.len() == 1).then_some(batch.number);
        let full = (batch.items.len() >= size).then(|| batch.close());
        (full, opened)
    };
    if let Some(items) = full {
        send::start(world, &items);
    } else if let Some(number) = opened {
        let world = Arc::clone(world);
        let tasks = world.tasks.clone();
        let timer = Flight::timer(&world);
        tasks.spawn(async move {
            tokio::select! {
                () = timer.sleep(Duration::from_millis(within_ms)) => release(&world, &url, number),
                () = world.stop.cancelled() => {}
            }
        });
    }
}

/// Sends a batch whose time is up, unless it has gone.
fn release(world: &Arc<World>, url: &Url, number: u64) {
    let items = {
        let mut merged = world
            .notifier
            .buffers
            .merged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        merged
            .get_mut(url)
            .filter(|batch| batch.number == number)
            .map(Batch::close)
    };
    if let Some(items) = items.filter(|items| !items.is_empty()) {
        send::start(world, &items);
    }
}

/// Sends what waits for others.
pub(super) fn flush(world: &Arc<World>) {
    let shuffled = {
        let buffer = &world.notifier.buffers.shuffled;
        std::mem::take(&mut *buffer.lock().unwrap_or_else(PoisonError::into_inner))
    };
    release_shuffled(world, shuffled);
    let merged: Vec<Vec<Outgoing>> = {
        let mut merged = world
            .notifier
            .buffers
            .merged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        merged.values_mut().map(Batch::close).collect()
    };
    for items in merged.into_iter().filter(|items| !items.is_empty()) {
        send::start(world, &items);
    }
}

impl Batch {
    fn close(&mut self) -> Vec<Outgoing> {
        self.number += 1;
        std::mem::take(&mut self.items)
    }
}
