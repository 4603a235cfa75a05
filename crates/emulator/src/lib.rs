//! Microsoft Graph and its sign-in, emulated.
//!
//! For: tests and demonstrations of anything that takes Graph's change notifications, not of Tidings alone. Tokens,
//! subscriptions with the real handshake, limits and error bodies, mailboxes with messages, events and contacts, users,
//! delta queries, notifications with the real times, retries and endpoint states, and faults on demand.
//! Never: knows of a gateway. It follows Microsoft's pages and what the service was seen to do, and so finds out who
//! misread them.
//!
//! Subscriptions to anything in the resource table are taken, with handshake and limits; data, and so notifications,
//! exist for messages, events, contacts, users, groups, drives, teams and channels only. Rich notifications, `$filter` and signed-in users do not
//! exist.
//!
//! | module | holds |
//! | --- | --- |
//! | [`emulator`] | [`Emulator`]: the value that tests hold |
//! | [`options`], [`switches`] | what it is made with, and which forms and behaviours apply |
//! | `directory` | tenants, apps, users, groups |
//! | `drive` | files and folders |
//! | `team` | teams and channels |
//! | `mailbox` | messages, events, contacts |
//! | `delta` | what changed, for delta queries |
//! | `signin` | the token endpoint and the tokens |
//! | `api` | Graph's calls, alone or in batches |
//! | `throttle` | limits on calls, and how much was used of each |
//! | `subscription` | subscriptions: rules, limits, handshake |
//! | `notify` | notifications: payload, faults on the way, retries, states of endpoints |
//! | [`fault`] | what goes wrong on purpose |
//! | [`ledger`] | what has happened |
//! | [`scenario`] | many changes in many mailboxes, decided by a seed |
//! | [`truth`] | the last state of everything that changed, for comparison |
//! | [`control`] | the control API under `/emulator/` |
//! | `face`, `serve`, [`tls`] | router, listener, certificate authority |

mod api;
pub mod control;
mod delta;
mod directory;
mod drive;
pub mod emulator;
mod face;
pub mod fault;
mod ids;
pub mod ledger;
mod mailbox;
mod notify;
pub mod options;
pub mod scenario;
mod serve;
mod shuffle;
mod signin;
mod subscription;
pub mod switches;
mod team;
mod throttle;
mod time;
pub mod tls;
pub mod truth;
mod world;

pub use control::{
    AppInfo, ControlError, FolderOf, MailboxItem, NewApp, NewTenant, SubscriptionInfo,
};
pub use delta::DeltaOf;
pub use directory::{Exists, NewUser, TenantInfo, UserInfo};
pub use emulator::Emulator;
pub use fault::{DeltaFault, Fault};
pub use ledger::{CallCount, Loss, Sent, Violation};
pub use notify::{Endpoint, RawPost};
pub use options::{Delivery, Options};
pub use scenario::{Run, Scenario};
pub use signin::{SecretTrouble, Trouble};
pub use subscription::{Limit, Limits};
pub use switches::{Challenges, Pause, Switches};
pub use throttle::{Bound, Quota, QuotaUse, Quotas, Throttling, Wait};
pub use tls::{Authority, AuthorityError};
pub use truth::{Difference, Fact, Told, differences};
