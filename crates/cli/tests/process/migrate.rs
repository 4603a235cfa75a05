//! `tidings migrate` without a PostgreSQL: SQLite is brought to its form by `tidings serve`, and its steps can be looked
//! at.

use crate::run::{Ran, tidings};

#[test]
fn sqlite_shows_its_steps_and_migrates_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let migrate = |verb| -> Ran {
        let words = ["migrate", verb, "--json", "--data-dir", "data"];
        tidings(folder.path(), &words, &[]).output().unwrap().into()
    };
    let status = migrate("status");
    assert_eq!(status.code, 0, "{status:?}");
    assert_eq!(status.json()["database"], "sqlite:data");
    assert!(status.json()["steps"][0]["applied_at"].is_null());
    assert_eq!(migrate("plan").json(), status.json());
    assert!(
        !folder.path().join("data").exists(),
        "looking makes nothing"
    );

    let apply = migrate("apply");
    assert_eq!(apply.code, 2, "{apply:?}");
    let message = apply.error()["message"].to_string();
    assert!(message.contains("tidings serve"), "{message}");
}
