//! What is wrong with the configuration of `tidings serve` is said with its place, before anything starts.

use std::fs;

use crate::run::{Ran, run, tidings};

fn serve_with(file: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tidings.toml"), file).unwrap();
    tidings(folder.path(), &["serve", "--json"], &[])
        .output()
        .unwrap()
        .into()
}

#[test]
fn a_file_is_refused_by_line() {
    let ran = serve_with("[server]\n\nlisen = \"127.0.0.1:0\"\n");
    assert_eq!(ran.code, 2);
    assert_eq!(ran.error()["code"], "configuration");
    assert_eq!(
        ran.error()["message"],
        "tidings.toml line 3: there is no setting `server.lisen`: did you mean `server.listen`?"
    );
}

#[test]
fn a_variable_and_a_flag_are_refused_by_name() {
    let ran = run(
        &["serve", "--json"],
        &[("TIDINGS__DELIVER__TIMEOUT", "soon")],
    );
    assert_eq!(ran.code, 2);
    let message = ran.error()["message"].to_string();
    assert!(message.contains("TIDINGS__DELIVER__TIMEOUT"), "{message}");

    let ran = run(&["serve", "--json", "--listen", "nowhere"], &[]);
    assert_eq!(ran.code, 2);
    let message = ran.error()["message"].to_string();
    assert!(message.contains("--listen: `server.listen`"), "{message}");
}

#[test]
fn a_named_file_must_be_there_and_a_level_must_be_one() {
    let ran = run(&["serve", "--json", "--config", "no-such.toml"], &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.error()["message"].to_string().contains("no-such.toml"));

    let ran = run(&["serve", "--json", "--log-level", "=loud="], &[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.error()["message"].to_string().contains("log.level"));
}
