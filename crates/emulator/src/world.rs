//! Everything one emulator knows. Handlers and senders share it.

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tidings_domain::{Clock, Entropy, clock::ManualClock, entropy::SeededEntropy};
use tidings_egress::{AddressPolicy, Egress, EgressError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Options, Switches,
    delta::Moment,
    directory::Directory,
    fault::Faults,
    ids,
    ledger::Ledger,
    notify::Notifier,
    options::Delivery,
    scenario::Run,
    shuffle::Shuffle,
    signin::{Troubles, jwt::Signer},
    subscription::book::Book,
    throttle::Throttle,
    truth::Truth,
};

/// Everything one emulator knows.
#[derive(Debug)]
pub(crate) struct World {
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// The clock again, if the control API may move it.
    pub(crate) manual_clock: Option<ManualClock>,
    /// Randomness that need not repeat.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The way to notification URLs.
    pub(crate) egress: Egress,
    /// Whether notification URLs must be `https`.
    pub(crate) require_https: bool,
    /// Tenants, apps, users and their mailboxes.
    pub(crate) directory: Directory,
    /// Makes and reads access tokens.
    pub(crate) signer: Signer,
    /// What administrators broke.
    pub(crate) troubles: Troubles,
    /// Every subscription.
    pub(crate) book: Book,
    /// Sends notifications.
    pub(crate) notifier: Notifier,
    /// What goes wrong on purpose.
    pub(crate) faults: Faults,
    /// Counts calls, and refuses those beyond a limit.
    pub(crate) throttle: Throttle,
    /// Orders that nobody may rely on.
    pub(crate) shuffle: Shuffle,
    /// What has happened.
    pub(crate) ledger: Ledger,
    /// What is true.
    pub(crate) truth: Truth,
    /// The scenario that the control API drives.
    pub(crate) run: Mutex<Option<Run>>,
    /// Everything that runs beside the answers.
    pub(crate) tasks: TaskTracker,
    /// Ends it.
    pub(crate) stop: CancellationToken,
    switches: RwLock<Arc<Switches>>,
    delivery: RwLock<Delivery>,
}

impl World {
    /// A world as `options` describe it.
    pub(crate) fn new(options: Options) -> Result<Self, EgressError> {
        let seeded = SeededEntropy::new(options.seed);
        // Notification URLs on this machine are what most tests have; the public ones need no leave.
        let loopback = ["127.0.0.0/8", "::1/128"]
            .map(|net| net.parse().expect("invariant: these are networks"));
        let egress = Egress::with_roots(
            AddressPolicy::new(loopback.to_vec()),
            Arc::clone(&options.clock),
            &options.roots,
        )?;
        Ok(Self {
            directory: Directory::seeded(&seeded),
            signer: Signer::new(&*options.entropy),
            troubles: Troubles::default(),
            book: Book::default(),
            notifier: Notifier::default(),
            faults: Faults::new(options.seed),
            throttle: Throttle::new(options.throttling),
            shuffle: Shuffle::new(options.seed),
            ledger: Ledger::default(),
            truth: Truth::default(),
            run: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            switches: RwLock::new(Arc::new(options.switches)),
            delivery: RwLock::new(options.delivery),
            clock: options.clock,
            manual_clock: options.manual_clock,
            entropy: options.entropy,
            egress,
            require_https: options.require_https,
        })
    }

    /// A random GUID.
    pub(crate) fn guid(&self) -> Uuid {
        ids::guid(&*self.entropy)
    }

    /// Now, for changes.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            at: self.clock.now(),
            lag: Duration::from_secs(self.switches().delta_lag_seconds),
        }
    }

    /// The switches as they are now.
    pub(crate) fn switches(&self) -> Arc<Switches> {
        let switches = self.switches.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&switches)
    }

    /// Sets the switches.
    pub(crate) fn set_switches(&self, switches: Switches) {
        *self
            .switches
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(switches);
    }

    /// The rules of delivery as they are now.
    pub(crate) fn delivery(&self) -> Delivery {
        *self.delivery.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the rules of delivery.
    pub(crate) fn set_delivery(&self, delivery: Delivery) {
        *self
            .delivery
            .write()
            .unwrap_or_else(PoisonError::into_inner) = delivery;
    }
}
