//! Collections of change notifications in the documented shape, each notification with an id of its own.

use std::fmt::Write as _;

/// What the notifications are about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Graph's id of the subscription.
    pub(crate) subscription: String,
    /// Its clientState.
    pub(crate) client_state: String,
    /// The tenant's GUID.
    pub(crate) tenant: String,
    /// The user whose calendar is watched.
    pub(crate) user: String,
    /// `deleted` needs no GET, the others do.
    pub(crate) change: &'static str,
    /// The events the notifications are about, in turn; empty makes up one for each.
    pub(crate) events: Vec<Event>,
}

/// An event of the emulated calendar.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) etag: String,
}

/// The request of one POST with `size` notifications, beginning with number `first`.
pub(crate) fn request(path: &str, subject: &Subject, first: u64, size: u64) -> Vec<u8> {
    let mut body = String::with_capacity(1_024 * usize::try_from(size).unwrap_or(1));
    body.push_str(r#"{"value":["#);
    for number in first..first + size {
        if number > first {
            body.push(',');
        }
        notification(&mut body, subject, number);
    }
    body.push_str("]}");
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    request.push_str(&body);
    request.into_bytes()
}

/// The event that notification `number` is about.
pub(crate) fn event(subject: &Subject, number: u64) -> Event {
    match usize::try_from(number)
        .ok()
        .filter(|_| !subject.events.is_empty())
    {
        // As it is: another etag would have the gateway read it twice.
        Some(number) => subject.events[number % subject.events.len()].clone(),
        None => Event {
            id: format!("AAMkADRmMDExYzEyLTM0NTYtNzg5YWJjZGVmAQBGAAAAAAB{number:016x}AAAAAAENAAA="),
            etag: r#"W/"CQAAABYAAADkrWGo7bouTKlsgTZMr9KwAAAUWRHf""#.to_owned(),
        },
    }
}

fn notification(body: &mut String, subject: &Subject, number: u64) {
    let Subject {
        subscription,
        client_state,
        tenant,
        user,
        change,
        ..
    } = subject;
    let Event { id: event, etag } = event(subject, number);
    let etag = serde_json::Value::from(etag);
    // About 900 bytes, the size of Outlook's.
    write!(
        body,
        concat!(
            r#"{{"id":"lsgTZMr9KwAAA{number:016x}","subscriptionId":"{subscription}","#,
            r#""subscriptionExpirationDateTime":"2030-01-02T03:12:18.2257768+00:00","clientState":"{client_state}","#,
            r#""changeType":"{change}","resource":"Users/{user}/Events/{event}","tenantId":"{tenant}","#,
            r##""resourceData":{{"@odata.type":"#Microsoft.Graph.Event","@odata.id":"Users/{user}/Events/{event}","##,
            r#""@odata.etag":{etag},"id":"{event}"}}}}"#
        ),
        number = number,
        subscription = subscription,
        client_state = client_state,
        change = change,
        user = user,
        event = event,
        etag = etag,
        tenant = tenant,
    )
    .expect("invariant: writing to a string cannot fail");
}

impl Subject {
    /// A subject for servers that look at none of it.
    pub(crate) fn made_up() -> Self {
        Self {
            subscription: "c6126aa3-1111-4222-8333-71e6cee627c4".to_owned(),
            client_state: "bench-client-state-of-usual-length-0123456789".to_owned(),
            tenant: "84bd8158-1111-4222-8333-9d6445542f95".to_owned(),
            user: "622eaaff-1111-4222-8333-f2ec83c2bd98".to_owned(),
            change: "deleted",
            events: Vec::new(),
        }
    }
}
