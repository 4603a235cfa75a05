//! `tidings event`.

use clap::{Args, Subcommand};
use tidings_domain::trigger::Trigger;

use super::{
    Noun,
    list::{self, List},
    show::{self, Show},
};
use crate::{
    context::Context,
    exit::Failure,
    output::{Column, Style},
};

const NOUN: Noun = Noun {
    word: "event",
    path: "events",
    columns: &[
        Column {
            title: "ID",
            member: "id",
            style: Style::Id,
        },
        Column {
            title: "CREATED (UTC)",
            member: "created_at",
            style: Style::Id,
        },
        Column {
            title: "TRIGGER",
            member: "trigger",
            style: Style::Text,
        },
        Column {
            title: "OBJECT",
            member: "object_state",
            style: Style::State,
        },
        Column {
            title: "SUBJECT",
            member: "subject",
            style: Style::Text,
        },
    ],
};

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum Event {
    /// List events, newest first
    List(ListEvents),
    /// Show one event with the body that is delivered
    Show(Show),
}

/// Which events are listed.
#[derive(Args, Clone, Debug)]
pub struct ListEvents {
    /// Only those of this connection
    #[arg(long, value_name = "ID")]
    pub connection: Option<String>,
    /// Only those of this trigger, such as `event.created`
    #[arg(long, value_name = "TRIGGER", value_parser = Trigger::parse)]
    pub trigger: Option<Trigger>,
    /// The page
    #[command(flatten)]
    pub list: List,
}

impl Event {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => {
                let filters = [
                    ("connection", arguments.connection.clone()),
                    (
                        "trigger",
                        arguments.trigger.map(|trigger| trigger.to_string()),
                    ),
                ];
                list::list(&NOUN, &arguments.list, &filters, context).await
            }
            Self::Show(arguments) => show::show(&NOUN, arguments, context).await,
        }
    }
}
