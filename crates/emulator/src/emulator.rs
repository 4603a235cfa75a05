//! The emulator as a value: what tests hold, and what the command serves.

mod directory;
mod drive;
mod mailbox;
mod scenario;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, PoisonError},
};

use axum::Router;
use tidings_domain::notification::LifecycleEvent;
use tidings_egress::EgressError;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    Authority, CallCount, Delivery, Endpoint, Fault, Limits, Loss, Options, QuotaUse, RawPost,
    SecretTrouble, Sent, Switches, TenantInfo, Throttling, Trouble, UserInfo, Violation,
    control::{self, AppInfo, ControlError, NewApp, NewTenant, SubscriptionInfo},
    directory::NewUser,
    face, notify, serve,
    world::World,
};

/// An emulated Microsoft Graph with its sign-in. Cheap to clone; all clones are the same emulator.
#[derive(Clone, Debug)]
pub struct Emulator {
    world: Arc<World>,
}

impl Emulator {
    /// An emulator that nobody can reach yet: see [`Emulator::serve`].
    ///
    /// # Errors
    ///
    /// Only if no HTTP client can be set up, such as when `options.roots` holds no certificates.
    pub fn new(options: Options) -> Result<Self, EgressError> {
        Ok(Self {
            world: Arc::new(World::new(options)?),
        })
    }

    /// Sign-in, Graph and control API, for a server of one's own. Faults that close connections need
    /// [`Emulator::serve`]; here they answer 503.
    pub fn router(&self) -> Router {
        face::router(Arc::clone(&self.world))
    }

    /// Serves on `listener`, over TLS if there is an authority, until `shutdown` ends. Then no more connections are
    /// taken; [`Emulator::stop`] closes those that are open.
    pub async fn serve(
        &self,
        listener: TcpListener,
        tls: Option<&Authority>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        serve::serve(&self.world, self.router(), listener, tls, shutdown).await
    }

    /// Closes all connections, gives up all POSTs, and waits until both are done.
    pub async fn stop(&self) {
        // A scenario holds this emulator, and must not be held by it for ever.
        *self
            .world
            .run
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        self.world.stop.cancel();
        self.world.tasks.close();
        self.world.tasks.wait().await;
    }

    /// Every tenant with an app and its users, oldest first. The first two are always there.
    pub fn directory(&self) -> Vec<TenantInfo> {
        self.world.directory.info()
    }

    /// Adds a tenant; the seeded app is consented in it unless told otherwise.
    pub fn add_tenant(&self, tenant: NewTenant) -> Result<TenantInfo, ControlError> {
        control::directory::add_tenant(&self.world, tenant)
    }

    /// Adds a user to a tenant. No notification is sent: this is a state to begin with.
    pub fn add_user(&self, tenant: Uuid, user: NewUser) -> Result<UserInfo, ControlError> {
        control::directory::add_user(&self.world, tenant, user)
    }

    /// Adds an app, or consents to it elsewhere, or gives it another secret or other roles.
    pub fn put_app(&self, app: NewApp) -> Result<AppInfo, ControlError> {
        control::directory::put_app(&self.world, app)
    }

    /// Takes an app's consent in a tenant back; whether there was one.
    pub fn revoke_consent(&self, tenant: Uuid, app: Uuid) -> Result<bool, ControlError> {
        control::directory::revoke(&self.world, tenant, app)
    }

    /// Breaks an app's access to a tenant, as its administrator can, until it is healed.
    pub fn break_access(
        &self,
        tenant: Uuid,
        app: Uuid,
        trouble: Trouble,
    ) -> Result<(), ControlError> {
        control::trouble::break_access(&self.world, tenant, app, trouble)
    }

    /// Heals an app's access to a tenant; whether it was broken.
    pub fn heal_access(&self, tenant: Uuid, app: Uuid) -> bool {
        control::trouble::heal_access(&self.world, tenant, app)
    }

    /// Breaks an app's secret for all tenants, until it is healed.
    pub fn break_secret(&self, app: Uuid, trouble: SecretTrouble) -> Result<(), ControlError> {
        control::trouble::break_secret(&self.world, app, trouble)
    }

    /// Heals an app's secret; whether it was broken.
    pub fn heal_secret(&self, app: Uuid) -> bool {
        self.world.troubles.heal_secret(app)
    }

    /// Every living subscription.
    pub fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        control::subscriptions::all(&self.world)
    }

    /// Sends a lifecycle notification; `subscriptionRemoved` also removes the subscription.
    pub fn send_lifecycle(
        &self,
        subscription: Uuid,
        event: LifecycleEvent,
    ) -> Result<(), ControlError> {
        control::subscriptions::lifecycle(&self.world, subscription, event)
    }

    /// Sends several lifecycle notifications at once: those to one URL share a POST.
    pub fn send_lifecycles(&self, all: &[(Uuid, LifecycleEvent)]) -> Result<(), ControlError> {
        control::subscriptions::lifecycles(&self.world, all)
    }

    /// Removes a subscription without telling anybody; whether it was there.
    pub fn remove_subscription(&self, subscription: Uuid) -> bool {
        control::subscriptions::remove_silently(&self.world, subscription)
    }

    /// Sends a hand-made POST, with the retries of any other.
    pub fn send_raw(&self, post: RawPost) {
        notify::raw(&self.world, post);
    }

    /// Sets a fault beside those that are set.
    pub fn add_fault(&self, fault: Fault) {
        self.world.faults.add(fault);
    }

    /// The faults that are set, with what they have left.
    pub fn faults(&self) -> Vec<Fault> {
        self.world.faults.all()
    }

    /// Ends all faults and sends what they held back.
    pub fn clear_faults(&self) {
        self.world.faults.clear();
        notify::flush(&self.world);
    }

    /// The switches as they are.
    pub fn switches(&self) -> Switches {
        Switches::clone(&self.world.switches())
    }

    /// Sets the switches.
    pub fn set_switches(&self, switches: Switches) {
        self.world.set_switches(switches);
    }

    /// Sets the rules of delivery.
    pub fn set_delivery(&self, delivery: Delivery) {
        self.world.set_delivery(delivery);
    }

    /// Sets how many subscriptions there may be.
    pub fn set_limits(&self, limits: Limits) {
        self.world.book.set_limits(limits);
    }

    /// Sets how many calls may come, and whether that is enforced.
    pub fn set_throttling(&self, throttling: Throttling) {
        self.world.throttle.set_rules(throttling);
    }

    /// The most that was used of each limit on calls, enforced or not.
    pub fn quota_uses(&self) -> Vec<QuotaUse> {
        self.world.throttle.uses()
    }

    /// How often which call came.
    pub fn calls(&self) -> Vec<CallCount> {
        self.world.ledger.calls()
    }

    /// The newest 10,000 POSTs, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.world.ledger.all_sent()
    }

    /// Rules that clients broke.
    pub fn violations(&self) -> Vec<Violation> {
        self.world.ledger.violations()
    }

    /// How many items were never delivered, and why.
    pub fn losses(&self) -> BTreeMap<Loss, u64> {
        self.world.ledger.losses()
    }

    /// The state of every host that something was sent to.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        notify::endpoints(&self.world)
    }

    /// How many POSTs wait or are under way.
    pub fn pending(&self) -> usize {
        notify::pending(&self.world)
    }

    /// Waits until nothing more is sent unless time goes on: no POST is under way, and whatever waits for a time waits for one that
    /// is still to come. An endpoint that never answers keeps this waiting until its time limit has passed.
    pub async fn quiet(&self) {
        notify::quiet(&self.world).await;
    }

    /// Waits until `count` POSTs, retries included, have ended since the emulator was made.
    pub async fn attempted(&self, count: u64) {
        let mut attempts = self.world.ledger.attempts();
        // The sender lives as long as this emulator.
        let _ = attempts.wait_for(|ended| *ended >= count).await;
    }
}
