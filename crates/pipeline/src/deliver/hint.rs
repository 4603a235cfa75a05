//! Which webhooks have something new.

use std::{
    collections::HashSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use tidings_domain::ids::WebhookId;

use crate::wake::Wake;

/// Tells the deliver loop which webhooks have new deliveries. Clones are the same hint.
///
/// Like a bare [`Wake`] it is not the truth: the queue is in the store, a needless hint does no harm, and those that a
/// crash swallows are made up for by a look at everything at the start. It names webhooks because at thousands of
/// deliveries a second, asking the store which of many webhooks has new ones would cost more than sending them.
#[derive(Clone, Debug, Default)]
pub struct Hint {
    webhooks: Arc<Mutex<HashSet<WebhookId>>>,
    wake: Wake,
}

impl Hint {
    /// A hint that nobody has given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These webhooks have new deliveries. To be given after the commit.
    pub fn webhooks(&self, webhooks: impl IntoIterator<Item = WebhookId>) {
        let any = {
            let mut hinted = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
            hinted.extend(webhooks);
            !hinted.is_empty()
        };
        if any {
            self.wake.wake();
        }
    }

    /// Waits for a hint and takes all there are.
    pub(crate) async fn take(&self) -> HashSet<WebhookId> {
        self.wake.wait().await;
        let mut hinted = self.webhooks.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *hinted)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tidings_domain::{Ids, clock::SystemClock, entropy::SeededEntropy};

    use super::*;

    #[test]
    fn hints_before_the_wait_come_together_and_once() {
        let ids = Ids::new(
            Arc::new(SystemClock::new()),
            Arc::new(SeededEntropy::new(1)),
        );
        let hint = Hint::new();
        let (one, two) = (ids.next(), ids.next());
        let same = hint.clone();
        same.webhooks([one]);
        hint.webhooks([one, two]);
        assert_eq!(hint.take().now_or_never(), Some(HashSet::from([one, two])));
        hint.webhooks([]);
        assert_eq!(hint.take().now_or_never(), None);
    }
}
