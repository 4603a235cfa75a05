//! Many changes in many mailboxes, decided by a seed and driven step by step by the caller's clock.
//!
//! | module | holds |
//! | --- | --- |
//! | `plan` | what happens next, and when |
//! | `act` | to which thing |
//! | `deed` | how it is done to each kind of thing |
//! | `members` | what new and changed things hold |

mod act;
mod deed;
mod members;
mod plan;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tidings_domain::{Timestamp, entropy::SeededEntropy};
use uuid::Uuid;

use crate::{
    control::{self, ControlError, NewTenant},
    directory::{NewUser, TenantInfo},
    ids,
    world::World,
};
use act::Things;
use plan::Plan;

/// Many changes in many mailboxes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Decides everything: tenants, users, and which change is made when to which thing.
    pub seed: u64,
    /// How many tenants are made, beside those that are there.
    pub tenants: usize,
    /// How many users each of them has.
    pub mailboxes: usize,
    /// How many things of each kind that changes lie in each mailbox at the beginning.
    pub initial: usize,
    /// What changes how often.
    pub daily: BTreeMap<Kind, Rates>,
}

/// What changes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Channels of a team that is made beside each mailbox, with its group.
    Channels,
    /// Contacts of a user.
    Contacts,
    /// Files in the drive of a user.
    DriveItems,
    /// Events of a user.
    Events,
    /// Groups; those that go are purged where they could be restored.
    Groups,
    /// Messages of a user.
    Messages,
    /// Users: those with the mailboxes are only updated; others come and go.
    Users,
}

/// What is done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Something new.
    Create,
    /// Something goes.
    Delete,
    /// A message goes to another folder, where it has another id; a file goes to another folder; a user comes into a group or goes.
    /// Of other kinds, something changes.
    Move,
    /// Something changes.
    Update,
}

/// How often something is done, on average, per mailbox and day.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// New things.
    pub create: f64,
    /// Things that go.
    pub delete: f64,
    /// Things that go elsewhere.
    pub r#move: f64,
    /// Things that change.
    pub update: f64,
}

/// A scenario under way.
#[derive(Debug)]
pub struct Run {
    world: Arc<World>,
    plan: Plan,
    tenants: Vec<TenantInfo>,
    mailboxes: Vec<Mailbox>,
    steps: u64,
}

/// A user with a mailbox, and what the scenario has put there.
#[derive(Debug)]
struct Mailbox {
    user: Uuid,
    things: Things,
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When it was due.
    pub due: Timestamp,
    /// In which mailbox.
    pub user: Uuid,
    /// What changed.
    pub kind: Kind,
    /// What was done. Where there was nothing to change, something is created.
    pub action: Action,
    /// The id of the thing; after a move, the new one. `None` if somebody else had removed it.
    pub id: Option<String>,
}

impl Default for Scenario {
    fn default() -> Self {
        let rates = |create, update, delete, r#move| Rates {
            create,
            delete,
            r#move,
            update,
        };
        Self {
            seed: 1,
            tenants: 5,
            mailboxes: 40,
            initial: 3,
            daily: BTreeMap::from([
                (Kind::Channels, rates(0.05, 0.1, 0.02, 0.0)),
                (Kind::Contacts, rates(0.2, 0.2, 0.1, 0.0)),
                (Kind::DriveItems, rates(0.5, 0.5, 0.2, 0.2)),
                (Kind::Events, rates(1.0, 1.5, 0.5, 0.0)),
                (Kind::Groups, rates(0.05, 0.1, 0.02, 0.1)),
                (Kind::Messages, rates(4.0, 3.0, 1.0, 0.5)),
                (Kind::Users, rates(0.05, 0.2, 0.05, 0.0)),
            ]),
        }
    }
}

impl Run {
    /// Makes the tenants, their users, and what lies in the mailboxes at the beginning. The first app is consented in each tenant.
    pub(crate) fn begin(world: &Arc<World>, scenario: &Scenario) -> Result<Self, ControlError> {
        let entropy = SeededEntropy::new(scenario.seed ^ 0x7363_656e_6172_696f);
        let mut tenants = Vec::with_capacity(scenario.tenants);
        let mut mailboxes = Vec::with_capacity(scenario.tenants * scenario.mailboxes);
        for number in 1..=scenario.tenants {
            let domain = format!("s{}-{number}.example", scenario.seed);
            let tenant = ids::guid(&entropy);
            let new = NewTenant {
                id: Some(tenant),
                domain: domain.clone(),
                consent: true,
            };
            control::directory::add_tenant(world, new)?;
            for number in 1..=scenario.mailboxes {
                let new = NewUser {
                    id: Some(ids::guid(&entropy)),
                    mail: format!("user{number}@{domain}"),
                    name: Some(format!("User {number}")),
                };
                let user = control::directory::add_user(world, tenant, new)?;
                mailboxes.push(Mailbox {
                    user: user.id,
                    things: Things::default(),
                });
            }
            let made = world.directory.info();
            tenants.extend(made.into_iter().find(|one| one.tenant_id == tenant));
        }
        let mut run = Self {
            plan: Plan::new(entropy, scenario, world.clock.now()),
            world: Arc::clone(world),
            tenants,
            mailboxes,
            steps: 0,
        };
        run.fill(scenario)?;
        Ok(run)
    }

    fn fill(&mut self, scenario: &Scenario) -> Result<(), ControlError> {
        for mailbox in 0..self.mailboxes.len() {
            for &kind in scenario.daily.keys().filter(|kind| **kind != Kind::Users) {
                for _ in 0..scenario.initial {
                    self.act(mailbox, kind, Action::Create, 0)?;
                }
            }
        }
        Ok(())
    }

    /// The tenants that were made for it.
    pub fn tenants(&self) -> &[TenantInfo] {
        &self.tenants
    }

    /// When the next change is due; never, if nothing ever changes.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.plan.next_at()
    }

    /// How many changes were made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Makes the next change, whatever the clock says; `None` if nothing ever changes.
    pub fn step(&mut self) -> Result<Option<Step>, ControlError> {
        let Some(next) = self.plan.take(self.mailboxes.len()) else {
            return Ok(None);
        };
        let (action, id) = self.act(next.mailbox, next.kind, next.action, next.draw)?;
        self.steps += 1;
        Ok(Some(Step {
            due: next.at,
            user: self.mailboxes[next.mailbox].user,
            kind: next.kind,
            action,
            id,
        }))
    }

    /// Makes every change that is due until `time`, in order; how many those were.
    pub fn until(&mut self, time: Timestamp) -> Result<u64, ControlError> {
        let before = self.steps;
        while self.next_at().is_some_and(|at| at <= time) {
            self.step()?;
        }
        Ok(self.steps - before)
    }

    fn act(
        &mut self,
        mailbox: usize,
        kind: Kind,
        action: Action,
        draw: u64,
    ) -> Result<(Action, Option<String>), ControlError> {
        let Mailbox { user, things } = &mut self.mailboxes[mailbox];
        act::act(&self.world, *user, things, (kind, action), draw)
    }
}
