//! Between the words of the domain and SQLite's columns.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use rusqlite::{
    Result, Row, ToSql,
    types::{FromSql, ToSqlOutput, Type, Value},
};
use tidings_domain::{Secret, Timestamp, ids::Compact, trigger::Trigger};

pub(super) use crate::checksum::of as checksum;
use crate::seal::{Place, Seal};

/// Binds a value as the text that it is displayed as.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> ToSql for Text<T> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Text(self.0.to_string())))
    }
}

/// Binds a point in time.
pub(super) struct Time(pub(super) Timestamp);

impl ToSql for Time {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Integer(self.0.as_millis())))
    }
}

/// What stands in a column is not what must stand there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreadable(String);

/// Reads the columns of a row one after the other, in the order of the SELECT.
pub(super) struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn new(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn value<T: FromSql>(&mut self) -> Result<T> {
        let place = self.next;
        self.next += 1;
        self.row.get(place)
    }

    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self) -> Result<T> {
        let place = self.next;
        self.next += 1;
        let text = self.row.get_ref(place)?.as_str()?;
        text.parse().map_err(|error| unreadable(place, &error))
    }

    pub(super) fn parsed_if_any<T: FromStr<Err: fmt::Display>>(&mut self) -> Result<Option<T>> {
        let place = self.next;
        self.next += 1;
        let Some(text) = self.row.get_ref(place)?.as_str_or_null()? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|error| unreadable(place, &error))
    }

    pub(super) fn id<T: Compact>(&mut self) -> Result<T> {
        self.value().map(T::from_bytes)
    }

    pub(super) fn id_if_any<T: Compact>(&mut self) -> Result<Option<T>> {
        Ok(self.value::<Option<[u8; 16]>>()?.map(T::from_bytes))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp> {
        self.value().map(Timestamp::from_millis)
    }

    pub(super) fn time_if_any(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.value::<Option<i64>>()?.map(Timestamp::from_millis))
    }

    /// A number that cannot be negative.
    pub(super) fn number(&mut self) -> Result<u64> {
        let place = self.next;
        let number: i64 = self.value()?;
        u64::try_from(number).map_err(|error| unreadable(place, &error))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes> {
        self.value::<Vec<u8>>().map(Bytes::from)
    }

    /// Bytes behind their checksum. A disk can give back other bytes than it was given, and SQLite would not notice.
    pub(super) fn checked_bytes(&mut self) -> Result<Bytes> {
        let expected: i64 = self.value()?;
        let bytes = self.bytes()?;
        if checksum(&bytes) == expected {
            Ok(bytes)
        } else {
            Err(unreadable(
                self.next - 1,
                &"the bytes are not those that were written",
            ))
        }
    }

    /// One of the words of `all`.
    pub(super) fn word<T: Copy>(&mut self, all: &[T], word: fn(T) -> &'static str) -> Result<T> {
        let place = self.next;
        match self.word_if_any(all, word)? {
            Some(one) => Ok(one),
            None => Err(unreadable(place, &"a word is missing")),
        }
    }

    pub(super) fn word_if_any<T: Copy>(
        &mut self,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>> {
        let place = self.next;
        self.next += 1;
        let Some(text) = self.row.get_ref(place)?.as_str_or_null()? else {
            return Ok(None);
        };
        let found = all.iter().copied().find(|&one| word(one) == text);
        found.map_or_else(
            || Err(unreadable(place, &format_args!("unknown word `{text}`"))),
            |one| Ok(Some(one)),
        )
    }

    pub(super) fn trigger(&mut self) -> Result<Trigger> {
        let place = self.next;
        self.next += 1;
        let text = self.row.get_ref(place)?.as_str()?;
        Trigger::parse(text).map_err(|error| unreadable(place, &error))
    }

    /// The members of a list that is kept as text with commas between.
    pub(super) fn list<T, E: fmt::Display>(
        &mut self,
        parse: impl Fn(&str) -> std::result::Result<T, E>,
    ) -> Result<Vec<T>> {
        let place = self.next;
        self.next += 1;
        let text = self.row.get_ref(place)?.as_str()?;
        text.split(',')
            .filter(|word| !word.is_empty())
            .map(|word| parse(word).map_err(|error| unreadable(place, &error)))
            .collect()
    }

    /// Opens a sealed column.
    pub(super) fn secret(&mut self, seal: &Seal, of: Place<'_>) -> Result<Secret> {
        let place = self.next;
        self.next += 1;
        let sealed = self.row.get_ref(place)?.as_blob()?;
        seal.open(of, sealed).map_err(|error| {
            let Place { table, column, row } = of;
            unreadable(place, &format_args!("{table}.{column} of {row}: {error}"))
        })
    }
}

/// What was read, or `None` if that row, and only that, is damaged: it stays where it is, others must not wait for it.
pub(super) fn unless_damaged<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error @ rusqlite::Error::FromSqlConversionFailure(..)) => {
            tracing::error!(%error, "a damaged row is left out");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A number as SQLite can hold it.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The members of a list as text with commas between.
pub(super) fn list<T: fmt::Display>(members: &[T]) -> String {
    let mut text = String::new();
    for (place, member) in members.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(&member.to_string());
    }
    text
}

pub(super) fn unreadable(column: usize, why: &dyn fmt::Display) -> rusqlite::Error {
    let why = Box::new(Unreadable(why.to_string()));
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, why)
}
