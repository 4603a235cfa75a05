//! `tidings migrate apply`.

use std::{io, sync::Arc};

use owo_colors::OwoColorize;
use serde::Serialize;
use tidings_domain::{Ids, Secret, ids::EnvironmentId};
use tidings_pipeline::manage::{self, FirstStartError};
use tidings_storage::{
    Store,
    postgres::{PostgresOptions, PostgresStore, migrate},
};

use super::StepLine;
use crate::{
    context::Context,
    exit::{Exit, Failure},
    output::Output,
    store::cannot_open,
};

/// What was done.
#[derive(Debug, Serialize)]
struct Done<'a> {
    database: String,
    applied: Vec<StepLine>,
    environment_id: EnvironmentId,
    /// The first admin key, if it was made now.
    admin_key: Option<&'a str>,
}

/// Applies the steps that are still to be applied, and makes what an empty database lacks.
pub(super) async fn apply(options: &PostgresOptions, context: &Context) -> Result<(), Failure> {
    let output = context.output;
    let steps = migrate::apply(options).await.map_err(cannot_open)?;
    let store = PostgresStore::open_as_guest(options.clone())
        .await
        .map_err(cannot_open)?;
    let mut made = None;
    let prepared = manage::prepare(
        &store,
        &Ids::new(Arc::clone(&context.clock), Arc::clone(&context.entropy)),
        &*context.clock,
        &*context.entropy,
        |key| {
            made = Some(key.clone());
            // People get it before it opens anything: one that nobody has seen must not open everything.
            show(output, key).map_err(|error| FirstStartError::Key { path: None, error })
        },
    )
    .await;
    store.close().await;
    let environment = prepared.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot prepare the database: {error}"),
        )
        .hint("run the command again; a key that it has shown opens nothing")
    })?;
    if output.is_json() {
        return Ok(output.value(&Done {
            database: options.url.to_string(),
            applied: steps.into_iter().map(StepLine::from).collect(),
            environment_id: environment.id,
            admin_key: made.as_ref().map(Secret::expose),
        })?);
    }
    let said = match steps.as_slice() {
        [] => format!("{} had the form that this program needs", options.url),
        [_] => format!("applied 1 step to {}", options.url),
        many => format!("applied {} steps to {}", many.len(), options.url),
    };
    output.note(&said)?;
    if made.is_some() {
        output.note("the admin key is shown only now: keep it where secrets are kept")?;
    }
    Ok(())
}

fn show(output: Output, key: &Secret) -> io::Result<()> {
    if output.is_json() {
        // A program gets it with the rest, in one object.
        return Ok(());
    }
    output.line(&format!("The admin key is {}", key.expose().bold()))
}
