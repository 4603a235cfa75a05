//! The configuration: file < environment < flags.

use std::{fs, io, path::Path};

use tidings_domain::config::{self, Config, Setting};

use crate::{
    context::Context,
    exit::{Exit, Failure},
};

/// The file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "tidings.toml";

/// Puts the configuration together: `named` or the default file, the environment, and what flags say.
pub(crate) fn load(
    named: Option<&Path>,
    flags: Vec<Setting>,
    context: &Context,
) -> Result<Config, Failure> {
    let file = read(named)?;
    let file = file
        .as_ref()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    config::load(file, context.variables.clone(), flags).map_err(|error| {
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

/// What a flag sets, if it was given.
pub(crate) fn flag(
    flag: &str,
    section: &str,
    key: &str,
    value: Option<impl Into<String>>,
) -> Option<Setting> {
    value.map(|value| setting(flag, section, key, toml::Value::String(value.into())))
}

/// What a flag without a value sets, if it was given.
pub(crate) fn switch(flag: &str, section: &str, key: &str, given: bool) -> Option<Setting> {
    given.then(|| setting(flag, section, key, toml::Value::Boolean(true)))
}

fn setting(flag: &str, section: &str, key: &str, value: toml::Value) -> Setting {
    Setting {
        origin: flag.to_owned(),
        section: section.to_owned(),
        key: key.to_owned(),
        value,
    }
}
