//! Reads the configuration from its three places: file < environment < flags.

use serde::Deserialize;
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::Config;

/// The commented default file.
pub const DEFAULT: &str = include_str!("default.toml");

/// What is wrong with the configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file is no TOML.
    #[error("{origin}: {problem}")]
    Syntax {
        /// File and line.
        origin: String,
        /// What the parser said.
        problem: String,
    },
    /// A section or key that does not exist.
    #[error("{origin}: there is no setting `{key}`{hint}")]
    Unknown {
        /// File and line, variable, or flag.
        origin: String,
        /// What was set: `egress.alow`.
        key: String,
        /// A near name, as `: did you mean …`, or nothing.
        hint: String,
    },
    /// A value that the setting cannot have.
    #[error("{origin}: `{key}` cannot be set so: {problem}")]
    Value {
        /// File and line, variable, or flag.
        origin: String,
        /// What was set.
        key: String,
        /// Why it cannot.
        problem: String,
    },
}

/// One setting from one place.
#[derive(Clone, Debug)]
pub struct Setting {
    /// File and line, variable, or flag: for the error.
    pub origin: String,
    /// The section.
    pub section: String,
    /// The key in it.
    pub key: String,
    /// What it is set to.
    pub value: Value,
}

/// Puts the configuration together: `file` (its name and text), then `environment` (variables that begin with
/// `TIDINGS__`; others are passed over), then `flags`.
///
/// # Panics
///
/// Never: every setting is tried by itself before all are read together.
pub fn load(
    file: Option<(&str, &str)>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: Vec<Setting>,
) -> Result<Config, ConfigError> {
    let mut settings = match file {
        Some((name, text)) => from_file(name, text)?,
        None => Vec::new(),
    };
    settings.extend(from_environment(environment));
    settings.extend(flags);

    let mut table: Table = DEFAULT
        .parse()
        .expect("invariant: the compiled-in default file is TOML");
    for setting in settings {
        table = overlay(table, setting)?;
    }
    Ok(Config::deserialize(table).expect("invariant: every setting was tried one by one"))
}

fn overlay(table: Table, setting: Setting) -> Result<Table, ConfigError> {
    let Setting {
        origin,
        section,
        key,
        value,
    } = setting;
    let name = format!("{section}.{key}");
    let mut changed = table;
    let place = changed
        .get_mut(&section)
        .and_then(Value::as_table_mut)
        .and_then(|keys| keys.get_mut(&key));
    let Some(place) = place else {
        let hint = nearest(&changed, &name)
            .map(|near| format!(": did you mean `{near}`?"))
            .unwrap_or_default();
        return Err(ConfigError::Unknown {
            origin,
            key: name,
            hint,
        });
    };
    *place = value;
    match Config::deserialize(changed.clone()) {
        Ok(_) => Ok(changed),
        Err(error) => Err(ConfigError::Value {
            origin,
            key: name,
            problem: first_line(error.message()),
        }),
    }
}

fn from_file(name: &str, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let line = |offset: usize| {
        format!(
            "{name} line {}",
            text[..offset.min(text.len())].matches('\n').count() + 1
        )
    };
    // The parser would show the whole line, and with it a password that stands there.
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        origin: error
            .span()
            .map_or_else(|| name.to_owned(), |span| line(span.start)),
        problem: error.message().trim().to_owned(),
    };
    let document = DeTable::parse(text).map_err(syntax)?;
    let table: Table = text.parse().map_err(syntax)?;

    let mut settings = Vec::new();
    for (section, members) in document.get_ref() {
        let (section_name, at) = (section.get_ref().to_string(), section.span().start);
        let DeValue::Table(members) = members.get_ref() else {
            return Err(ConfigError::Unknown {
                origin: line(at),
                key: section_name,
                hint: ": settings stand in sections, such as [server]".to_owned(),
            });
        };
        for key in members.keys() {
            let key_name = key.get_ref().to_string();
            let value = table[&section_name][&key_name].clone();
            settings.push(Setting {
                origin: line(key.span().start),
                section: section_name.clone(),
                key: key_name,
                value,
            });
        }
    }
    Ok(settings)
}

fn from_environment(environment: impl IntoIterator<Item = (String, String)>) -> Vec<Setting> {
    let mut settings: Vec<Setting> = environment
        .into_iter()
        .filter_map(|(name, text)| {
            let (section, key) = name.strip_prefix("TIDINGS__")?.split_once("__")?;
            let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
            Some(Setting {
                value: environment_value(&text),
                origin: name,
                section,
                key,
            })
        })
        .collect();
    settings.sort_by(|a, b| a.origin.cmp(&b.origin));
    settings
}

/// A value as it would stand in the file; a text needs no quotes here.
fn environment_value(text: &str) -> Value {
    format!("value = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn nearest(table: &Table, name: &str) -> Option<String> {
    let known = table.iter().flat_map(|(section, keys)| {
        keys.as_table()
            .into_iter()
            .flat_map(Table::keys)
            .map(move |key| format!("{section}.{key}"))
    });
    let near = known
        .map(|known| (crate::trigger::distance(name, &known), known))
        .min()?;
    (near.0 <= 3).then_some(near.1)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Vec<(String, String)> {
        Vec::new()
    }

    #[test]
    fn the_default_file_is_a_whole_configuration() {
        let config = load(None, none(), Vec::new()).unwrap();
        assert_eq!(config.server.listen.port(), 8080);
        assert_eq!(config.server.public_url, None);
        assert_eq!(config.deliver.retry_schedule.len(), 9);
    }

    #[test]
    fn flags_go_before_the_environment_and_that_before_the_file() {
        let file =
            "[server]\nlisten = \"127.0.0.1:1\"\nmax_connections = 7\nheader_timeout = \"3s\"\n";
        let environment = vec![
            (
                "TIDINGS__SERVER__LISTEN".to_owned(),
                "127.0.0.1:2".to_owned(),
            ),
            (
                "TIDINGS__SERVER__MAX_CONNECTIONS".to_owned(),
                "8".to_owned(),
            ),
        ];
        let flag = Setting {
            origin: "--listen".to_owned(),
            section: "server".to_owned(),
            key: "listen".to_owned(),
            value: Value::String("127.0.0.1:3".to_owned()),
        };
        let config = load(Some(("tidings.toml", file)), environment, vec![flag]).unwrap();
        assert_eq!(config.server.listen.port(), 3);
        assert_eq!(config.server.max_connections, 8);
        assert_eq!(config.server.header_timeout.0.as_secs(), 3);
    }

    #[test]
    fn lists_come_from_the_environment_as_toml() {
        let environment = vec![(
            "TIDINGS__EGRESS__ALLOW".to_owned(),
            r#"["127.0.0.0/8"]"#.to_owned(),
        )];
        assert_eq!(
            load(None, environment, Vec::new())
                .unwrap()
                .egress
                .allow
                .len(),
            1
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_a_near_name() {
        let error = load(
            Some(("tidings.toml", "[egress]\n\nalow = []\n")),
            none(),
            Vec::new(),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "tidings.toml line 3: there is no setting `egress.alow`: did you mean `egress.allow`?"
        );
        let error = load(
            None,
            vec![("TIDINGS__NO__SUCH".to_owned(), "1".to_owned())],
            Vec::new(),
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("TIDINGS__NO__SUCH: there is no setting `no.such`"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line() {
        let error = load(
            Some(("tidings.toml", "[deliver]\ntimeout = \"soon\"\n")),
            none(),
            Vec::new(),
        )
        .unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(
                "tidings.toml line 2: `deliver.timeout` cannot be set so: `soon` is no span"
            ),
            "{text}"
        );
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_place() {
        let error = load(Some(("tidings.toml", "[server\n")), none(), Vec::new()).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        let file = "[store]\n\ndatabase_url = \"postgres://bob:hunter2@db/tidings\n";
        let error = load(Some(("tidings.toml", file)), none(), Vec::new()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("tidings.toml line 3: "), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
