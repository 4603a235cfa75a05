//! `tidings notification`.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use tidings_domain::notification::Verdict;

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
    word: "notification",
    path: "notifications",
    columns: &[
        Column {
            title: "ID",
            member: "id",
            style: Style::Id,
        },
        Column {
            title: "RECEIVED (UTC)",
            member: "received_at",
            style: Style::Id,
        },
        Column {
            title: "VERDICT",
            member: "verdict",
            style: Style::State,
        },
        Column {
            title: "CHANGE",
            member: "change_type",
            style: Style::Text,
        },
        Column {
            title: "RESOURCE",
            member: "resource",
            style: Style::Text,
        },
    ],
};

/// What can be done with notifications.
#[derive(Debug, Subcommand)]
pub enum Notification {
    /// List what Graph sent and what was made of it, newest first
    List(ListNotifications),
    /// Show one notification as it was sent, without its clientState
    Show(Show),
}

/// Which notifications are listed.
#[derive(Args, Clone, Debug)]
pub struct ListNotifications {
    /// Only those to this integration (its key)
    #[arg(long, value_name = "KEY")]
    pub integration: Option<String>,
    /// Only those of this connection
    #[arg(long, value_name = "ID")]
    pub connection: Option<String>,
    /// Only those with this verdict
    #[arg(long, value_name = "VERDICT", value_parser = PossibleValuesParser::new(Verdict::ALL.iter().map(|verdict| verdict.as_str())))]
    pub verdict: Option<String>,
    /// The page
    #[command(flatten)]
    pub list: List,
}

impl Notification {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => {
                let filters = [
                    ("integration", arguments.integration.clone()),
                    ("connection", arguments.connection.clone()),
                    ("verdict", arguments.verdict.clone()),
                ];
                list::list(&NOUN, &arguments.list, &filters, context).await
            }
            Self::Show(arguments) => show::show(&NOUN, arguments, context).await,
        }
    }
}
