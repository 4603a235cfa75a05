//! What reconcile reads and writes: not built yet.

use sqlx::PgConnection;
use tidings_domain::{
    Timestamp,
    ids::SubscriptionId,
    reconcile::{Reconcile, ReconcileScope},
};

use super::{Shared, trouble::Undone};
use crate::{
    Lease, StoreError,
    record::{AskReconcile, DueReconcile, ReconcilePage, ReconcileUpdate, SubscriptionFilter},
};

pub(super) fn missing_here() -> Undone {
    Undone::Refused(StoreError::Unavailable {
        detail: "this store cannot keep what reconciling needs yet".to_owned(),
    })
}

pub(super) async fn due(
    _: &Shared,
    _: &mut PgConnection,
    _: Timestamp,
    _: u32,
) -> Result<Vec<DueReconcile>, Undone> {
    Err(missing_here())
}
pub(super) async fn next_due(
    _: &Shared,
    _: &mut PgConnection,
) -> Result<Option<Timestamp>, Undone> {
    Err(missing_here())
}
pub(super) async fn one(
    _: &mut PgConnection,
    _: SubscriptionId,
) -> Result<Option<Reconcile>, Undone> {
    Err(missing_here())
}
pub(super) async fn ask(
    _: &Shared,
    _: &mut PgConnection,
    _: SubscriptionFilter,
    _: &AskReconcile,
) -> Result<u64, Undone> {
    Err(missing_here())
}
pub(super) async fn scopes(
    _: &mut PgConnection,
    _: SubscriptionId,
) -> Result<Vec<ReconcileScope>, Undone> {
    Err(missing_here())
}
pub(super) async fn record_page(
    _: &Shared,
    _: &mut PgConnection,
    _: &ReconcilePage,
    _: Lease,
) -> Result<(), Undone> {
    Err(missing_here())
}
pub(super) async fn update(
    _: &Shared,
    _: &mut PgConnection,
    _: &ReconcileUpdate,
    _: Lease,
) -> Result<(), Undone> {
    Err(missing_here())
}
pub(super) async fn note_alive(
    _: &mut PgConnection,
    _: Timestamp,
) -> Result<Option<Timestamp>, Undone> {
    Err(missing_here())
}
