//! Deadlines and polls. A deadline here only ends a test that would hang: it is generous and asserts nothing.

use std::{
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use tidings_domain::clock::{Clock, Elapsed, SystemClock, within};

/// Longer than anything takes on a busy machine, shorter than a test runner's patience.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How often another process is asked about its state, where it cannot tell us by itself.
const POLL: Duration = Duration::from_millis(20);

static CLOCK: LazyLock<Arc<SystemClock>> = LazyLock::new(|| Arc::new(SystemClock::new()));

/// The system's clock.
pub fn clock() -> Arc<dyn Clock> {
    Arc::clone(&*CLOCK) as Arc<dyn Clock>
}

/// Monotonic time, for spans.
pub fn now() -> Duration {
    CLOCK.monotonic()
}

/// Waits for `future`; fails, saying what was waited for, when [`PATIENCE`] is over.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let outcome = within(&**CLOCK, PATIENCE, future).await;
    outcome.unwrap_or_else(|late| panic!("waited {} s for {what}: {late}", PATIENCE.as_secs()))
}

/// Waits for `future` for at most `span`: where a test itself gives up and goes on.
pub async fn at_most<F: Future>(span: Duration, future: F) -> Result<F::Output, Elapsed> {
    within(&**CLOCK, span, future).await
}

/// Asks again and again until there is an answer; fails, saying what was waited for, when [`PATIENCE`] is over.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    soon(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            CLOCK.sleep(POLL).await;
        }
    })
    .await
}

/// Lets `span` pass: for load that has to last, never for something to have happened.
pub async fn pass(span: Duration) {
    CLOCK.sleep(span).await;
}
