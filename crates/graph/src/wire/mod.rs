//! What goes over the wire between Graph, its sign-in and whoever listens to its notifications.

pub mod batch;
pub mod collection;
pub mod mail_folder;
pub mod notification;
pub mod redact;
pub mod subscription;
pub mod token;
pub mod user;

pub(crate) mod text;
