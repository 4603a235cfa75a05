//! Pages of lists: `{"data":[…],"next_cursor":…}`.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, de};
use tidings_domain::page::{Cursor, Listing, Page, PageLimit};
use tidings_storage::StoreError;

use crate::problem::Problem;

/// The parameter `limit`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit(PageLimit);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = u32::deserialize(deserializer)?;
        PageLimit::new(limit).map(Self).map_err(de::Error::custom)
    }
}

/// The parameter `cursor`: what `next_cursor` was in the page before.
#[derive(Debug)]
pub(crate) struct After(Cursor);

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).map(Self).ok_or_else(|| {
            de::Error::custom("this is no cursor: take `next_cursor` of the page before as it is")
        })
    }
}

/// The query of lists that cannot be narrowed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<After>,
}

impl PageQuery {
    /// The page that is asked for.
    pub(crate) fn page(self) -> Page {
        page(self.limit, self.cursor)
    }
}

/// The query of tables, which are always given whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// The page that a request asks for.
pub(crate) fn page(limit: Limit, cursor: Option<After>) -> Page {
    Page {
        after: cursor.map(|After(cursor)| cursor),
        limit: limit.0,
    }
}

/// One page as it is answered.
#[derive(Debug, Serialize)]
struct Answer<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

/// Answers one page, each entry shown by `show`.
pub(crate) fn answer<'a, T, J: Serialize>(
    listing: &'a Listing<T>,
    show: impl FnMut(&'a T) -> J,
) -> Response {
    Json(Answer {
        data: listing.items.iter().map(show).collect(),
        next_cursor: listing.next.as_ref().map(written),
    })
    .into_response()
}

/// As [`answer`], where an entry may turn out not to be showable.
pub(crate) fn try_answer<'a, T, J: Serialize>(
    listing: &'a Listing<T>,
    show: impl FnMut(&'a T) -> Result<J, Problem>,
) -> Result<Response, Problem> {
    let data: Vec<J> = listing.items.iter().map(show).collect::<Result<_, _>>()?;
    let next_cursor = listing.next.as_ref().map(written);
    Ok(Json(Answer { data, next_cursor }).into_response())
}

/// The page of a list that the store gives whole, because it is short. `id` names an entry.
pub(crate) fn cut<T>(
    all: Vec<T>,
    page: Page,
    id: impl Fn(&T) -> String,
) -> Result<Listing<T>, Problem> {
    let skip = match page.after {
        None => 0,
        Some(Cursor(after)) => {
            let place = all.iter().position(|entry| id(entry) == after);
            1 + place.ok_or(StoreError::InvalidCursor)?
        }
    };
    let limit = usize::try_from(page.limit.get()).unwrap_or(usize::MAX);
    let more = all.len() > skip.saturating_add(limit);
    let items: Vec<T> = all.into_iter().skip(skip).take(limit).collect();
    let next = items.last().filter(|_| more).map(|last| Cursor(id(last)));
    Ok(Listing { items, next })
}

/// Answers a table, which is always given whole.
pub(crate) fn table<J: Serialize>(data: Vec<J>) -> Response {
    Json(Answer {
        data,
        next_cursor: None,
    })
    .into_response()
}

/// A cursor as it is shown. The store's are texts of its own making; in base64 nobody is tempted to build one.
pub(crate) fn written(cursor: &Cursor) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&cursor.0)
}

fn read(text: &str) -> Option<Cursor> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    String::from_utf8(bytes).ok().map(Cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_out_and_back_in() {
        let cursor = Cursor("ntf_01J/+?&=ü".to_owned());
        let text = written(&cursor);
        assert!(
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
        assert_eq!(read(&text), Some(cursor));
    }

    #[test]
    fn pages_of_a_short_list_follow_each_other_to_the_end() {
        let page = |after: Option<&str>, limit| {
            let after = after.map(|after| Cursor(after.to_owned()));
            let limit = PageLimit::new(limit).unwrap();
            let listing = cut(vec!['a', 'b', 'c'], Page { after, limit }, char::to_string).ok()?;
            Some((listing.items, listing.next.map(|Cursor(next)| next)))
        };
        assert_eq!(page(None, 2), Some((vec!['a', 'b'], Some("b".to_owned()))));
        assert_eq!(page(Some("b"), 2), Some((vec!['c'], None)));
        assert_eq!(page(None, 3), Some((vec!['a', 'b', 'c'], None)));
        assert_eq!(page(Some("c"), 1), Some((vec![], None)));
        assert_eq!(page(Some("x"), 1), None);
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for text in ["%", "a", "_w"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
