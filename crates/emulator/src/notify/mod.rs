//! From a change to POSTs: which subscriptions it raises, what their items say, when and how they are sent.
//!
//! | module | holds |
//! | --- | --- |
//! | `air` | what is under way, and what waits for its time |
//! | `changed` | what changed: whom it concerns, how it is named |
//! | `challenge` | `reauthorizationRequired` before the end |
//! | `lifecycle` | what happened to a subscription itself |
//! | `pause` | what becomes of items while a subscription is not authorized |
//! | `item` | the JSON of one item |
//! | `remember` | what is true, whether or not anybody is told |
//! | `route` | what faults make of items on their way: dropped, doubled, late, shuffled, merged |
//! | `send` | one POST with its retries |
//! | `host` | the slow and drop states of an endpoint |

mod air;
pub(crate) mod challenge;
mod changed;
mod host;
mod item;
mod lifecycle;
pub(crate) mod pause;
mod remember;
mod route;
mod send;

use std::sync::Arc;

use serde::Deserialize;
use tidings_domain::resource::ChangeType;
use url::Url;
use uuid::Uuid;

use crate::{directory::User, mailbox::item::Item, subscription::Subscription, world::World};
use air::{Air, Flight};
use challenge::Watched;
pub(crate) use changed::Changed;
use host::Hosts;
use pause::Held;
use route::Buffers;

pub(crate) use air::quiet;
pub use host::Endpoint;
use lifecycle::tell_missed;
pub(crate) use lifecycle::{lifecycle, lifecycles};

/// What sending needs to remember.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    hosts: Hosts,
    buffers: Buffers,
    held: Held,
    watched: Watched,
    air: Air,
}

/// One item on its way to one URL.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// Where to.
    url: Url,
    /// The subscription.
    subscription: Uuid,
    /// Where a `missed` for it would go: only Outlook has that.
    missed: Option<Url>,
    /// Its JSON.
    json: String,
}

/// Raises the subscriptions that watch what changed.
pub(crate) fn changed(world: &Arc<World>, tenant: Uuid, what: Changed<'_>, change: ChangeType) {
    remember::remember(world, tenant, what, change);
    raise(world, tenant, what, change, |_| true);
}

/// Says that a message lies in another folder: deleted here, created there, with another id. Who sees ids that stay and
/// watches the whole mailbox hears of one message that is `updated`, which no page of Microsoft's says or denies.
pub(crate) fn moved(world: &Arc<World>, tenant: Uuid, user: &User, old: &Item, new: &Item) {
    let (old, new) = (Changed::Message(user, old), Changed::Message(user, new));
    let stays =
        |subscription: &Subscription| subscription.immutable && subscription.folder.is_none();
    for (what, change) in [(old, ChangeType::Deleted), (new, ChangeType::Created)] {
        remember::remember(world, tenant, what, change);
        raise(world, tenant, what, change, |one| !stays(one));
    }
    raise(world, tenant, new, ChangeType::Updated, stays);
}

fn raise(
    world: &Arc<World>,
    tenant: Uuid,
    what: Changed<'_>,
    change: ChangeType,
    wanted: impl Fn(&Subscription) -> bool,
) {
    let now = world.clock.now();
    let folder = what.folder();
    let raised = world.book.watching(&what.watches(), now);
    let items = raised
        .iter()
        .filter(|subscription| subscription.change_types.contains(change) && wanted(subscription))
        .filter(|subscription| subscription.folder.is_none() || subscription.folder == folder)
        // There is no encrypted content in the emulator, and a rich notification without it would be a lie.
        .filter(|subscription| !subscription.rich)
        .map(|subscription| {
            let item = Outgoing {
                json: item::change(world, subscription, tenant, what, change),
                ..Outgoing::to(subscription)
            };
            (item, pause::is_paused(world, subscription, now))
        });
    let mut sent = Vec::new();
    for (item, paused) in items {
        if paused {
            pause::keep(world, item, now);
        } else {
            sent.push(item);
        }
    }
    route::take(world, sent);
}

/// A hand-made POST: sent as it is, with the retries of any other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPost {
    /// Where to.
    pub url: Url,
    /// The body.
    pub body: Box<serde_json::value::RawValue>,
}

/// Sends a hand-made POST.
pub(crate) fn raw(world: &Arc<World>, post: RawPost) {
    send::start_raw(world, post.url, post.body.get().to_owned());
}

/// How many notifications are held for a subscription that is not authorized.
pub(crate) fn held(world: &World, subscription: Uuid) -> usize {
    world.notifier.held.count(subscription)
}

/// How many POSTs wait or are under way, items in buffers included.
pub(crate) fn pending(world: &World) -> usize {
    world.notifier.air.posts() + world.notifier.buffers.len()
}

/// The state of every host that something was sent to.
pub(crate) fn endpoints(world: &World) -> Vec<Endpoint> {
    world.notifier.hosts.all(world.clock.monotonic())
}

/// Something that waits for its time, and then changes something.
pub(crate) fn timer(world: &Arc<World>) -> Flight {
    Flight::timer(world)
}

/// Sends what buffers hold back now.
pub(crate) fn flush(world: &Arc<World>) {
    route::flush(world);
}

impl Outgoing {
    fn to(subscription: &Subscription) -> Self {
        let missed = subscription
            .lifecycle_url
            .as_ref()
            .filter(|_| subscription.is_outlook())
            .map(|address| address.url.clone());
        Self {
            url: subscription.notification_url.url.clone(),
            subscription: subscription.id,
            missed,
            json: String::new(),
        }
    }
}
