//! What is known of the items that subscriptions watch.

use sqlx::PgConnection;
use tidings_domain::ids::SubscriptionId;

use super::{reconcile::missing_here, trouble::Undone};
use crate::record::KnownItem;

pub(super) async fn these(
    _: &mut PgConnection,
    _: SubscriptionId,
    _: &[String],
) -> Result<Vec<KnownItem>, Undone> {
    Err(missing_here())
}

pub(super) async fn not_shown(
    _: &mut PgConnection,
    _: SubscriptionId,
    _: &str,
    _: u64,
    _: &str,
    _: u32,
) -> Result<Vec<KnownItem>, Undone> {
    Err(missing_here())
}
