//! What goes over the wire between Graph, its sign-in and whoever listens to its notifications.

pub mod notification;
pub mod redact;
pub mod subscription;
pub mod token;

mod text;
