//! `tidings environment`.

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
    word: "environment",
    path: "environments",
    columns: &[
        Column {
            title: "ID",
            member: "id",
            style: Style::Id,
        },
        Column {
            title: "NAME",
            member: "name",
            style: Style::Text,
        },
        Column {
            title: "CREATED (UTC)",
            member: "created_at",
            style: Style::Id,
        },
    ],
};

/// What can be done with environments.
#[derive(Debug, Subcommand)]
pub enum Environment {
    /// List environments
    List(List),
    /// Show one environment; ID is its id or its name
    Show(Show),
    /// Make an environment: an isolated space with its own keys and everything below
    Create(create::Create),
    /// Delete an environment that has no integrations and no webhooks; ID is its id or its name
    Delete(Delete),
}

impl Environment {
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
