//! Which PostgreSQL keeps everything.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use url::Url;

/// What is wrong with the URL of a database. It does not repeat the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It names no host.
    #[error("the URL of the database names no host")]
    NoHost,
    /// It names no database.
    #[error(
        "the URL of the database names no database: put its name after the host, as in postgres://host/tidings"
    )]
    NoDatabase,
    /// It is no URL of PostgreSQL.
    #[error(
        "it must begin with `{SCHEME}`; for SQLite leave it empty and name the data folder instead"
    )]
    NotPostgres,
    /// It is no URL.
    #[error(
        "it is no URL like postgres://user:password@host:5432/database (characters such as `@`, `/` and `#` in the \
         password are written as %40, %2F and %23)"
    )]
    Malformed,
}

const SCHEME: &str = "postgres://";

/// The URL of a PostgreSQL database. What it shows of itself is host, port and database: neither user nor password nor
/// parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Url);

impl DatabaseUrl {
    /// Reads `postgres://…` or `postgresql://…`.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        let url = Url::parse(text).map_err(|_| DatabaseUrlError::Malformed)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(DatabaseUrlError::NotPostgres);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(DatabaseUrlError::NoHost);
        }
        if url.path().len() < 2 {
            return Err(DatabaseUrlError::NoDatabase);
        }
        Ok(Self(url))
    }

    /// The URL itself, password included. Every call is a place to look at in a review.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL, or nothing where the text is empty.
pub(super) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DatabaseUrl>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    DatabaseUrl::parse(&text)
        .map(Some)
        .map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_where_it_is_and_nothing_secret() {
        for text in [
            "postgres://bob:hunter2@db.example:5433/tidings?password=hunter2&sslmode=require",
            "postgresql://bob:hunter2@db.example:5433/tidings#hunter2",
        ] {
            let url = DatabaseUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), "postgres://db.example:5433/tidings");
            assert_eq!(format!("{url:?}"), url.to_string());
            assert_eq!(url.expose().as_str(), text);
        }
    }

    #[test]
    fn what_is_none_is_refused_without_being_repeated() {
        let cases = [
            (
                "postgres://bob:hun#ter2@db/tidings",
                DatabaseUrlError::Malformed,
            ),
            ("hunter2", DatabaseUrlError::Malformed),
            (
                "mysql://bob:hunter2@db/tidings",
                DatabaseUrlError::NotPostgres,
            ),
            ("sqlite:tidings-data", DatabaseUrlError::NotPostgres),
            ("postgres:///tidings", DatabaseUrlError::NoHost),
            ("postgres://bob:hunter2@db", DatabaseUrlError::NoDatabase),
            ("postgres://bob:hunter2@db/", DatabaseUrlError::NoDatabase),
        ];
        for (text, expected) in cases {
            let error = DatabaseUrl::parse(text).unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
