//! `tidings policy`.

use clap::Subcommand;

use super::{
    Noun,
    delete::{self, Delete},
    list::{self, List},
    show::{self, Show},
};
use crate::{
    context::Context,
    exit::Failure,
    output::{Column, Style},
};

pub mod create;

const NOUN: Noun = Noun {
    word: "policy",
    path: "policies",
    columns: &[
        Column {
            title: "ID",
            member: "id",
            style: Style::Id,
        },
        Column {
            title: "STATE",
            member: "state",
            style: Style::State,
        },
        Column {
            title: "INTEGRATION",
            member: "integration",
            style: Style::Text,
        },
        Column {
            title: "CONNECTION",
            member: "connection_id",
            style: Style::Id,
        },
        Column {
            title: "RESOURCE",
            member: "resource",
            style: Style::Text,
        },
        Column {
            title: "CHANGES",
            member: "change_types",
            style: Style::Text,
        },
        Column {
            title: "LAST ERROR",
            member: "last_error",
            style: Style::Text,
        },
    ],
};

/// What can be done with policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// List policies, newest first
    List(List),
    /// Show one policy: how many subscriptions it has made, for which connections, and what went wrong
    Show(Show),
    /// Have a subscription made for every user or team, also those to come
    Create(create::Create),
    /// Delete a policy with the subscriptions that it has made, here and at Graph
    Delete(Delete),
}

impl Policy {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => list::list(&NOUN, arguments, &[], context).await,
            Self::Show(arguments) => show::show(&NOUN, arguments, context).await,
            Self::Create(arguments) => create::create(arguments, context).await,
            Self::Delete(arguments) => delete::delete(&NOUN, arguments, context).await,
        }
    }
}
