//! The HTTP faces.
//!
//! For: reading requests, asking the pipeline and the store, and showing what comes back.
//! Never: rules. What may be created, what a verdict is, when a delivery is tried again: those are the pipeline's.
//!
//! | module | holds |
//! | --- | --- |
//! | [`start`] | taking connections, within limits that hold under attack |
//! | `public` | the notification URL |
//! | [`router`](router()) | everything beside the notification URL: API, health, metrics |
//! | `api` | the management API `/v1`: a folder a noun, a file a verb |
//! | [`problem`] | what is answered when something cannot be done, with the list of codes |
//! | [`health`], [`metrics`] | `/healthz` and `/readyz`, `/metrics` |
//! | `request_id` | a name for each request, in answers and logs |

mod api;
pub mod health;
mod listen;
pub mod metrics;
pub mod problem;
mod public;
mod request_id;
mod router;

pub use listen::start;
pub use router::router;
