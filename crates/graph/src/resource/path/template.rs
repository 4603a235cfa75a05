//! The table's templates, taken apart once, and the search for the one that fits a path.

use std::sync::LazyLock;

use super::{
    MAX_PATH, PathError,
    filled::Filled,
    token::{self, Token},
};
use crate::resource::table::{ROWS, ResourceRow};

/// A template of a row.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) row: &'static ResourceRow,
    /// As it stands in the table, also for the form that begins with `me`.
    pub(super) text: &'static str,
    pub(super) parts: Vec<Part>,
}

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A word of Graph.
    Word(&'static str),
    /// An id, by the name of what it is the id of.
    Id(&'static str),
    /// `word(name={…})`: a text by a name.
    Named(&'static str),
    /// Whatever follows.
    Rest(&'static str),
}

pub(super) fn subscriptions() -> &'static [Template] {
    static COMPILED: LazyLock<Vec<Template>> = LazyLock::new(|| compile(|row| row.subscriptions));
    &COMPILED
}

pub(super) fn items() -> &'static [Template] {
    static COMPILED: LazyLock<Vec<Template>> = LazyLock::new(|| compile(|row| row.items));
    &COMPILED
}

fn compile(templates: impl Fn(&'static ResourceRow) -> &'static [&'static str]) -> Vec<Template> {
    let mut compiled = Vec::new();
    for &row in ROWS {
        for &text in templates(row) {
            let parts = parts(text);
            // Whatever can be asked of a user by id can be asked of the signed-in one, but for the list of users.
            if let [Part::Word("users"), Part::Id("user"), rest @ ..] = parts.as_slice()
                && !rest.is_empty()
            {
                let mut own = vec![Part::Word("me")];
                own.extend_from_slice(rest);
                compiled.push(Template {
                    row,
                    text,
                    parts: own,
                });
            }
            compiled.push(Template { row, text, parts });
        }
    }
    // `teams/getAllMembers` is no team by that id: words go before ids.
    compiled.sort_by_key(|template| {
        let is_open = |part: &&Part| !matches!(part, Part::Word(_));
        template.parts.iter().filter(is_open).count()
    });
    compiled
}

fn parts(text: &'static str) -> Vec<Part> {
    let mut parts = Vec::new();
    for segment in text.split('/') {
        let id = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        if let Some(id) = id {
            parts.push(match id.strip_suffix('*') {
                Some(rest) => Part::Rest(rest),
                None => Part::Id(id),
            });
        } else if let Some((word, key)) = segment.split_once('(') {
            let name = key.split('=').next().unwrap_or(key);
            parts.extend([Part::Word(word), Part::Named(name)]);
        } else {
            parts.push(Part::Word(segment));
        }
    }
    parts
}

/// Reads `path` as one of `templates`.
pub(super) fn fill(path: &str, templates: &'static [Template]) -> Result<Filled, PathError> {
    if path.is_empty() || path == "/" {
        return Err(PathError::Empty);
    }
    if path.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    if path.contains("://") && !path.contains('(') {
        return Err(PathError::AbsoluteUrl);
    }
    let tokens = token::tokens(path)?;
    templates
        .iter()
        .find(|template| template.fits(&tokens))
        .map(|template| Filled::new(template, &tokens))
        .ok_or_else(|| PathError::Unknown {
            path: path.chars().take(128).collect(),
            offered: nearest(&tokens, templates),
        })
}

impl Template {
    fn fits(&self, tokens: &[Token<'_>]) -> bool {
        match self.parts.split_last() {
            Some((Part::Rest(_), before)) => {
                tokens.len() > before.len()
                    && before
                        .iter()
                        .zip(tokens)
                        .all(|(part, token)| part.fits(token))
                    && tokens[before.len()..]
                        .iter()
                        .all(|token| matches!(token, Token::Plain(_)))
            }
            _ => {
                self.parts.len() == tokens.len()
                    && self
                        .parts
                        .iter()
                        .zip(tokens)
                        .all(|(part, token)| part.fits(token))
            }
        }
    }
}

impl Part {
    fn fits(self, token: &Token<'_>) -> bool {
        match (self, token) {
            (Self::Word(word), Token::Plain(text)) => text.eq_ignore_ascii_case(word),
            (Self::Id(_), Token::Plain(_) | Token::Key(_)) => true,
            (Self::Named(wanted), Token::Named(name, _)) => name.eq_ignore_ascii_case(wanted),
            _ => false,
        }
    }
}

/// The templates that begin with the same word, else one of every first word.
fn nearest(tokens: &[Token<'_>], templates: &'static [Template]) -> String {
    let first = match tokens.first() {
        Some(Token::Plain(word)) if word.eq_ignore_ascii_case("me") => "users",
        Some(Token::Plain(word)) => word,
        _ => "",
    };
    let begins = |text: &str| text.split('/').next().unwrap_or(text).to_owned();
    let mut offered: Vec<String> = templates
        .iter()
        .filter(|template| begins(template.text).eq_ignore_ascii_case(first))
        .map(|template| template.text.to_owned())
        .collect();
    if offered.is_empty() {
        offered = templates
            .iter()
            .map(|template| format!("{}/…", begins(template.text)))
            .collect();
    }
    offered.dedup();
    let mut seen = Vec::new();
    offered.retain(|text| {
        let new = !seen.contains(text);
        seen.push(text.clone());
        new
    });
    offered.join(", ")
}
