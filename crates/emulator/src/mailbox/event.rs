//! Calendar events (Microsoft's "event resource type" page).

use serde_json::{Map, Value, json};
use tidings_domain::Timestamp;

use super::{
    InvalidItem,
    item::{Item, Place},
    stamp::{Stamp, overlay, preview},
};

/// A new event from a client's members.
pub(super) fn create(members: Map<String, Value>, stamp: &Stamp<'_>) -> Result<Item, InvalidItem> {
    let mut fields = defaults(stamp);
    overlay(&mut fields, members);
    stamp.mint(&mut fields);
    let uid = format!(
        "040000008200E00074C5B7101A82E008{}",
        &fields["id"].as_str().unwrap_or_default()[8..40]
    );
    fields.insert("iCalUId".into(), uid.into());
    finish(fields, stamp, None)
}

/// An event with a client's members in place of its own.
pub(super) fn update(
    current: &Item,
    members: Map<String, Value>,
    stamp: &Stamp<'_>,
) -> Result<Item, InvalidItem> {
    let mut fields = current.fields.clone();
    overlay(&mut fields, members);
    finish(fields, stamp, Some(current))
}

fn finish(
    mut fields: Map<String, Value>,
    stamp: &Stamp<'_>,
    previous: Option<&Item>,
) -> Result<Item, InvalidItem> {
    let start = moment(&mut fields, "start", stamp.moment.at)?;
    let end = moment(&mut fields, "end", start)?;
    if end < start {
        return Err(InvalidItem::EndBeforeStart);
    }
    attendees(&mut fields)?;
    let preview = preview(fields.get("body"));
    fields.insert("bodyPreview".into(), preview.into());
    stamp.renew(&mut fields);
    let place = Place {
        start,
        end,
        ..Place::default()
    };
    Ok(Item::new(fields, place, &stamp.context("events"), previous))
}

/// Reads a `dateTimeTimeZone`, writes it back in Graph's form, and sets `default` if it is missing.
///
/// Zones other than UTC are kept as written, but placed in calendar views as if they were UTC.
fn moment(
    fields: &mut Map<String, Value>,
    member: &str,
    default: Timestamp,
) -> Result<Timestamp, InvalidItem> {
    let invalid = |problem: &str| InvalidItem::Member {
        member: member.to_owned(),
        problem: problem.to_owned(),
    };
    let zone = match fields.get(member) {
        None | Some(Value::Null) => {
            fields.insert(member.into(), date_time(default, "UTC"));
            return Ok(default);
        }
        Some(Value::Object(given)) => given
            .get("timeZone")
            .map_or(Some("UTC"), Value::as_str)
            .ok_or_else(|| invalid("timeZone must be a string"))?
            .to_owned(),
        Some(_) => return Err(invalid("an object with dateTime and timeZone is expected")),
    };
    let text = fields[member]["dateTime"]
        .as_str()
        .ok_or_else(|| invalid("dateTime is missing"))?;
    let time =
        instant(text).ok_or_else(|| invalid("dateTime must look like 2026-11-22T10:00:00"))?;
    fields.insert(member.into(), date_time(time, &zone));
    Ok(time)
}

/// Reads a date and time with or without an offset; without one it is UTC.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .or_else(|| format!("{text}Z").parse().ok())
        .or_else(|| {
            // A day alone, as calendar views take it too.
            format!("{text}T00:00:00Z").parse().ok()
        })
}

fn date_time(time: Timestamp, zone: &str) -> Value {
    let text = crate::time::seven_digits(time, None);
    json!({"dateTime": text.trim_end_matches('Z'), "timeZone": zone})
}

fn attendees(fields: &mut Map<String, Value>) -> Result<(), InvalidItem> {
    let invalid = || InvalidItem::Member {
        member: "attendees".to_owned(),
        problem: "an array of attendees is expected".to_owned(),
    };
    let Some(list) = fields.get_mut("attendees") else {
        return Ok(());
    };
    for attendee in list.as_array_mut().ok_or_else(invalid)? {
        let attendee = attendee.as_object_mut().ok_or_else(invalid)?;
        attendee.entry("type").or_insert_with(|| "required".into());
        attendee
            .entry("status")
            .or_insert_with(|| json!({"response": "none", "time": "0001-01-01T00:00:00Z"}));
    }
    Ok(())
}

fn defaults(stamp: &Stamp<'_>) -> Map<String, Value> {
    let fields = json!({
        "allowNewTimeProposals": true,
        "attendees": [],
        "body": {"contentType": "html", "content": ""},
        "categories": [],
        "hasAttachments": false,
        "hideAttendees": false,
        "importance": "normal",
        "isAllDay": false,
        "isCancelled": false,
        "isDraft": false,
        "isOnlineMeeting": false,
        "isOrganizer": true,
        "isReminderOn": true,
        "location": {"displayName": "", "locationType": "default", "uniqueIdType": "unknown"},
        "locations": [],
        "onlineMeeting": null,
        "onlineMeetingProvider": "unknown",
        "onlineMeetingUrl": null,
        "organizer": stamp.owner(),
        "originalEndTimeZone": "UTC",
        "originalStartTimeZone": "UTC",
        "recurrence": null,
        "reminderMinutesBeforeStart": 15,
        "responseRequested": true,
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "sensitivity": "normal",
        "seriesMasterId": null,
        "showAs": "busy",
        "subject": "",
        "transactionId": null,
        "type": "singleInstance",
        "webLink": "https://outlook.office365.com/owa/?path=/calendar/item",
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;
    use uuid::Uuid;

    use super::*;
    use crate::{delta::Moment, mailbox::Author};

    fn with<T>(run: impl FnOnce(&Stamp<'_>) -> T) -> T {
        run(&Stamp {
            moment: Moment {
                at: Timestamp::from_millis(1_795_341_600_000),
                ..Moment::default()
            },
            entropy: &SeededEntropy::new(1),
            author: Author {
                user: Uuid::nil(),
                name: "Ada Byron",
                mail: "ada@fabrikam.example",
            },
        })
    }

    fn members(json: &Value) -> Map<String, Value> {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn an_event_has_the_members_of_the_service_and_those_of_the_client() {
        let item = with(|stamp| {
            create(
                members(&json!({
                    "subject": "Tea",
                    "start": {"dateTime": "2026-11-23T09:00:00", "timeZone": "UTC"},
                    "end": {"dateTime": "2026-11-23T10:00:00", "timeZone": "UTC"},
                    "attendees": [{"emailAddress": {"address": "bo@fabrikam.example"}}],
                })),
                stamp,
            )
        })
        .unwrap();
        assert_eq!(
            item.fields["start"]["dateTime"],
            "2026-11-23T09:00:00.0000000"
        );
        assert_eq!(item.fields["attendees"][0]["status"]["response"], "none");
        assert_eq!(
            item.fields["organizer"]["emailAddress"]["address"],
            "ada@fabrikam.example"
        );
        assert_eq!(
            item.etag,
            format!("W/\"{}\"", item.fields["changeKey"].as_str().unwrap())
        );
        assert!(item.entity.starts_with(
            b"{\"@odata.context\":\"https://graph.microsoft.com/v1.0/$metadata#users('"
        ));
    }

    #[test]
    fn an_update_changes_the_etag_and_keeps_the_id() {
        let (first, second) = with(|stamp| {
            let first = create(members(&json!({"subject": "a"})), stamp).unwrap();
            let second = update(&first, members(&json!({"subject": "b"})), stamp).unwrap();
            (first, second)
        });
        assert_eq!(first.id, second.id);
        assert_ne!(first.etag, second.etag);
        assert_eq!(second.fields["subject"], "b");
        assert_eq!(second.previous.as_ref(), Some(&first.entity));
    }

    #[test]
    fn what_graph_refuses_is_refused() {
        for wrong in [
            json!({"start": "tomorrow"}),
            json!({"start": {"dateTime": "tomorrow", "timeZone": "UTC"}}),
            json!({"attendees": "all"}),
            json!({"start": {"dateTime": "2026-11-23T09:00:00"}, "end": {"dateTime": "2026-11-22T09:00:00"}}),
        ] {
            assert!(
                with(|stamp| create(members(&wrong), stamp)).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn dates_are_read_with_and_without_an_offset() {
        for text in [
            "2026-11-22T10:00:00",
            "2026-11-22T10:00:00.0000000",
            "2026-11-22T11:00:00+01:00",
        ] {
            assert_eq!(
                instant(text),
                Some(Timestamp::from_millis(1_795_341_600_000)),
                "{text}"
            );
        }
        assert!(instant("2026-11-22").is_some());
        assert_eq!(instant("soon"), None);
    }
}
