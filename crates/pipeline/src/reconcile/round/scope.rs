//! How far a part of what is watched is.

use tidings_domain::{Timestamp, reconcile::ReconcileScope};

/// At the start.
pub(super) fn new_scope(name: String, window: Option<(Timestamp, Timestamp)>) -> ReconcileScope {
    ReconcileScope {
        name,
        link: None,
        enumeration: 1,
        enumerating: true,
        window,
    }
}

/// From the start once more.
pub(super) fn again(scope: ReconcileScope, link: Option<String>) -> ReconcileScope {
    ReconcileScope {
        link,
        enumeration: scope.enumeration + 1,
        enumerating: true,
        ..scope
    }
}
