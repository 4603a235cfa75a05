//! The store on PostgreSQL.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de};

use super::Span;

/// Shorter, and a pause of the machine or a slow answer of the database would cost a healthy node its work.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// The store on PostgreSQL.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// The file with the key that secrets are sealed with: the same on every node.
    #[serde(deserialize_with = "optional_path")]
    pub sealing_key_file: Option<PathBuf>,
    /// What this node is called among the others; none means as its machine.
    #[serde(deserialize_with = "optional_name")]
    pub node: Option<String>,
    /// How many connections it may have to the database. At least 6.
    #[serde(deserialize_with = "connections")]
    pub connections: u32,
    /// For how long what a node works on stays its own unless it is renewed. At least 3 s.
    #[serde(deserialize_with = "lease")]
    pub lease: Span,
}

fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| text.into()))
}

/// It stands in logs and in `application_name`, of which PostgreSQL keeps 63 ASCII characters.
fn optional_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > 40 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(de::Error::custom(
            "a node's name has at most 40 ASCII characters and no blanks",
        ));
    }
    Ok((!text.is_empty()).then_some(text))
}

/// One listens, one keeps the leases, one is for the store's health, one for whoever asks, and of what flows, what is read
/// must not wait for what is written.
fn connections<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(deserializer)?;
    if number < 6 {
        return Err(de::Error::custom("a node needs at least 6 connections"));
    }
    Ok(number)
}

fn lease<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let span = Span::deserialize(deserializer)?;
    if span.0 < SHORTEST_LEASE {
        return Err(de::Error::custom("a lease lasts at least 3s"));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError, load};

    fn with(line: &str) -> Result<Config, ConfigError> {
        let file = format!("[postgres]\n{line}\n");
        load(Some(("tidings.toml", &file)), Vec::new(), Vec::new())
    }

    #[test]
    fn what_would_not_work_is_refused() {
        for line in [
            "lease = \"2s\"",
            "connections = 5",
            "node = \"two words\"",
            "node = \"Knöten\"",
        ] {
            assert!(with(line).is_err(), "{line}");
        }
        let config = with("lease = \"3s\"\nnode = \"a\"").unwrap().postgres;
        assert_eq!(config.lease.0.as_secs(), 3);
        assert_eq!(config.node.as_deref(), Some("a"));
        assert_eq!(config.sealing_key_file, None);
    }

    #[test]
    fn the_password_of_the_database_is_in_no_error_and_in_no_debug_output() {
        let url = "postgres://bob:hunter2@db/tidings";
        let file = format!("[store]\ndatabase_url = \"{url}\"\n");
        let config = load(Some(("tidings.toml", &file)), Vec::new(), Vec::new()).unwrap();
        let given = config.store.database_url.as_ref().unwrap();
        assert_eq!(given.expose().as_str(), url);
        assert!(!format!("{config:?}").contains("hunter2"));

        for bad in [url.replace("postgres", "mysql"), url.replace('@', "#@")] {
            let variable = ("TIDINGS__STORE__DATABASE_URL".to_owned(), bad);
            let error = load(None, vec![variable], Vec::new()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
