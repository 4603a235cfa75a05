//! `tidings webhook`.

use clap::Subcommand;

use super::{
    Noun, act,
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
pub mod server;
pub mod triggers;
pub mod update;
pub mod verify;

const NOUN: Noun = Noun {
    word: "webhook",
    path: "webhooks",
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
            title: "URL",
            member: "url",
            style: Style::Text,
        },
        Column {
            title: "TRIGGERS",
            member: "triggers",
            style: Style::Text,
        },
        Column {
            title: "DESCRIPTION",
            member: "description",
            style: Style::Text,
        },
    ],
};

/// What can be done with webhooks.
#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// List webhooks, newest first
    List(List),
    /// Show one webhook
    Show(Show),
    /// Register a destination for events; its signing secret is shown once
    Create(create::Create),
    /// Change a webhook
    Update(update::Update),
    /// Enable a webhook: its held deliveries are sent
    Enable(Show),
    /// Disable a webhook: its deliveries are held until it is enabled
    Disable(Show),
    /// Delete a webhook and what has not arrived at it
    Delete(Delete),
    /// Show which triggers there are
    Triggers,
    /// Run a local receiver that verifies each delivery, then prints it
    Server(server::Server),
    /// Check the signature of a delivery that was kept
    Verify(verify::Verify),
}

impl Webhook {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => list::list(&NOUN, arguments, &[], context).await,
            Self::Show(arguments) => show::show(&NOUN, arguments, context).await,
            Self::Create(arguments) => create::create(arguments, context).await,
            Self::Update(arguments) => update::update(arguments, context).await,
            Self::Enable(arguments) => act::act(&NOUN, arguments, "enable", context).await,
            Self::Disable(arguments) => act::act(&NOUN, arguments, "disable", context).await,
            Self::Delete(arguments) => delete::delete(&NOUN, arguments, context).await,
            Self::Triggers => triggers::triggers(context),
            Self::Server(arguments) => server::serve(arguments, context).await,
            Self::Verify(arguments) => verify::verify(arguments, context),
        }
    }
}
