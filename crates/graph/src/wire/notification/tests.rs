use proptest::prelude::*;

use super::*;

fn one(item: &str) -> Result<ChangeNotification<'static>, ItemError> {
    let body: &'static str = format!("{{\"value\":[{item}]}}").leak();
    let mut items = parse_collection(body.as_bytes()).unwrap();
    assert_eq!(items.len(), 1);
    items.remove(0).parsed
}

const MAIL: &str = r##"{
    "id": "kPz1",
    "subscriptionId": "3E1F7A52-90aa-4c0b-8c55-7d3d1c6a4f10",
    "subscriptionExpirationDateTime": "2026-11-29T15:30:00.1234567+05:30",
    "clientState": "s3cret-s3cret-s3",
    "changeType": "updated",
    "resource": "Users/8d0b3c3e-5a0f-4b3e-9c43-0a52c5a0e1f7/Messages/AAMkAD=",
    "tenantId": "1F6A9F0E-77aa-4a57-9a2d-64f1b2d7c3a1",
    "resourceData": {
        "@odata.type": "#Microsoft.Graph.Message",
        "@odata.id": "Users/8d0b3c3e-5a0f-4b3e-9c43-0a52c5a0e1f7/Messages/AAMkAD=",
        "@odata.etag": "W/\"CQAAAB=\"",
        "id": "AAMkAD="
    }
}"##;

#[test]
fn a_mail_notification_is_read_whole() {
    let read = one(MAIL).unwrap();
    assert_eq!(read.id.as_deref(), Some("kPz1"));
    assert_eq!(read.subscription_id, "3e1f7a52-90aa-4c0b-8c55-7d3d1c6a4f10");
    assert_eq!(
        read.subscription_expires_at.unwrap().to_string(),
        "2026-11-29T10:00:00.123Z"
    );
    assert_eq!(read.client_state.as_deref(), Some("s3cret-s3cret-s3"));
    assert_eq!(read.change_type, Some(ChangeType::Updated));
    assert_eq!(read.lifecycle_event, None);
    assert_eq!(
        read.tenant_id,
        Some("1f6a9f0e-77aa-4a57-9a2d-64f1b2d7c3a1".parse().unwrap())
    );
    let data = read.resource_data.unwrap();
    assert_eq!(data.etag.as_deref(), Some("W/\"CQAAAB=\""));
    assert_eq!(data.id.as_deref(), Some("AAMkAD="));
    assert!(!read.encrypted);
}

#[test]
fn casing_of_member_names_and_words_does_not_matter() {
    let odd = MAIL
        .replace("subscriptionId", "SubscriptionID")
        .replace("changeType", "ChangeType")
        .replace("clientState", "CLIENTSTATE")
        .replace("resourceData", "ResourceData")
        .replace("@odata.etag", "@OData.Etag")
        .replace("updated", "Updated");
    assert_eq!(one(&odd), one(MAIL));
}

#[test]
fn what_is_optional_may_be_missing_null_or_empty() {
    for item in [
        r#"{"subscriptionId":"s","changeType":"updated","resource":"me/drive/root"}"#,
        r#"{"subscriptionId":"s","changeType":"updated","resource":"me/drive/root","resourceData":null,"id":null,
            "clientState":null,"tenantId":null,"encryptedContent":null,"lifecycleEvent":null,
            "subscriptionExpirationDateTime":null}"#,
        r#"{"subscriptionId":"s","changeType":"updated","resource":"me/drive/root","id":"","clientState":"","tenantId":""}"#,
        r#"{"subscriptionId":"s","changeType":"updated","resource":"me/drive/root","brandNew":{"a":[1,{"b":null}]},
            "subscriptionExpirationDateTime":"whenever"}"#,
    ] {
        let read = one(item).unwrap_or_else(|error| panic!("{item}: {error}"));
        assert_eq!(
            (read.id, read.client_state, read.tenant_id),
            (None, None, None)
        );
        assert_eq!(
            (read.resource_data, read.subscription_expires_at),
            (None, None)
        );
    }
}

#[test]
fn a_lifecycle_notification_needs_no_resource() {
    let read = one(
        r#"{"subscriptionId":"s","lifecycleEvent":"reauthorizationRequired","clientState":"c",
            "tenantId":"1f6a9f0e-77aa-4a57-9a2d-64f1b2d7c3a1","subscriptionExpirationDateTime":"2026-11-29T10:00:00Z"}"#,
    )
    .unwrap();
    assert_eq!(
        read.lifecycle_event,
        Some(LifecycleEvent::ReauthorizationRequired)
    );
    assert_eq!((read.change_type, read.resource), (None, None));
}

#[test]
fn encrypted_content_is_noticed() {
    let read = one(
        r#"{"subscriptionId":"s","changeType":"created","resource":"r","encryptedContent":{"data":"x"}}"#,
    );
    assert!(read.unwrap().encrypted);
}

#[test]
fn what_tells_changes_apart_is_id_then_etag_then_sequence_number() {
    let rest = r#""subscriptionId":"s","changeType":"updated","resource":"Users/u""#;
    let tells = |item: String| one(&item).unwrap().discriminator().map(Cow::into_owned);
    assert_eq!(
        tells(format!(
            r#"{{{rest},"id":"1","resourceData":{{"@odata.etag":"2"}}}}"#
        ))
        .as_deref(),
        Some("i1")
    );
    assert_eq!(
        tells(format!(
            r#"{{{rest},"resourceData":{{"@odata.etag":"2","sequenceNumber":3}}}}"#
        ))
        .as_deref(),
        Some("e2")
    );
    assert_eq!(
        tells(format!(
            r#"{{{rest},"resourceData":{{"sequenceNumber":637846546546}}}}"#
        ))
        .as_deref(),
        Some("s637846546546")
    );
    assert_eq!(
        tells(format!(
            r#"{{{rest},"resourceData":{{"sequenceNumber":"4"}}}}"#
        ))
        .as_deref(),
        Some("s4")
    );
    assert_eq!(tells(format!("{{{rest}}}")), None);
}

#[test]
fn what_cannot_be_acted_on_says_why() {
    let invalid = |member| ItemError::Invalid {
        member,
        problem: "no text",
    };
    for (item, expected) in [
        ("7", ItemError::NotAnObject),
        ("[]", ItemError::NotAnObject),
        (
            "{}",
            ItemError::Missing {
                member: "subscriptionId",
            },
        ),
        (r#"{"subscriptionId":{}}"#, invalid("subscriptionId")),
        (
            r#"{"subscriptionId":"s"}"#,
            ItemError::Missing {
                member: "changeType",
            },
        ),
        (
            r#"{"subscriptionId":"s","changeType":"updated"}"#,
            ItemError::Missing { member: "resource" },
        ),
        (
            r#"{"subscriptionId":"s","changeType":"updated","lifecycleEvent":"missed"}"#,
            ItemError::Ambiguous,
        ),
        (
            r#"{"subscriptionId":"s","subscriptionid":"t"}"#,
            ItemError::Duplicate {
                member: "subscriptionId",
            },
        ),
        (
            r#"{"subscriptionId":"s","changeType":"updated","resource":"r","resourceData":{"id":"a","ID":"b"}}"#,
            ItemError::Duplicate { member: "id" },
        ),
        (
            r#"{"subscriptionId":"s","changeType":"updated","resource":"r","resourceData":[]}"#,
            ItemError::Invalid {
                member: "resourceData",
                problem: "no object",
            },
        ),
        (
            r#"{"subscriptionId":"s","changeType":"updated","resource":"r","tenantId":"contoso"}"#,
            ItemError::Invalid {
                member: "tenantId",
                problem: "no GUID",
            },
        ),
    ] {
        assert_eq!(one(item).unwrap_err(), expected, "{item}");
    }
    for word in ["unknownFutureValue", "moved", ""] {
        let item = format!(r#"{{"subscriptionId":"s","changeType":"{word}","resource":"r"}}"#);
        assert!(one(&item).is_err(), "{word}");
    }
    assert!(matches!(
        one(r#"{"subscriptionId":"s","changeType":"moved","resource":"r"}"#),
        Err(ItemError::UnknownChangeType(_))
    ));
    assert!(matches!(
        one(r#"{"subscriptionId":"s","lifecycleEvent":"paused"}"#),
        Err(ItemError::UnknownLifecycleEvent(_))
    ));
}

#[test]
fn one_bad_item_leaves_the_others_alone() {
    let body = format!(
        r#"{{"validationTokens":["t"],"@odata.context":"x","VALUE":[{MAIL},{{"a":"\ud800"}},{{"subscriptionId":"\ud800"}},{MAIL}]}}"#
    );
    let items = parse_collection(body.as_bytes()).unwrap();
    let good: Vec<bool> = items.iter().map(|item| item.parsed.is_ok()).collect();
    assert_eq!(good, [true, false, false, true]);
    assert_eq!(items[0].raw.get(), MAIL);
    assert!(matches!(items[2].parsed, Err(ItemError::Unreadable { .. })));
}

#[test]
fn what_is_no_collection_is_refused() {
    for body in [
        "",
        "[]",
        "null",
        "{}",
        r#"{"value":null}"#,
        r#"{"value":{}}"#,
        r#"{"value":[],"Value":[]}"#,
        r#"{"value":[]} x"#,
        r#"{"value":[{]}"#,
    ] {
        assert!(parse_collection(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(
        parse_collection(b"{\"value\":[\"\xff\"]}").unwrap_err(),
        CollectionError::NotUtf8
    );
    assert!(
        parse_collection("\u{feff}{\"value\":[]}".as_bytes())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn deep_nesting_neither_overflows_nor_hides_the_rest() {
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    let arrays = deep("[", "]");
    let objects = deep("{\"a\":", "}");
    let rest = r#""subscriptionId":"s","changeType":"updated","resource":"r""#;
    for value in [&arrays, &objects] {
        assert!(one(&format!(r#"{{{rest},"unknown":{value}}}"#)).is_ok());
        assert!(
            one(&format!(r#"{{{rest},"encryptedContent":{value}}}"#))
                .unwrap()
                .encrypted
        );
        assert!(one(&format!(r#"{{{rest},"resourceData":{{"x":{value}}}}}"#)).is_ok());
        assert!(one(&format!(r#"{{{rest},"clientState":{value}}}"#)).is_err());
        let body = format!(r#"{{"unknown":{value},"value":[{MAIL}]}}"#);
        assert_eq!(parse_collection(body.as_bytes()).unwrap().len(), 1);
    }
    assert_eq!(one(&arrays), Err(ItemError::NotAnObject));
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_collection(&body);
    }

    #[test]
    fn no_mutation_of_a_real_body_makes_it_panic(place in 0_usize..600, byte in any::<u8>()) {
        let mut body = format!("{{\"value\":[{MAIL}]}}").into_bytes();
        let place = place % body.len();
        body[place] = byte;
        if let Ok(items) = parse_collection(&body) {
            for item in &items {
                let _ = without_client_state(item.raw.get().as_bytes());
            }
        }
    }
}
