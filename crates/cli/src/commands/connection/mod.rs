//! `tidings connection`.

use clap::Subcommand;

use super::{
    Noun, act,
    list::{self, List},
    show::{self, Show},
};
use crate::{
    context::Context,
    exit::Failure,
    output::{Column, Style},
};

pub mod create;
pub mod delete;

const NOUN: Noun = Noun {
    word: "connection",
    path: "connections",
    columns: &[
        Column {
            title: "ID",
            member: "id",
            style: Style::Id,
        },
        Column {
            title: "INTEGRATION",
            member: "integration",
            style: Style::Text,
        },
        Column {
            title: "TENANT",
            member: "tenant_id",
            style: Style::Id,
        },
        Column {
            title: "STATE",
            member: "state",
            style: Style::State,
        },
        Column {
            title: "REASON",
            member: "reason",
            style: Style::Text,
        },
    ],
};

/// What can be done with connections.
#[derive(Debug, Subcommand)]
pub enum Connection {
    /// List connections, newest first
    List(List),
    /// Show one connection
    Show(Show),
    /// Connect a tenant that has consented to an integration's app
    Create(create::Create),
    /// Have its subscriptions removed at Graph; they wait here until it is enabled
    Disable(Show),
    /// Have the subscriptions of a disabled connection made anew, and compared
    Enable(Show),
    /// Delete a connection: one without subscriptions, or with `--subscriptions` also those, here and at Graph
    Delete(delete::DeleteConnection),
}

impl Connection {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => list::list(&NOUN, arguments, &[], context).await,
            Self::Show(arguments) => show::show(&NOUN, arguments, context).await,
            Self::Create(arguments) => create::create(arguments, context).await,
            Self::Disable(arguments) => act::act(&NOUN, arguments, "disable", context).await,
            Self::Enable(arguments) => act::act(&NOUN, arguments, "enable", context).await,
            Self::Delete(arguments) => delete::delete(&NOUN, arguments, context).await,
        }
    }
}
