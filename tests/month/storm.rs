//! What goes wrong in a month, decided by a seed.

use std::time::Duration;

use testkit::receiver::Answer;
use tidings_domain::{Clock as _, Timestamp, notification::LifecycleEvent};
use tidings_emulator::{
    Fault, SecretTrouble, Trouble,
    fault::{Hits, Outage, RetryAfter, Target},
};
use uuid::Uuid;

use crate::world::{Draw, World};

/// How long after what went wrong its consequences may still show: calls that failed are repeated after an hour at most, and
/// with some luck once more.
const AFTERMATH: Duration = Duration::from_mins(150);

/// How long it takes at most to notice that Graph has forgotten a subscription and said nothing, or said it while nobody
/// listened: the renewal finds out, at half of a life of 29 days. Until then comparing finds what changes.
const UNNOTICED: Duration = Duration::from_hours(24 * 16);

/// Something that goes wrong for a while.
#[derive(Clone, Debug)]
struct Spell {
    from: Timestamp,
    to: Timestamp,
    what: What,
}

/// What goes wrong.
#[derive(Clone, Debug)]
enum What {
    /// Graph, or sign-in, or both answer badly.
    Graph(Fault),
    /// We do not run.
    Away,
    /// Nothing is notified, and Graph says so.
    Drop,
    /// A tenant's administrator took access away.
    Access(usize, Trouble),
    /// The app's secret is wrong.
    Secret(SecretTrouble),
    /// A receiver answers 503.
    Receiver,
    /// Graph says something of some subscriptions.
    Lifecycle(LifecycleEvent),
    /// Graph forgets a subscription and tells nobody.
    Forgotten,
    /// Graph forgets what its delta queries have given out.
    Evicted,
    /// We are killed and come back at once.
    Killed,
}

impl What {
    fn aftermath(&self) -> Duration {
        match self {
            Self::Forgotten | Self::Lifecycle(LifecycleEvent::SubscriptionRemoved) => UNNOTICED,
            _ => AFTERMATH,
        }
    }
}

/// Everything that goes wrong in a month, in its order.
pub(crate) struct Storm {
    coming: Vec<Spell>,
    lasting: Vec<Spell>,
    past: Vec<Spell>,
    always: Vec<Fault>,
}

impl Storm {
    /// What goes wrong between `from` and `to`.
    pub(crate) fn new(draw: &Draw, from: Timestamp, to: Timestamp) -> Self {
        let hits = |rate| Hits { count: None, rate };
        let mut storm = Self {
            coming: Vec::new(),
            lasting: Vec::new(),
            past: Vec::new(),
            always: vec![
                Fault::Drop {
                    hits: hits(0.01),
                    missed: false,
                },
                Fault::Duplicate { hits: hits(0.02) },
                Fault::Delay {
                    hits: hits(0.02),
                    ms: 1_000 * draw.between(30, 900),
                },
                Fault::Reorder { size: 3 },
            ],
        };
        let mut add = |count: u32, minutes: (u64, u64), what: &mut dyn FnMut() -> What| {
            for _ in 0..count {
                let begin = from + minute(draw.below(from.until(to).as_secs() / 60));
                let end = begin + minute(draw.between(minutes.0, minutes.1));
                storm.coming.push(Spell {
                    from: begin,
                    to: end,
                    what: what(),
                });
            }
        };
        add(3, (30, 300), &mut || What::Graph(outage(draw)));
        add(4, (10, 60), &mut || What::Graph(throttle(draw)));
        add(5, (5, 180), &mut || What::Away);
        add(1, (1_440, 1_560), &mut || What::Away);
        add(3, (10, 40), &mut || What::Drop);
        add(3, (60, 480), &mut || {
            let troubles = [
                Trouble::AppDisabled,
                Trouble::AppNotFound,
                Trouble::ConsentRevoked,
                Trouble::RolesRemoved,
                Trouble::ServicePrincipalMissing,
            ];
            let tenant = usize::try_from(draw.below(5)).expect("a place");
            What::Access(tenant, *draw.one(&troubles))
        });
        add(1, (60, 200), &mut || {
            What::Secret(*draw.one(&[SecretTrouble::Expired, SecretTrouble::Wrong]))
        });
        add(3, (60, 600), &mut || What::Receiver);
        for event in [
            LifecycleEvent::Missed,
            LifecycleEvent::ReauthorizationRequired,
            LifecycleEvent::SubscriptionRemoved,
        ] {
            add(3, (0, 1), &mut || What::Lifecycle(event));
        }
        add(4, (0, 1), &mut || What::Forgotten);
        add(2, (0, 1), &mut || What::Evicted);
        add(12, (0, 1), &mut || What::Killed);
        storm.coming.sort_by_key(|spell| spell.from);
        storm.coming.reverse();
        storm
    }

    /// When the next thing begins or ends to go wrong.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let begins = self.coming.last().map(|spell| spell.from);
        let ends = self.lasting.iter().map(|spell| spell.to);
        ends.chain(begins).min()
    }

    /// Lets begin and end what does so until now.
    pub(crate) fn blow(&mut self, world: &mut World) {
        // The emulator sends from its own runtime.
        let runtime = world.runtime.handle().clone();
        let _entered = runtime.enter();
        let now = world.clock.now();
        let (over, lasting) = std::mem::take(&mut self.lasting)
            .into_iter()
            .partition(|spell: &Spell| spell.to <= now);
        self.lasting = lasting;
        let over: Vec<Spell> = over;
        for spell in over {
            self.end(world, &spell);
            self.past.push(spell);
        }
        while self.coming.last().is_some_and(|spell| spell.from <= now) {
            let Some(spell) = self.coming.pop() else {
                break;
            };
            println!("{}: {:?} until {}", spell.from, spell.what, spell.to);
            begin(world, &spell);
            self.lasting.push(spell);
        }
        self.set_faults(world);
    }

    /// Ends all of it.
    pub(crate) fn calm(&mut self, world: &mut World) {
        let runtime = world.runtime.handle().clone();
        let _entered = runtime.enter();
        for spell in std::mem::take(&mut self.lasting) {
            self.end(world, &spell);
            self.past.push(spell);
        }
        self.always.clear();
        self.set_faults(world);
    }

    /// Whether something went wrong lately that leaves a subscription without service.
    pub(crate) fn explains_gap(&self, now: Timestamp) -> bool {
        let recent = |spell: &&Spell| spell.to + spell.what.aftermath() > now;
        self.lasting
            .iter()
            .chain(self.past.iter().filter(recent))
            .any(|spell| !matches!(spell.what, What::Drop | What::Receiver | What::Evicted))
    }

    fn end(&self, world: &mut World, spell: &Spell) {
        match &spell.what {
            What::Away | What::Killed => {
                let away = |other: &&Spell| matches!(other.what, What::Away | What::Killed);
                if !self.lasting.iter().any(|other| away(&other)) {
                    world.revive();
                }
            }
            What::Access(tenant, _) => {
                let tenant = world.run.tenants()[*tenant].tenant_id;
                world.emulator.heal_access(tenant, world.app_id);
            }
            What::Secret(_) => {
                world.emulator.heal_secret(world.app_id);
            }
            What::Receiver => {
                let app = world.apps.last().expect("there are apps");
                app.receiver.answer(|_| Answer::status(200));
            }
            What::Graph(_) | What::Drop | What::Lifecycle(_) | What::Forgotten | What::Evicted => {}
        }
    }

    /// Sets the faults of the moment in the place of those before.
    fn set_faults(&self, world: &World) {
        world.emulator.clear_faults();
        for spell in &self.lasting {
            match &spell.what {
                What::Graph(fault) => world.emulator.add_fault(fault.clone()),
                What::Drop => world.emulator.add_fault(Fault::Drop {
                    hits: Hits {
                        count: None,
                        rate: 1.0,
                    },
                    missed: true,
                }),
                _ => {}
            }
        }
        for fault in &self.always {
            world.emulator.add_fault(fault.clone());
        }
    }
}

fn begin(world: &mut World, spell: &Spell) {
    match &spell.what {
        What::Graph(_) | What::Drop => {}
        What::Away | What::Killed => world.kill(),
        What::Access(tenant, trouble) => {
            let tenant = world.run.tenants()[*tenant].tenant_id;
            let broken = world.emulator.break_access(tenant, world.app_id, *trouble);
            broken.expect("there are tenant and app");
        }
        What::Secret(trouble) => {
            let broken = world.emulator.break_secret(world.app_id, *trouble);
            broken.expect("there is the app");
        }
        What::Receiver => {
            let app = world.apps.last().expect("there are apps");
            app.receiver.answer(|_| Answer::status(503));
        }
        What::Lifecycle(event) => {
            let some: Vec<(Uuid, LifecycleEvent)> = world
                .emulator
                .subscriptions()
                .iter()
                .filter(|_| world.draw.percent(5))
                .map(|one| (one.id, *event))
                .collect();
            let sent = world.emulator.send_lifecycles(&some);
            sent.expect("there are these subscriptions");
        }
        What::Forgotten => {
            let all = world.emulator.subscriptions();
            world.emulator.remove_subscription(world.draw.one(&all).id);
        }
        What::Evicted => world.emulator.evict_delta(None).expect("there are links"),
    }
}

fn minute(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

fn retry_after(draw: &Draw) -> RetryAfter {
    let forms = [
        RetryAfter::Missing,
        RetryAfter::Text("7".to_owned()),
        RetryAfter::Text("12.128".to_owned()),
        RetryAfter::DateIn(40),
    ];
    draw.one(&forms).clone()
}

fn outage(draw: &Draw) -> Fault {
    Fault::Outage {
        hits: Hits {
            count: None,
            rate: 1.0,
        },
        call: None,
        target: *draw.one(&[Target::Both, Target::Graph, Target::SignIn]),
        mode: *draw.one(&[Outage::Close, Outage::Status(503), Outage::Status(500)]),
        retry_after: retry_after(draw),
    }
}

fn throttle(draw: &Draw) -> Fault {
    Fault::Throttle {
        hits: Hits {
            count: None,
            rate: 0.5,
        },
        call: None,
        target: Target::Graph,
        retry_after: retry_after(draw),
    }
}
