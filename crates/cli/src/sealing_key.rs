//! `tidings sealing-key`: the key that secrets are sealed with, where several nodes share a store.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use tidings_storage::seal::{KeyFileError, SealingKey};

use crate::{
    context::Context,
    exit::{Exit, Failure},
};

/// What can be done with sealing keys.
#[derive(Clone, Debug, Subcommand)]
pub enum SealingKeyNoun {
    /// Make a sealing key, once for a database; every node gets the same file
    Create(Create),
}

/// Where the key goes.
#[derive(Args, Clone, Debug)]
pub struct Create {
    /// The file to make, readable by its owner alone; one that is there is not touched
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// What is told of the new key.
#[derive(Debug, Serialize)]
struct Created<'a> {
    sealing_key_file: &'a std::path::Path,
    id: String,
}

impl SealingKeyNoun {
    /// Does it.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Create(arguments) => arguments.run(context),
        }
    }
}

impl Create {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let made = SealingKey::create_file(&self.file, &*context.entropy);
        let key = made.map_err(|error| {
            let failure = Failure::new(Exit::Failed, error.to_string());
            match error {
                KeyFileError::Exists { .. } => failure.hint("name another file for a new key"),
                _ => failure,
            }
        })?;
        let (output, id) = (context.output, key.id().to_string());
        if output.is_json() {
            return Ok(output.value(&Created {
                sealing_key_file: &self.file,
                id,
            })?);
        }
        output.line(&format!(
            "Made the sealing key {id} in {}",
            self.file.display()
        ))?;
        Ok(output.note(
            "what is sealed with it cannot be opened without it: keep a backup of it, apart from the database's",
        )?)
    }
}
