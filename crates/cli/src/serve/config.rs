//! The configuration of `tidings serve`: file < environment < flags.

use std::{fs, io, path::Path};

use tidings_domain::config::{self, Config, Setting};

use super::Serve;
use crate::{
    context::Context,
    exit::{Exit, Failure},
};

/// The file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "tidings.toml";

/// Puts the configuration together.
pub(super) fn load(arguments: &Serve, context: &Context) -> Result<Config, Failure> {
    let file = read(arguments.config.as_deref())?;
    let file = file
        .as_ref()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    config::load(file, context.variables.clone(), settings(arguments)).map_err(|error| {
        Failure::new(Exit::Usage, error.to_string())
            .code("configuration")
            .hint("docs/reference/configuration.md lists every setting")
    })
}

fn read(named: Option<&Path>) -> Result<Option<(String, String)>, Failure> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(
            Exit::Usage,
            format!("cannot read the configuration {}: {error}", path.display()),
        )
        .code("configuration")),
    }
}

fn settings(arguments: &Serve) -> Vec<Setting> {
    let flag = |flag: &str, section: &str, key: &str, value: Option<String>| {
        value.map(|value| Setting {
            origin: flag.to_owned(),
            section: section.to_owned(),
            key: key.to_owned(),
            value: toml::Value::String(value),
        })
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    [
        flag("--listen", "server", "listen", arguments.listen.clone()),
        flag(
            "--public-url",
            "server",
            "public_url",
            arguments.public_url.clone(),
        ),
        flag(
            "--data-dir",
            "store",
            "data_dir",
            arguments.data_dir.as_deref().map(text),
        ),
        flag("--log-level", "log", "level", arguments.log_level.clone()),
        flag(
            "--log-format",
            "log",
            "format",
            arguments.log_format.clone(),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}
