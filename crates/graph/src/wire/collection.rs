//! Pages of lists and of delta queries (Microsoft's "use delta query to track changes" page).

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::text::{Member, or_empty};

/// An entry of a list or of a delta query's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The item's id.
    pub id: String,
    /// That it is gone, and how. A delta query over a window of time also says so of what lies outside the window:
    /// whoever knows the item looks at Graph before believing it.
    pub removed: Option<Removal>,
    /// What changes with the item: `@odata.etag` or `eTag`, else `changeKey` or `cTag`. `None` where Graph gives none,
    /// as for users and groups: then only the object itself tells.
    pub version: Option<String>,
    /// The id of the series of which it is a plain occurrence. Such an entry is computed from the series; notifications
    /// name the series.
    pub occurrence_of: Option<String>,
    /// Its JSON, byte for byte. It may lack members that have not changed, and hold relationships, such as `members@delta`,
    /// that the object of a GET does not have. It keeps the whole page in memory.
    pub object: Bytes,
}

/// How an item is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It may come back: a directory object in the recycle bin, or an item that left what is enumerated.
    Changed,
    /// For good.
    Deleted,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What is on it. The same item may be there more than once; the last is the newest.
    pub entries: Vec<Entry>,
    /// How many more there are that have no id or are no objects.
    pub unreadable: usize,
    /// Where the next page is.
    pub next_link: Option<String>,
    /// Where the next round of a delta query begins.
    pub delta_link: Option<String>,
}

impl Page {
    /// Reads a page.
    pub fn parse(body: &Bytes) -> Result<Self, serde_json::Error> {
        let collection: Collection<'_> = serde_json::from_slice(body)?;
        let mut page = Self {
            entries: Vec::with_capacity(collection.value.len()),
            unreadable: 0,
            next_link: collection.next_link,
            delta_link: collection.delta_link,
        };
        for raw in collection.value {
            match entry(raw, body) {
                Some(entry) => page.entries.push(entry),
                None => page.unreadable += 1,
            }
        }
        Ok(page)
    }
}

#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(rename = "@odata.nextLink", default, deserialize_with = "or_empty")]
    next_link: Option<String>,
    #[serde(rename = "@odata.deltaLink", default, deserialize_with = "or_empty")]
    delta_link: Option<String>,
}

fn entry(raw: &RawValue, body: &Bytes) -> Option<Entry> {
    let head: Head<'_> = serde_json::from_str(raw.get()).ok()?;
    let text = |member: Member<'_>| match member {
        Member::Text(text) if !text.is_empty() => Some(text.into_owned()),
        _ => None,
    };
    let is_occurrence =
        matches!(&head.kind, Member::Text(kind) if kind.eq_ignore_ascii_case("occurrence"));
    Some(Entry {
        id: text(head.id)?,
        removed: head.removed,
        version: head.versions.into_iter().find_map(text),
        occurrence_of: text(head.series).filter(|_| is_occurrence),
        object: body.slice_ref(raw.get().as_bytes()),
    })
}

/// What is looked at of an entry.
#[derive(Default)]
struct Head<'a> {
    id: Member<'a>,
    /// In the order in which they are taken.
    versions: [Member<'a>; 4],
    removed: Option<Removal>,
    kind: Member<'a>,
    series: Member<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Head<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut head = Head::default();
        while let Some(Key(name)) = map.next_key()? {
            match name.as_ref() {
                "id" => head.id = map.next_value()?,
                "@odata.etag" => head.versions[0] = map.next_value()?,
                "eTag" => head.versions[1] = map.next_value()?,
                "changeKey" => head.versions[2] = map.next_value()?,
                "cTag" => head.versions[3] = map.next_value()?,
                "type" => head.kind = map.next_value()?,
                "seriesMasterId" => head.series = map.next_value()?,
                "@removed" => head.removed = removal(map.next_value()?).or(head.removed),
                // A drive's way to say it: a facet, of which only the presence counts.
                "deleted" => {
                    let facet: &RawValue = map.next_value()?;
                    if facet.get().starts_with('{') {
                        head.removed = head.removed.or(Some(Removal::Deleted));
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(head)
    }
}

/// The name of a member, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// `{"reason":"changed"}`. A reason that nobody knows still says that the item is gone.
fn removal(member: &RawValue) -> Option<Removal> {
    #[derive(Deserialize)]
    struct Removed<'a> {
        #[serde(borrow, default)]
        reason: Option<Cow<'a, str>>,
    }
    if member.get() == "null" {
        return None;
    }
    let removed: Option<Removed<'_>> = serde_json::from_str(member.get()).ok();
    match removed.and_then(|removed| removed.reason) {
        Some(reason) if reason.eq_ignore_ascii_case("changed") => Some(Removal::Changed),
        _ => Some(Removal::Deleted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> Page {
        Page::parse(&Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn one(entry: &str) -> Entry {
        let mut page = page(&format!(r#"{{"value":[{entry}]}}"#));
        assert_eq!((page.entries.len(), page.unreadable), (1, 0), "{entry}");
        page.entries.remove(0)
    }

    #[test]
    fn both_reasons_of_a_removal_and_the_deleted_facet_are_read() {
        for (entry, expected) in [
            (
                r#"{"id":"a","@removed":{"reason":"changed"}}"#,
                Some(Removal::Changed),
            ),
            (
                r#"{"id":"a","@removed":{"reason":"deleted"}}"#,
                Some(Removal::Deleted),
            ),
            (
                r#"{"id":"a","@removed":{"reason":"lost"}}"#,
                Some(Removal::Deleted),
            ),
            (r#"{"@removed":{},"id":"a"}"#, Some(Removal::Deleted)),
            (
                r#"{"id":"a","deleted":{"state":"softdeleted"}}"#,
                Some(Removal::Deleted),
            ),
            (r#"{"id":"a","deleted":{}}"#, Some(Removal::Deleted)),
            (r#"{"id":"a","deleted":null,"@removed":null}"#, None),
            (r#"{"id":"a","deleted":false}"#, None),
            (
                r#"{"id":"a","members@delta":[{"id":"b","@removed":{"reason":"deleted"}}]}"#,
                None,
            ),
        ] {
            assert_eq!(one(entry).removed, expected, "{entry}");
        }
    }

    #[test]
    fn the_version_is_the_etag_else_the_change_key() {
        for (entry, expected) in [
            (
                r#"{"changeKey":"k","id":"a","@odata.etag":"W/\"k\""}"#,
                Some("W/\"k\""),
            ),
            (r#"{"id":"a","cTag":"c","eTag":"e"}"#, Some("e")),
            (r#"{"id":"a","changeKey":"k"}"#, Some("k")),
            (r#"{"id":"a","cTag":"c","eTag":""}"#, Some("c")),
            (r#"{"id":"a","displayName":"x","eTag":7}"#, None),
        ] {
            assert_eq!(one(entry).version.as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn an_object_is_kept_byte_for_byte_without_a_copy() {
        let body = Bytes::from_static(b"{\"value\":[ { \"id\" : \"a\", \"n\": 1.50 } ]}");
        let page = Page::parse(&body).unwrap();
        assert_eq!(page.entries[0].object, "{ \"id\" : \"a\", \"n\": 1.50 }");
        assert_eq!(page.entries[0].object.as_ptr(), body[11..].as_ptr());
    }

    #[test]
    fn occurrences_are_seen() {
        let event = one(r#"{"id":"o","type":"occurrence","seriesMasterId":"s"}"#);
        assert_eq!(event.occurrence_of.as_deref(), Some("s"));
        for other in [
            r#"{"id":"o","type":"exception","seriesMasterId":"s"}"#,
            r#"{"id":"o","type":"singleInstance","seriesMasterId":null}"#,
        ] {
            assert_eq!(one(other).occurrence_of, None, "{other}");
        }
    }

    #[test]
    fn what_has_no_id_is_counted_and_hides_nothing_else() {
        let page = page(
            r#"{"@odata.nextLink":"","value":[{"displayName":"x"},{"id":"a"},7,{"id":null},{"id":"b"}],"@odata.deltaLink":"d"}"#,
        );
        let ids: Vec<_> = page.entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(page.unreadable, 3);
        assert_eq!(
            (page.next_link, page.delta_link.as_deref()),
            (None, Some("d"))
        );
        for body in ["{}", "[]", "", r#"{"value":{}}"#] {
            assert!(Page::parse(&Bytes::copy_from_slice(body.as_bytes())).is_err());
        }
    }
}
