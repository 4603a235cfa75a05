//! The control API under `/emulator/`: what tests set and read, in HTTP what [`crate::Emulator`] has in Rust.
//!
//! | path | what |
//! | --- | --- |
//! | `GET state` | all of the below at once |
//! | `GET POST tenants`, `POST tenants/{tenant}/users`, `POST apps`, `DELETE tenants/{tenant}/apps/{app}` | directory |
//! | `PUT DELETE tenants/{tenant}/apps/{app}/trouble`, `PUT DELETE apps/{app}/trouble` | access or a secret that is broken |
//! | `POST users/{user}/{kind}`, `PATCH DELETE users/{user}/{kind}/{id}`, kind = `contacts`, `events`, `messages` | changes without a token |
//! | `POST users/{user}/messages/{id}/move`, `POST users/{user}/folders` | mail and contact folders |
//! | `PATCH DELETE users/{user}`, `POST users/{user}/restore`, `POST users/{user}/purge` | users |
//! | `POST tenants/{tenant}/groups`, `PATCH DELETE groups/{group}`, `POST groups/{group}/restore`, `POST groups/{group}/purge` | groups |
//! | `PUT DELETE groups/{group}/members/{user}` | who is in a group |
//! | `PUT groups/{group}/team`, `POST teams/{team}/channels`, `PATCH DELETE teams/{team}/channels/{id}` | teams |
//! | `POST users/{user}/drive`, `PATCH DELETE users/{user}/drive/{id}` | files and folders |
//! | `POST delta/evict` | makes links of delta queries void |
//! | `GET subscriptions`, `DELETE subscriptions/{id}`, `POST subscriptions/{id}/lifecycle`, `POST lifecycle` | subscriptions of all apps |
//! | `GET POST DELETE faults`, `POST flush` | what goes wrong on purpose |
//! | `GET PATCH switches`, `GET PATCH delivery`, `GET PATCH limits`, `GET PATCH throttling` | forms, times, quotas |
//! | `GET quotas` | the most that was used of each limit on calls |
//! | `GET calls`, `GET sent`, `GET violations`, `GET losses`, `GET endpoints`, `DELETE log` | what has happened |
//! | `GET POST scenario`, `POST scenario/go`, `GET truth` | many changes by a seed, and what is true after all changes |
//! | `GET clock`, `POST clock/advance` | time, if it is a manual clock |
//! | `POST notifications` | a hand-made POST |

pub(crate) mod directory;
pub(crate) mod drive;
mod error;
pub(crate) mod groups;
pub(crate) mod mailbox;
mod scenario;
mod settings;
mod state;
pub(crate) mod subscriptions;
pub(crate) mod trouble;
pub(crate) mod users;

use std::sync::Arc;

use axum::{
    Router,
    routing::{delete, get, patch, post, put},
};

use crate::world::World;
pub use directory::{AppInfo, NewApp, NewTenant};
pub use error::ControlError;
pub use mailbox::{FolderOf, MailboxItem};
pub use subscriptions::SubscriptionInfo;

/// The routes below `/emulator`.
pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/state", get(state::all))
        .route("/calls", get(state::calls))
        .route("/sent", get(state::sent))
        .route("/violations", get(state::violations))
        .route("/losses", get(state::losses))
        .route("/endpoints", get(state::endpoints))
        .route("/log", delete(state::clear))
        .route(
            "/tenants",
            get(directory::list).post(directory::create_tenant),
        )
        .route("/tenants/{tenant}/users", post(directory::create_user))
        .route(
            "/tenants/{tenant}/apps/{app}",
            delete(directory::remove_consent),
        )
        .route(
            "/tenants/{tenant}/apps/{app}/trouble",
            put(trouble::set_access).delete(trouble::clear_access),
        )
        .route("/apps", post(directory::create_app))
        .route(
            "/apps/{app}/trouble",
            put(trouble::set_secret).delete(trouble::clear_secret),
        )
        .route("/users/{user}/folders", post(mailbox::make_folder))
        .route("/users/{user}/{kind}", post(mailbox::create_item))
        .route(
            "/users/{user}/{kind}/{id}",
            patch(mailbox::update_item).delete(mailbox::delete_item),
        )
        .route("/users/{user}/messages/{id}/move", post(mailbox::move_item))
        .route(
            "/users/{user}",
            patch(users::update_user).delete(users::delete_user),
        )
        .route("/users/{user}/restore", post(users::restore_user))
        .route("/users/{user}/purge", post(users::purge_user))
        .route("/tenants/{tenant}/groups", post(groups::create_group))
        .route(
            "/groups/{group}",
            patch(groups::update_group).delete(groups::delete_group),
        )
        .route("/groups/{group}/restore", post(groups::restore_group))
        .route("/groups/{group}/purge", post(groups::purge_group))
        .route(
            "/groups/{group}/members/{user}",
            put(groups::add_member).delete(groups::remove_member),
        )
        .route("/groups/{group}/team", put(groups::put_team))
        .route("/teams/{team}/channels", post(groups::add_channel))
        .route(
            "/teams/{team}/channels/{id}",
            patch(groups::change_channel).delete(groups::remove_channel),
        )
        .route("/users/{user}/drive", post(drive::put_item))
        .route(
            "/users/{user}/drive/{id}",
            patch(drive::change_item).delete(drive::delete_item),
        )
        .route("/delta/evict", post(mailbox::evict_states))
        .route("/subscriptions", get(subscriptions::list))
        .route("/subscriptions/{id}", delete(subscriptions::remove))
        .route("/subscriptions/{id}/lifecycle", post(subscriptions::send))
        .route("/lifecycle", post(subscriptions::send_all))
        .route(
            "/faults",
            get(settings::faults)
                .post(settings::add_fault)
                .delete(settings::clear_faults),
        )
        .route("/flush", post(settings::flush))
        .route(
            "/switches",
            get(settings::switches).patch(settings::set_switches),
        )
        .route(
            "/delivery",
            get(settings::delivery).patch(settings::set_delivery),
        )
        .route("/limits", get(settings::limits).patch(settings::set_limits))
        .route(
            "/throttling",
            get(settings::throttling).patch(settings::set_throttling),
        )
        .route("/quotas", get(state::quotas))
        .route("/scenario", get(scenario::state).post(scenario::begin))
        .route("/scenario/go", post(scenario::go))
        .route("/truth", get(scenario::truth))
        .route("/clock", get(settings::clock))
        .route("/clock/advance", post(settings::advance))
        .route("/notifications", post(settings::raw))
}
