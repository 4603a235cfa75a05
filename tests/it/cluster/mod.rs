//! Several gateways on one PostgreSQL: what must hold when one of them, or the database, goes away. Three real processes
//! behind one address, and a real server.

mod changes;
mod database;
mod kills;
mod leaving;
mod stopped;

use std::time::Duration;

use testkit::{
    collection::Subscribed,
    load::Load,
    receiver::{Answer, Receiver},
    store::Store,
    world::World,
};

/// Attempts that may be under way on one gateway at one time. Each death of one can lead to so many deliveries that come
/// twice, and no more.
const IN_FLIGHT: usize = 16;

/// Between two posts of a connection: some hundred notifications a second, which two cores can also deliver.
const PACE: Duration = Duration::from_millis(20);

/// How long the receiver takes for a delivery, so that some are always under way.
const THOUGHT: Duration = Duration::from_millis(20);

/// Three gateways that share the work, under load.
struct Cluster {
    world: World,
    receiver: Receiver,
    secret: String,
    subscribed: Vec<Subscribed>,
}

impl Cluster {
    async fn start() -> Self {
        let settings = Store::Postgres
            .settings()
            .with_quick_retries()
            .with("TIDINGS__DELIVER__CONCURRENCY", &IN_FLIGHT.to_string());
        let world = World::start_with(&settings).await;
        let receiver = Receiver::answering(|_| Answer::late(THOUGHT)).await;
        // Several mailboxes, so that every node has something to do.
        let tenant = &world.emulator.tenants[0];
        let connected = world.connect_calendar(tenant).await;
        let mut subscribed = vec![connected.subscribed];
        for user in &tenant.users[1..] {
            let connection_id = &connected.connection_id;
            let more = world.subscribe_calendar(tenant, connection_id, user).await;
            subscribed.push(more.subscribed);
        }
        let (_, secret) = world
            .webhook(&receiver.url(), &[&connected.connection_id])
            .await;
        let gateways: Vec<_> = world.gateways().collect();
        testkit::gateway::share_the_work(&gateways).await;
        Self {
            world,
            receiver,
            secret,
            subscribed,
        }
    }

    fn load(&self) -> Load {
        Load::paced(&self.world.notification_url, &self.subscribed, 6, 1, PACE)
    }
}
