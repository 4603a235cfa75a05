//! Scenarios and truth.

use std::sync::Arc;

use crate::{ControlError, Emulator, Fact, Run, Scenario, TenantInfo, notify};

impl Emulator {
    /// Keeps what is true from now on: every change, whoever makes it.
    pub fn keep_truth(&self) {
        self.world.truth.keep();
    }

    /// What is true of everything that has changed since truth is kept, by path.
    pub fn truth(&self) -> Vec<Fact> {
        self.world.truth.facts()
    }

    /// Makes the tenants and mailboxes of a scenario. Then the caller drives it, by its own clock.
    pub fn begin(&self, scenario: &Scenario) -> Result<Run, ControlError> {
        Run::begin(&self.world, scenario)
    }

    /// Makes the tenants and mailboxes of a scenario and plays it by the emulator's clock until the emulator is stopped; the
    /// tenants.
    pub fn play(&self, scenario: &Scenario) -> Result<Vec<TenantInfo>, ControlError> {
        let mut run = self.begin(scenario)?;
        let tenants = run.tenants().to_vec();
        let world = Arc::clone(&self.world);
        let timer = notify::timer(&world);
        self.world.tasks.spawn(async move {
            let played = async {
                while let Some(at) = run.next_at() {
                    timer.sleep(world.clock.now().until(at)).await;
                    if let Err(error) = run.until(world.clock.now()) {
                        tracing::error!(error.message = %error, "a scenario ended");
                        return;
                    }
                }
            };
            tokio::select! {
                () = played => {}
                () = world.stop.cancelled() => {}
            }
        });
        Ok(tenants)
    }
}
