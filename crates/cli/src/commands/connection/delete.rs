//! `tidings connection delete`.

use clap::Args;

use crate::{
    commands::{
        Noun,
        delete::{Delete, delete_with},
    },
    context::Context,
    exit::Failure,
};

/// Which connection is to go, and whether its subscriptions go with it.
#[derive(Args, Clone, Debug)]
pub struct DeleteConnection {
    /// Also delete its subscriptions, here and at Graph
    #[arg(long)]
    pub subscriptions: bool,
    /// Which one
    #[command(flatten)]
    pub delete: Delete,
}

/// Deletes it, after asking.
pub async fn delete(
    noun: &Noun,
    arguments: &DeleteConnection,
    context: &Context,
) -> Result<(), Failure> {
    let how = arguments
        .subscriptions
        .then(|| ("subscriptions", "delete".to_owned()));
    let query: Vec<_> = how.into_iter().collect();
    delete_with(noun, &arguments.delete, &query, context).await
}
