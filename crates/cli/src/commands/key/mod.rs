//! `tidings key`.

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
    word: "key",
    path: "keys",
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
            title: "SCOPE",
            member: "scope",
            style: Style::Text,
        },
        Column {
            title: "BEGINS WITH",
            member: "prefix",
            style: Style::Text,
        },
        Column {
            title: "ENVIRONMENT",
            member: "environment_id",
            style: Style::Text,
        },
        Column {
            title: "CREATED (UTC)",
            member: "created_at",
            style: Style::Text,
        },
    ],
};

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// List API keys, newest first; the keys themselves are not kept
    List(List),
    /// Show one API key; the key itself is not kept
    Show(Show),
    /// Make an API key; it is shown once
    Create(create::Create),
    /// Delete an API key: it opens nothing from then on
    Delete(Delete),
}

impl Key {
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
