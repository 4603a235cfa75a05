//! Deliveries.

use tidings_domain::{delivery::Delivery, ids::DeliveryId};

use super::{Manage, ManageError};

impl Manage {
    /// Sends a delivery again, with the whole retry schedule before it; `None` if there is none.
    pub async fn redeliver(&self, id: DeliveryId) -> Result<Option<Delivery>, ManageError> {
        // It may be on disk although the answer did not come, or nobody waits for it any more.
        let _deliver = self.deliver.at_the_end();
        Ok(self.store.redeliver(id, self.clock.now()).await?)
    }
}
