//! Between the words of the domain and PostgreSQL's columns.

use std::{borrow::Cow, fmt, str::FromStr};

use bytes::Bytes;
use sqlx::{Decode, Postgres, Row as _, Type, postgres::PgRow};
use tidings_domain::{Secret, Timestamp, trigger::Trigger};

use super::trouble::Undone;
use crate::{
    Lease, StoreError, checksum,
    seal::{Place, Seal},
};

/// Text as PostgreSQL can hold it: it knows no NUL, which JSON and so Graph's texts can have. U+FFFD stands for it.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// [`text`] of what may be missing.
pub(super) fn text_if_any(some: Option<&str>) -> Option<Cow<'_, str>> {
    some.map(text)
}

/// An id or word as the text that it is displayed as.
pub(super) fn shown(value: Option<impl fmt::Display>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// A point in time.
pub(super) fn time(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millis)
}

/// A number as PostgreSQL can hold it.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The members of a list as text with commas between.
pub(super) fn list<T: fmt::Display>(members: &[T]) -> String {
    let words: Vec<String> = members.iter().map(ToString::to_string).collect();
    words.join(",")
}

/// The numbers of the shards of these leases.
pub(super) fn shards(leases: &[Lease]) -> Vec<i16> {
    let numbers = leases.iter().map(|lease| lease.shard().get());
    numbers.map(i16::from).collect()
}

/// Reads the columns of a row one after the other, in the order of the SELECT.
pub(super) struct Columns<'a> {
    row: &'a PgRow,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn new(row: &'a PgRow) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn value<T>(&mut self) -> Result<T, Undone>
    where
        T: Decode<'a, Postgres> + Type<Postgres>,
    {
        let place = self.next;
        self.next += 1;
        self.row
            .try_get(place)
            .map_err(|error| corrupt(place, &error))
    }

    /// A number that cannot be negative.
    pub(super) fn count(&mut self) -> Result<u32, Undone> {
        let place = self.next;
        let number: i32 = self.value()?;
        u32::try_from(number).map_err(|error| corrupt(place, &error))
    }

    /// A large number that cannot be negative.
    pub(super) fn number(&mut self) -> Result<u64, Undone> {
        let place = self.next;
        let number: i64 = self.value()?;
        u64::try_from(number).map_err(|error| corrupt(place, &error))
    }

    /// An HTTP status, if there is one.
    pub(super) fn status(&mut self) -> Result<Option<u16>, Undone> {
        let place = self.next;
        let status: Option<i32> = self.value()?;
        status
            .map(u16::try_from)
            .transpose()
            .map_err(|error| corrupt(place, &error))
    }

    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self) -> Result<T, Undone> {
        let place = self.next;
        let text: &str = self.value()?;
        text.parse().map_err(|error| corrupt(place, &error))
    }

    pub(super) fn parsed_if_any<T: FromStr<Err: fmt::Display>>(
        &mut self,
    ) -> Result<Option<T>, Undone> {
        let place = self.next;
        let text: Option<&str> = self.value()?;
        text.map(str::parse)
            .transpose()
            .map_err(|error| corrupt(place, &error))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Undone> {
        self.value().map(Timestamp::from_millis)
    }

    pub(super) fn time_if_any(&mut self) -> Result<Option<Timestamp>, Undone> {
        Ok(self.value::<Option<i64>>()?.map(Timestamp::from_millis))
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, Undone> {
        self.value::<&[u8]>().map(Bytes::copy_from_slice)
    }

    /// Bytes behind their checksum, which was computed before they left the node that wrote them.
    pub(super) fn checked_bytes(&mut self) -> Result<Bytes, Undone> {
        let expected: i64 = self.value()?;
        let bytes = self.bytes()?;
        if checksum::of(&bytes) == expected {
            Ok(bytes)
        } else {
            Err(corrupt(
                self.next - 1,
                &"the bytes are not those that were written",
            ))
        }
    }

    /// One of the words of `all`.
    pub(super) fn word<T: Copy>(
        &mut self,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<T, Undone> {
        let place = self.next;
        self.word_if_any(all, word)?
            .ok_or_else(|| corrupt(place, &"a word is missing"))
    }

    pub(super) fn word_if_any<T: Copy>(
        &mut self,
        all: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>, Undone> {
        let place = self.next;
        let Some(text) = self.value::<Option<&str>>()? else {
            return Ok(None);
        };
        let found = all.iter().copied().find(|&one| word(one) == text);
        found.map_or_else(
            || Err(corrupt(place, &format_args!("unknown word `{text}`"))),
            |one| Ok(Some(one)),
        )
    }

    pub(super) fn trigger(&mut self) -> Result<Trigger, Undone> {
        let place = self.next;
        let text: &str = self.value()?;
        Trigger::parse(text).map_err(|error| corrupt(place, &error))
    }

    /// The members of a list that is kept as text with commas between.
    pub(super) fn list<T, E: fmt::Display>(
        &mut self,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, Undone> {
        let place = self.next;
        let text: &str = self.value()?;
        text.split(',')
            .filter(|word| !word.is_empty())
            .map(|word| parse(word).map_err(|error| corrupt(place, &error)))
            .collect()
    }

    /// Opens a sealed column.
    pub(super) fn secret(&mut self, seal: &Seal, of: Place<'_>) -> Result<Secret, Undone> {
        let place = self.next;
        let sealed: &[u8] = self.value()?;
        seal.open(of, sealed).map_err(|error| {
            let Place { table, column, row } = of;
            corrupt(place, &format_args!("{table}.{column} of {row}: {error}"))
        })
    }

    /// Passes over a column.
    pub(super) fn skip(&mut self) {
        self.next += 1;
    }
}

/// What was read, or `None` if that row, and only that, is damaged: it stays where it is, others must not wait for it.
pub(super) fn unless_damaged<T>(read: Result<T, Undone>) -> Result<Option<T>, Undone> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Undone::Refused(error @ StoreError::Corrupt { .. })) => {
            tracing::error!(%error, "a damaged row is left out");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn corrupt(column: usize, why: &dyn fmt::Display) -> Undone {
    Undone::Refused(StoreError::Corrupt {
        detail: format!("column {column}: {why}"),
    })
}
