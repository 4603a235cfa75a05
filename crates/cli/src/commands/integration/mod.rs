//! `tidings integration`.

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
    word: "integration",
    path: "integrations",
    columns: &[
        Column {
            title: "KEY",
            member: "key",
            style: Style::Id,
        },
        Column {
            title: "CLIENT ID",
            member: "client_id",
            style: Style::Id,
        },
        Column {
            title: "NOTIFICATION URL",
            member: "notification_url",
            style: Style::Text,
        },
    ],
};

/// What can be done with integrations.
#[derive(Debug, Subcommand)]
pub enum Integration {
    /// List integrations
    List(List),
    /// Show one integration, with its webhook secret if the key may see it; ID is its key
    Show(Show),
    /// Add an app registration
    Create(Box<create::Create>),
    /// Delete an integration that has no connections; ID is its key
    Delete(Delete),
}

impl Integration {
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
