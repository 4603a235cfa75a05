//! Takes a path apart into words and ids.

use std::{borrow::Cow, fmt::Write as _};

use super::PathError;

/// Longer ids are nobody's: Graph's longest have some 150 characters, encoded join URLs some 500.
const MAX_PART: usize = 1_024;

/// A part of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// What stands between slashes, decoded: a word or an id.
    Plain(Cow<'a, str>),
    /// What stands in `word('…')`, decoded: always an id.
    Key(Cow<'a, str>),
    /// What stands in `word(name='…')`, as it was written: encoded.
    Named(&'a str, &'a str),
}

/// Takes `path` apart. What is between quotes may contain slashes.
pub(super) fn tokens(path: &str) -> Result<Vec<Token<'_>>, PathError> {
    let mut rest = path.strip_prefix('/').unwrap_or(path);
    let mut tokens = Vec::with_capacity(8);
    loop {
        let end = memchr::memchr2(b'/', b'(', rest.as_bytes()).unwrap_or(rest.len());
        let (segment, tail) = rest.split_at(end);
        tokens.push(Token::Plain(decode(segment)?));
        rest = match tail.strip_prefix('(') {
            Some(inside) => {
                let (key, after) = key(inside).ok_or_else(|| {
                    problem(
                        segment,
                        "has a bracket that does not end in `')`: write `%28`",
                    )
                })?;
                tokens.push(key?);
                after
            }
            None => tail,
        };
        if rest.is_empty() {
            return Ok(tokens);
        }
        rest = rest
            .strip_prefix('/')
            .ok_or_else(|| problem(rest, "follows a bracket"))?;
    }
}

/// Reads `'id')`, `id)` or `name='text')`, and gives what follows.
fn key(inside: &str) -> Option<(Result<Token<'_>, PathError>, &str)> {
    if let Some(quoted) = inside.strip_prefix('\'') {
        let end = closing_quote(quoted)?;
        let after = quoted[end + 1..].strip_prefix(')')?;
        let id = decode(&quoted[..end]).map(|id| {
            Token::Key(if id.contains("''") {
                Cow::Owned(id.replace("''", "'"))
            } else {
                id
            })
        });
        return Some((id, after));
    }
    if let Some((name, quoted)) = inside.split_once("='")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        let end = closing_quote(quoted)?;
        let after = quoted[end + 1..].strip_prefix(')')?;
        return Some((
            encoded(&quoted[..end]).map(|text| Token::Named(name, text)),
            after,
        ));
    }
    let (id, after) = inside.split_once(')')?;
    Some((decode(id).map(Token::Key), after))
}

/// The place of the quote that ends a text; doubled quotes stand for one (the rule of `OData`'s URL conventions).
fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut place = 0;
    while place < bytes.len() {
        if bytes[place] == b'\'' {
            if bytes.get(place + 1) != Some(&b'\'') {
                return Some(place);
            }
            place += 1;
        }
        place += 1;
    }
    None
}

/// Decodes a part once and refuses what could mean something else to whoever decodes again.
fn decode(part: &str) -> Result<Cow<'_, str>, PathError> {
    // Nearly every part is like this, and one look at its bytes shows it.
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'@');
    if !part.is_empty() && part.len() <= MAX_PART && part.bytes().all(plain) {
        return Ok(Cow::Borrowed(part));
    }
    let text = if part.contains('%') {
        Cow::Owned(percent_decode(part).ok_or_else(|| problem(part, "is wrongly encoded"))?)
    } else {
        Cow::Borrowed(part)
    };
    match wrong(&text) {
        None => Ok(text),
        Some(wrong) => Err(problem(part, wrong)),
    }
}

/// What makes a decoded part one that cannot be used.
fn wrong(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > MAX_PART {
        Some("is too long")
    } else if text == "." || text == ".." {
        Some("is no id")
    } else if text.contains(['\\', '%', '?', '#']) {
        Some("has one of \\ % ? #")
    } else if text.chars().any(char::is_control) {
        Some("has a control character")
    } else {
        None
    }
}

/// An id as a part of a path, encoded. It is an id as Graph gives it in JSON, not one from a path.
pub(in crate::resource) fn encode_id(id: &str) -> Result<String, PathError> {
    if let Some(wrong) = wrong(id) {
        return Err(problem(id, wrong));
    }
    let mut encoded = String::with_capacity(id.len() + 8);
    encode(id, b"-._~@=:!,", &mut encoded);
    Ok(encoded)
}

/// Writes `text` with everything encoded that is neither a letter or digit nor in `plain`.
pub(super) fn encode(text: &str, plain: &[u8], into: &mut String) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// Checks a part that stays encoded.
fn encoded(part: &str) -> Result<&str, PathError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%:=&+".contains(&byte);
    let fits = !part.is_empty() && part.len() <= MAX_PART && part.bytes().all(plain);
    if fits && percent_decode(part).is_some() {
        Ok(part)
    } else {
        Err(problem(part, "has to be percent-encoded"))
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        if byte == b'%' {
            let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
            let value = digit(place + 1)? * 16 + digit(place + 2)?;
            decoded.push(u8::try_from(value).ok()?);
            place += 3;
        } else {
            decoded.push(byte);
            place += 1;
        }
    }
    String::from_utf8(decoded).ok()
}

fn problem(part: &str, problem: &'static str) -> PathError {
    PathError::Segment {
        part: part.chars().take(64).collect(),
        problem,
    }
}
