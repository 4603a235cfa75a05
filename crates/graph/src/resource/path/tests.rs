use proptest::prelude::*;
use tidings_domain::resource::ResourceKind;

use super::*;

const USER: &str = "8d0b3c3e-5a0f-4b3e-9c43-0a52c5a0e1f7";
const TENANT: &str = "1f6a9f0e-77aa-4a57-9a2d-64f1b2d7c3a1";

fn item(text: &str) -> ItemPath {
    ItemPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn subscription(text: &str) -> SubscriptionPath {
    SubscriptionPath::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_form_of_an_item_leads_to_one_canonical_path() {
    let canonical = format!("users/{USER}/messages/AAMkAD-_=");
    for form in [
        format!("Users/{USER}/Messages/AAMkAD-_="),
        format!("/users/{USER}/messages/AAMkAD-_="),
        format!("Users/{USER}@{TENANT}/Messages/AAMkAD-_="),
        format!("Users('{USER}')/messages('AAMkAD-_=')"),
        format!("USERS/{}/MESSAGES/AAMkAD-_%3D", USER.to_uppercase()),
        format!("Users({USER})/messages('AAMkAD-_=')"),
    ] {
        assert_eq!(item(&form).canonical(), canonical, "{form}");
    }
    assert_eq!(
        item(&format!("Users/{USER}@{TENANT}/Messages/x")).tenant(),
        Some(TENANT.parse().unwrap())
    );
}

#[test]
fn items_of_every_workload_are_read() {
    for (text, kind, canonical) in [
        (
            "teams('T')/channels('19:abc@thread.tacv2')/messages('1')/replies('2')",
            ResourceKind::ChatMessage,
            "teams/T/channels/19:abc@thread.tacv2/messages/1/replies/2",
        ),
        (
            "chats('19:a_b@unq.gbl.spaces')/messages('3')",
            ResourceKind::ChatMessage,
            "chats/19:a_b@unq.gbl.spaces/messages/3",
        ),
        ("me/drive/root", ResourceKind::DriveItem, "me/drive/root"),
        ("Groups/G", ResourceKind::Group, "groups/G"),
        ("Users/U", ResourceKind::User, "users/U"),
        ("teams('T')", ResourceKind::Team, "teams/T"),
        (
            "sites/host,1,2/lists/L",
            ResourceKind::List,
            "sites/host,1,2/lists/L",
        ),
        ("me/Events/E=", ResourceKind::Event, "me/events/E="),
        (
            "communications/callRecords('r')",
            ResourceKind::CallRecord,
            "communications/callRecords/r",
        ),
    ] {
        let path = item(text);
        assert_eq!((path.kind(), path.canonical()), (kind, canonical), "{text}");
    }
}

#[test]
fn a_slash_inside_an_id_stays_inside_the_id() {
    for form in ["me/events/AA%2FBB+C=", "me/events('AA/BB+C=')"] {
        let path = item(form);
        assert_eq!(path.canonical(), "me/events/AA%2FBB+C=");
        assert_eq!(path.request_path(), "v1.0/me/events/AA%2FBB%2BC=");
    }
    assert!(ItemPath::parse("me/events/AA/BB").is_err());
}

#[test]
fn what_tries_to_leave_the_path_is_refused() {
    for text in [
        "",
        "/",
        "me/events/",
        "me//events/x",
        "me/events/..",
        "me/events/%2e%2E",
        "me/events/%252e%252e",
        "../me/events/x",
        "me/events/x?$expand=attachments",
        "me/events/x%3F$expand=attachments",
        "me/events/x#y",
        "me/events/x\\..\\y",
        "me/events/x%0d%0aHost:%20evil",
        "me/events/x\0",
        "me/events/%zz",
        "me/events/%C3",
        "me/events('x'/../y)",
        "me/events('x')y",
        "me/events('x",
        "https://graph.microsoft.com/v1.0/me/events/x",
        "admin/secrets/1",
        "me/events('a')('b')",
    ] {
        assert!(ItemPath::parse(text).is_err(), "{text}");
    }
    assert!(ItemPath::parse(&format!("me/events/{}", "x".repeat(5_000))).is_err());
}

#[test]
fn quotes_in_ids_are_encoded_anew() {
    let path = item("me/contacts('O''Hara (x)')");
    assert_eq!(path.canonical(), "me/contacts/O%27Hara%20%28x%29");
    assert_eq!(item(path.canonical()), path);
}

#[test]
fn subscriptions_of_every_template_are_read_back() {
    for row in crate::resource::table::ROWS {
        for template in row.subscriptions {
            let text = template
                .replace("{url}", "'https%3A%2F%2Fmeet'")
                .replace('{', "")
                .replace(['}', '*'], "");
            let path = subscription(&text);
            assert_eq!(path.row().name, row.name, "{text}");
            assert_eq!(subscription(path.canonical()), path);
        }
    }
}

#[test]
fn a_query_is_kept_as_it_was_given() {
    let path = subscription("/me/mailFolders('Inbox')/messages?$filter=hasAttachments eq true");
    assert_eq!(
        path.canonical(),
        "me/mailFolders/Inbox/messages?$filter=hasAttachments eq true"
    );
    assert_eq!(
        subscription("security/alerts/?$filter=x").kind(),
        ResourceKind::SecurityAlert
    );
    assert!(SubscriptionPath::parse("me/events?a\nb").is_err());
}

#[test]
fn an_unknown_path_is_answered_with_the_near_ones() {
    let error = SubscriptionPath::parse("users/x/calendar")
        .unwrap_err()
        .to_string();
    assert!(error.contains("users/{user}/events"), "{error}");
    let error = SubscriptionPath::parse("planets/mars")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("teams/…") && error.contains("groups/…"),
        "{error}"
    );
}

#[test]
fn a_change_that_does_not_exist_is_refused_with_those_that_do() {
    let users = subscription("users");
    let error = users
        .check("created,updated".parse().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("updated,deleted"), "{error}");
    assert!(users.check("updated".parse().unwrap()).is_ok());
    assert!(
        subscription("drives/d/root")
            .check("deleted".parse().unwrap())
            .is_err()
    );
    // Microsoft does not say what chats tell of, so Graph is left to judge.
    assert!(
        subscription("chats/c")
            .check("deleted".parse().unwrap())
            .is_ok()
    );
}

#[test]
fn an_item_belongs_to_the_subscriptions_that_can_have_brought_it() {
    let mail = format!("Users/{USER}/Messages/m");
    for (text, watched, fits) in [
        (mail.as_str(), format!("users/{USER}/messages"), true),
        (
            &mail,
            format!("Users/{}/messages?$select=id", USER.to_uppercase()),
            true,
        ),
        (&mail, "users/ada@contoso.example/messages".to_owned(), true),
        (&mail, "me/messages".to_owned(), true),
        (
            &mail,
            format!("users/{USER}/mailFolders('inbox')/messages"),
            true,
        ),
        (&mail, format!("users/{TENANT}/messages"), false),
        (&mail, format!("users/{USER}/events"), false),
        (
            "users/x/events/e",
            "users/X@y.example/events".to_owned(),
            false,
        ),
        (
            "teams('T')/channels('C')/messages('1')",
            "teams/getAllMessages".to_owned(),
            true,
        ),
        (
            "teams('T')/channels('C')/messages('1')",
            "teams/T/channels/D/messages".to_owned(),
            false,
        ),
        (
            "chats('C')/messages('1')",
            "teams/getAllMessages".to_owned(),
            false,
        ),
        (
            "chats('C')/members('1')",
            "teams/T/members".to_owned(),
            false,
        ),
        (
            "teams/T/schedule/shifts/s",
            "teams/T/schedule/timeOffRequests".to_owned(),
            false,
        ),
        ("Users/u", "users".to_owned(), true),
        ("me/drive/root", "me/drive/root".to_owned(), true),
        ("drives/d/root", "users/u/drive/root".to_owned(), false),
    ] {
        assert_eq!(
            item(text).is_under(&subscription(&watched)),
            fits,
            "{text} under {watched}"
        );
    }
}

#[test]
fn only_what_lies_in_a_mailbox_has_one() {
    assert_eq!(item("Users/u/Events/e").mailbox(), Some("u"));
    assert_eq!(item("me/messages/m").mailbox(), Some("me"));
    assert_eq!(item("Users/u").mailbox(), None);
    assert_eq!(item("teams/t").mailbox(), None);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        let _ = ItemPath::parse(&text);
        let _ = SubscriptionPath::parse(&text);
    }

    #[test]
    fn any_id_stays_one_segment_and_reads_back(id in "[A-Za-z0-9+/=_'() @:.-]{1,60}") {
        prop_assume!(id != "." && id != "..");
        let text = format!("me/events('{}')", id.replace('\'', "''"));
        let path = ItemPath::parse(&text).unwrap();
        prop_assert_eq!(path.canonical().split('/').count(), 3);
        prop_assert_eq!(path.request_path().split('/').count(), 4);
        let url = url::Url::parse("https://graph.example/").unwrap().join(&path.request_path()).unwrap();
        prop_assert_eq!(url.path(), format!("/{}", path.request_path()));
        prop_assert!(url.query().is_none());
        prop_assert_eq!(ItemPath::parse(path.canonical()).unwrap(), path);
    }

    #[test]
    fn paths_made_of_pieces_never_escape(pieces in proptest::collection::vec("(\\.\\.|%2e|%2f|/|\\?|#|me|events|\\('|'\\)|x|%5c|\\\\|%00)", 1..12)) {
        if let Ok(path) = ItemPath::parse(&pieces.concat()) {
            let url = url::Url::parse("https://graph.example/").unwrap().join(&path.request_path()).unwrap();
            prop_assert_eq!(url.path(), format!("/{}", path.request_path()));
        }
    }
}
