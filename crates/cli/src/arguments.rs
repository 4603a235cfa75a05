//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    commands::{
        connection::Connection, delivery::Delivery, environment::Environment, event::Event,
        integration::Integration, key::Key, notification::Notification, policy::Policy,
        subscription::Subscription, webhook::Webhook,
    },
    context::Context,
    copy::Copy,
    demo::Demo,
    emulator::Emulator,
    exit::Failure,
    migrate::Migrate,
    reference::GenerateDocs,
    sealing_key::SealingKeyNoun,
    serve::Serve,
};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    version,
    about = "A self-hosted gateway between Microsoft Graph's change notifications and your app",
    after_help = "Exit codes: 0 done, 1 failed (or a check says no), 2 usage, 3 not found, 4 refused, 5 cannot reach the server.",
    max_term_width = 100,
    propagate_version = true
)]
pub struct Arguments {
    /// Write for programs: JSON on standard output, errors as JSON on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway
    Serve(Serve),
    /// Show the whole way of a change, on this machine alone: gateway, emulator and receiver in one process
    Demo(Demo),
    /// Run an emulator of Microsoft Graph and its sign-in
    Emulator(Emulator),
    /// Bring a PostgreSQL to the form that this program works with
    #[command(subcommand)]
    Migrate(Migrate),
    /// Copy a store on SQLite to a PostgreSQL
    Copy(Copy),
    /// Sealing keys: what secrets are sealed with where several nodes share a database
    #[command(subcommand)]
    SealingKey(SealingKeyNoun),
    /// Environments: isolated spaces, such as dev and prod
    #[command(subcommand)]
    Environment(Environment),
    /// Integrations: Entra app registrations
    #[command(subcommand)]
    Integration(Integration),
    /// Connections: tenants that have consented to an integration
    #[command(subcommand)]
    Connection(Connection),
    /// Policies: subscriptions for every user or team
    #[command(subcommand)]
    Policy(Policy),
    /// Subscriptions: what Graph is asked to tell
    #[command(subcommand)]
    Subscription(Subscription),
    /// Webhooks: where events are sent
    #[command(subcommand)]
    Webhook(Webhook),
    /// Notifications: what Graph sent
    #[command(subcommand)]
    Notification(Notification),
    /// Events: changes as apps hear of them
    #[command(subcommand)]
    Event(Event),
    /// Deliveries: events on their way to webhooks
    #[command(subcommand)]
    Delivery(Delivery),
    /// API keys
    #[command(subcommand)]
    Key(Key),
    /// Write the reference pages
    #[command(hide = true)]
    GenerateDocs(GenerateDocs),
}

impl Command {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Serve(arguments) => arguments.run(context).await,
            Self::Demo(arguments) => arguments.run(context).await,
            Self::Emulator(arguments) => arguments.run(context).await,
            Self::Migrate(arguments) => arguments.run(context).await,
            Self::Copy(arguments) => arguments.run(context).await,
            Self::SealingKey(noun) => noun.run(context),
            Self::Environment(noun) => noun.run(context).await,
            Self::Integration(noun) => noun.run(context).await,
            Self::Connection(noun) => noun.run(context).await,
            Self::Policy(noun) => noun.run(context).await,
            Self::Subscription(noun) => noun.run(context).await,
            Self::Webhook(noun) => noun.run(context).await,
            Self::Notification(noun) => noun.run(context).await,
            Self::Event(noun) => noun.run(context).await,
            Self::Delivery(noun) => noun.run(context).await,
            Self::Key(noun) => noun.run(context).await,
            Self::GenerateDocs(arguments) => arguments.run(),
        }
    }
}
