//! `tidings demo`: the main job on real input, in one command.

use serde_json::Value;
use testkit::{cli::Cli, store::Store};
use tidings_test_postgres::Server;

testkit::on_both_stores!(the_demo_shows_every_change_arriving_verified);

async fn the_demo_shows_every_change_arriving_verified(store: Store) {
    let ended = match store {
        Store::Sqlite => Cli::new().run(&["demo", "--json"]).await,
        Store::Postgres => {
            // Three nodes on one database.
            let server = Server::start();
            let url = server.create_database("demo");
            let arguments = ["demo", "--json", "--nodes", "3", "--database-url", &url];
            let ended = Cli::new().run(&arguments).await;
            let again = Cli::new().run(&arguments).await;
            assert_eq!(
                again.code, 1,
                "it takes no database that is in use: {again:?}"
            );
            ended
        }
    };
    let (code, errors) = (ended.code, ended.stderr.clone());
    assert_eq!(code, 0, "{}\n{errors}", ended.stdout);
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"))
        })
        .collect();
    // Three kinds of change to a calendar event and to a message, in two tenants.
    let text = ended.stdout.as_str();
    for trigger in [
        "event.created",
        "event.updated",
        "event.deleted",
        "message.created",
        "message.updated",
        "message.deleted",
    ] {
        let times = lines
            .iter()
            .filter(|line| line.to_string().contains(trigger))
            .count();
        assert!(times >= 2, "{trigger} was seen {times} times:\n{text}");
    }
}
