//! One item of a collection: one pass over its members, without a tree of values.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use tidings_domain::notification::LifecycleEvent;
use uuid::Uuid;

use super::{ChangeNotification, ItemError, ResourceData};
use crate::wire::text::Member;

/// Longer ids are nobody's: Graph's subscription ids are GUIDs of 36 characters.
const MAX_SUBSCRIPTION_ID: usize = 128;

const ID: usize = 0;
const SUBSCRIPTION_ID: usize = 1;
const CHANGE_TYPE: usize = 2;
const RESOURCE: usize = 3;
const CLIENT_STATE: usize = 4;
const TENANT_ID: usize = 5;
const EXPIRES_AT: usize = 6;
const LIFECYCLE_EVENT: usize = 7;
const ENCRYPTED_CONTENT: usize = 8;
const RESOURCE_DATA: usize = 9;

/// The members of an item in the documented casing, at the places above.
const ITEM_NAMES: [&str; 10] = [
    "id",
    "subscriptionId",
    "changeType",
    "resource",
    "clientState",
    "tenantId",
    "subscriptionExpirationDateTime",
    "lifecycleEvent",
    "encryptedContent",
    "resourceData",
];

const DATA_TYPE: usize = 0;
const DATA_PATH: usize = 1;
const DATA_ETAG: usize = 2;
const DATA_ID: usize = 3;
const DATA_SEQUENCE: usize = 4;
const DATA_ORGANIZATION: usize = 5;

/// The members of `resourceData` in the documented casing, at the places above.
const DATA_NAMES: [&str; 6] = [
    "@odata.type",
    "@odata.id",
    "@odata.etag",
    "id",
    "sequenceNumber",
    "organizationId",
];

/// What an item says.
pub(super) fn parse(raw: &RawValue) -> Result<ChangeNotification<'_>, ItemError> {
    if !raw.get().starts_with('{') {
        return Err(ItemError::NotAnObject);
    }
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    let members = reader
        .deserialize_map(ItemVisitor)
        .map_err(|error| ItemError::Unreadable {
            detail: error.to_string(),
        })?;
    notification(members)
}

fn notification(members: ItemMembers<'_>) -> Result<ChangeNotification<'_>, ItemError> {
    let ItemMembers {
        mut values,
        data,
        duplicate,
    } = members;
    if let Some(member) = duplicate {
        return Err(ItemError::Duplicate { member });
    }
    let mut text = |place: usize| text(ITEM_NAMES[place], std::mem::take(&mut values[place]));

    let subscription_id = text(SUBSCRIPTION_ID)?.ok_or(ItemError::Missing {
        member: ITEM_NAMES[SUBSCRIPTION_ID],
    })?;
    if subscription_id.len() > MAX_SUBSCRIPTION_ID {
        return Err(ItemError::Invalid {
            member: ITEM_NAMES[SUBSCRIPTION_ID],
            problem: "too long",
        });
    }
    let change_type = text(CHANGE_TYPE)?.map(|word| word.parse()).transpose()?;
    let lifecycle_event: Option<LifecycleEvent> = text(LIFECYCLE_EVENT)?
        .map(|word| word.parse())
        .transpose()?;
    let resource = text(RESOURCE)?;
    match (change_type, lifecycle_event) {
        (Some(_), Some(_)) => return Err(ItemError::Ambiguous),
        (None, None) => {
            return Err(ItemError::Missing {
                member: ITEM_NAMES[CHANGE_TYPE],
            });
        }
        (Some(_), None) if resource.is_none() => {
            return Err(ItemError::Missing {
                member: ITEM_NAMES[RESOURCE],
            });
        }
        _ => {}
    }
    Ok(ChangeNotification {
        id: text(ID)?,
        subscription_id: lower_case(subscription_id),
        subscription_expires_at: text(EXPIRES_AT)
            .ok()
            .flatten()
            .and_then(|time| time.parse().ok()),
        client_state: text(CLIENT_STATE)?,
        change_type,
        lifecycle_event,
        resource,
        tenant_id: text(TENANT_ID)?
            .map(|id| guid(ITEM_NAMES[TENANT_ID], &id))
            .transpose()?,
        resource_data: match data {
            Data::Absent => None,
            Data::Object(values) => Some(resource_data(values)?),
            Data::Other => {
                return Err(ItemError::Invalid {
                    member: ITEM_NAMES[RESOURCE_DATA],
                    problem: "no object",
                });
            }
        },
        encrypted: !matches!(values[ENCRYPTED_CONTENT], Member::Absent),
    })
}

fn resource_data(
    mut values: [Member<'_>; DATA_NAMES.len()],
) -> Result<ResourceData<'_>, ItemError> {
    let mut text = |place: usize| text(DATA_NAMES[place], std::mem::take(&mut values[place]));
    Ok(ResourceData {
        odata_type: text(DATA_TYPE)?,
        odata_id: text(DATA_PATH)?,
        etag: text(DATA_ETAG)?,
        id: text(DATA_ID)?,
        sequence_number: text(DATA_SEQUENCE)?,
        organization_id: text(DATA_ORGANIZATION)?.and_then(|id| id.parse().ok()),
    })
}

/// A member that is a text; the empty text counts as none.
fn text<'a>(member: &'static str, value: Member<'a>) -> Result<Option<Cow<'a, str>>, ItemError> {
    match value {
        Member::Absent => Ok(None),
        Member::Text(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Member::Number(number) => Ok(Some(Cow::Owned(number.to_string()))),
        Member::Other => Err(ItemError::Invalid {
            member,
            problem: "no text",
        }),
    }
}

fn guid(member: &'static str, text: &str) -> Result<Uuid, ItemError> {
    text.parse().map_err(|_| ItemError::Invalid {
        member,
        problem: "no GUID",
    })
}

fn lower_case(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        text
    }
}

struct ItemMembers<'a> {
    /// In the order of `ITEM_NAMES`, without the last.
    values: [Member<'a>; RESOURCE_DATA],
    data: Data<'a>,
    duplicate: Option<&'static str>,
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = ItemMembers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a notification")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = ItemMembers {
            values: Default::default(),
            data: Data::Absent,
            duplicate: None,
        };
        let mut seen = Seen::default();
        while let Some(place) = map.next_key_seed(Place(&ITEM_NAMES))? {
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.again(place) {
                members.duplicate = Some(ITEM_NAMES[place]);
            }
            if place == RESOURCE_DATA {
                let data: DataMembers<'de> = map.next_value()?;
                members.duplicate = members.duplicate.or(data.duplicate);
                members.data = data.data;
            } else {
                members.values[place] = map.next_value()?;
            }
        }
        Ok(members)
    }
}

/// `resourceData`.
enum Data<'a> {
    Absent,
    Object([Member<'a>; DATA_NAMES.len()]),
    Other,
}

struct DataMembers<'a> {
    data: Data<'a>,
    duplicate: Option<&'static str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for DataMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl DataVisitor {
    const fn other() -> DataMembers<'static> {
        DataMembers {
            data: Data::Other,
            duplicate: None,
        }
    }
}

impl<'de> Visitor<'de> for DataVisitor {
    type Value = DataMembers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a notification")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values: [Member<'de>; DATA_NAMES.len()] = Default::default();
        let mut seen = Seen::default();
        let mut duplicate = None;
        while let Some(place) = map.next_key_seed(Place(&DATA_NAMES))? {
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.again(place) {
                duplicate = Some(DATA_NAMES[place]);
            }
            values[place] = map.next_value()?;
        }
        Ok(DataMembers {
            data: Data::Object(values),
            duplicate,
        })
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(DataMembers {
            data: Data::Absent,
            duplicate: None,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::other())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Self::other())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Self::other())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Self::other())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Self::other())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Self::other())
    }
}

/// Which members were there already.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    /// Marks a place, and says whether it was marked before.
    fn again(&mut self, place: usize) -> bool {
        let before = self.0;
        self.0 |= 1 << place;
        before == self.0
    }
}

/// Reads a member's name and finds its place in a list of names, without regard to case.
struct Place<const N: usize>(&'static [&'static str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Place<N> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<const N: usize> Visitor<'_> for Place<N> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        // The documented casing is by far the most frequent, and comparing it exactly is cheaper.
        let exact = self.0.iter().position(|known| *known == name);
        Ok(exact.or_else(|| {
            self.0
                .iter()
                .position(|known| known.eq_ignore_ascii_case(name))
        }))
    }
}
