//! `tidings subscription`.

use clap::{Args, Subcommand};

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

pub mod completeness;
pub mod create;
pub mod reconcile;
pub mod resources;

const NOUN: Noun = Noun {
    word: "subscription",
    path: "subscriptions",
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
            title: "EXPIRES (UTC)",
            member: "expires_at",
            style: Style::Text,
        },
        Column {
            title: "LAST ERROR",
            member: "last_error",
            style: Style::Text,
        },
    ],
};

/// What can be done with subscriptions.
#[derive(Debug, Subcommand)]
pub enum Subscription {
    /// List subscriptions, newest first
    List(ListSubscriptions),
    /// Show one subscription
    Show(Show),
    /// Ask Graph for the changes of a resource, and keep asking
    Create(create::Create),
    /// Delete a subscription, here and at Graph
    Delete(Delete),
    /// Compare with Graph now, and tell what notifications have not
    Reconcile(reconcile::Reconcile),
    /// Show which changes Graph told of, which it told of late, and which were only found by comparing
    Completeness(completeness::Completeness),
    /// Show what can be subscribed to: paths, change types, how long Graph keeps a subscription
    Resources,
}

/// Which subscriptions are listed.
#[derive(Args, Clone, Debug)]
pub struct ListSubscriptions {
    /// Only those of this connection
    #[arg(long, value_name = "ID")]
    pub connection: Option<String>,
    /// The page
    #[command(flatten)]
    pub list: List,
}

impl Subscription {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => {
                let filters = [("connection", arguments.connection.clone())];
                list::list(&NOUN, &arguments.list, &filters, context).await
            }
            Self::Show(arguments) => show::show(&NOUN, arguments, context).await,
            Self::Create(arguments) => create::create(arguments, context).await,
            Self::Delete(arguments) => delete::delete(&NOUN, arguments, context).await,
            Self::Reconcile(arguments) => reconcile::reconcile(arguments, context).await,
            Self::Completeness(arguments) => completeness::completeness(arguments, context).await,
            Self::Resources => resources::resources(context),
        }
    }
}
