//! What is wrong with the command line is said before anything is tried.

use crate::run::run;

#[test]
fn help_and_version_are_no_errors() {
    for words in [
        &["--help"][..],
        &["webhook", "create", "--help"],
        &["--version"],
    ] {
        let ran = run(words, &[]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:?}");
    }
}

#[test]
fn usage_errors_are_2_and_leave_standard_output_empty() {
    for words in [
        &[][..],
        &["no-such-noun"],
        &["webhook"],
        &["webhook", "create"],
        &["webhook", "update", "whk_1"],
        &["event", "list", "--limit", "0"],
        &["event", "list", "--limit", "501"],
        &["event", "list", "--trigger", "event.create"],
        &[
            "subscription",
            "create",
            "--connection",
            "c",
            "--resource",
            "r",
            "--change-types",
            "moved",
        ],
        &["notification", "list", "--verdict", "maybe"],
        &["key", "create", "--name", "k", "--scope", "all"],
    ] {
        let ran = run(words, &[]);
        assert_eq!(ran.code, 2, "{words:?} {ran:?}");
        assert!(ran.stdout.is_empty(), "{words:?} {ran:?}");
    }
}

#[test]
fn a_usage_error_under_json_is_an_object() {
    let ran = run(
        &["event", "list", "--trigger", "event.create", "--json"],
        &[],
    );
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "usage");
    let message = ran.error()["message"].to_string();
    assert!(
        message.contains("did you mean `event.created`?"),
        "{message}"
    );
}

#[test]
fn a_usage_error_under_json_names_what_is_missing() {
    let ran = run(&["webhook", "create", "--json"], &[]);
    let message = ran.error()["message"].to_string();
    assert!(message.contains("--url <URL>"), "{message}");
    assert!(message.contains("--triggers <TRIGGERS>"), "{message}");
    assert!(!message.contains("Usage"), "{message}");
}

#[test]
fn help_warns_of_secrets_in_flags() {
    let ran = run(&["integration", "create", "--help"], &[]);
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("shows in the list of processes"), "{text}");
    assert!(text.contains("TIDINGS_CLIENT_SECRET"), "{text}");
}

#[test]
fn tables_of_the_program_itself_need_no_server() {
    let triggers = run(&["webhook", "triggers", "--json"], &[]);
    assert_eq!(triggers.code, 0);
    assert_eq!(triggers.json()["data"][0]["trigger"], "event.created");
    let resources = run(&["subscription", "resources"], &[]);
    assert_eq!(resources.code, 0);
    assert!(resources.stdout.contains("users/{user}/events"));
}

#[test]
fn deleting_where_nobody_can_be_asked_needs_yes() {
    let ran = run(&["webhook", "delete", "whk_1"], &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--yes"), "{ran:?}");
}
