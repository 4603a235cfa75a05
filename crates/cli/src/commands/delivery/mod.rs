//! `tidings delivery`.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use tidings_domain::delivery::DeliveryState;

use super::{
    Noun, act,
    list::{self, List},
    show::Show,
};
use crate::{
    context::Context,
    exit::Failure,
    output::{Column, Style},
};

pub mod show;

const NOUN: Noun = Noun {
    word: "delivery",
    path: "deliveries",
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
            title: "TRIGGER",
            member: "trigger",
            style: Style::Text,
        },
        Column {
            title: "ATTEMPTS",
            member: "attempts",
            style: Style::Text,
        },
        Column {
            title: "STATUS",
            member: "last_status",
            style: Style::Text,
        },
        Column {
            title: "NEXT (UTC)",
            member: "due_at",
            style: Style::Text,
        },
        Column {
            title: "WEBHOOK",
            member: "webhook_id",
            style: Style::Id,
        },
    ],
};

/// What can be done with deliveries.
#[derive(Debug, Subcommand)]
pub enum Delivery {
    /// List deliveries, newest first
    List(ListDeliveries),
    /// Show one delivery with its attempts
    Show(Show),
    /// Send a delivery again, with the whole retry schedule before it
    Redeliver(Show),
}

/// Which deliveries are listed.
#[derive(Args, Clone, Debug)]
pub struct ListDeliveries {
    /// Only those to this webhook
    #[arg(long, value_name = "ID")]
    pub webhook: Option<String>,
    /// Only those of this event
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(DeliveryState::ALL.map(DeliveryState::as_str)))]
    pub state: Option<String>,
    /// The page
    #[command(flatten)]
    pub list: List,
}

impl Delivery {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => {
                let filters = [
                    ("webhook", arguments.webhook.clone()),
                    ("event", arguments.event.clone()),
                    ("state", arguments.state.clone()),
                ];
                list::list(&NOUN, &arguments.list, &filters, context).await
            }
            Self::Show(arguments) => show::show(arguments, context).await,
            Self::Redeliver(arguments) => act::act(&NOUN, arguments, "redeliver", context).await,
        }
    }
}
