//! Deliveries.

use tidings_domain::{delivery::Delivery, ids::DeliveryId};

use super::{Manage, ManageError};

impl Manage {
    /// Sends a delivery again, with the whole retry schedule before it; `None` if there is none.
    pub async fn redeliver(&self, id: DeliveryId) -> Result<Option<Delivery>, ManageError> {
        let delivery = self.store.redeliver(id, self.clock.now()).await?;
        self.deliver.wake();
        Ok(delivery)
    }
}
