//! What is refused at the start, and what it says.

use tidings_domain::{entropy::SystemEntropy, shard::ShardSet};

use super::{Database, PostgresStore, migrate};
use crate::{
    Changed, ConfiguredStore as _, Signal, Store as _,
    postgres::{MigrateError, OpenError},
    seal::SealingKey,
};

async fn refused(database: &Database) -> OpenError {
    PostgresStore::open(database.plain())
        .await
        .expect_err("it is to be refused")
}

#[tokio::test]
async fn a_guest_changes_what_is_configured_and_takes_no_work() {
    let database = Database::start();
    let world = database.world().await;
    let guest = PostgresStore::open_as_guest(database.plain())
        .await
        .unwrap();
    assert_eq!(guest.holdings().shards(), ShardSet::EMPTY);
    assert_eq!(database.sql("SELECT count(*) FROM nodes"), "1");
    let environment = world.environment("by a guest");
    let made = Signal::Changed(Changed::Environment(environment.id));
    guest.create_environment(environment).await.unwrap();
    while world.store.next_signal().await != made {}
    guest.close().await;
    assert_eq!(world.store.holdings().shards(), ShardSet::ALL);
}

#[tokio::test]
async fn a_database_is_migrated_on_request_only() {
    let database = Database::start();
    let error = refused(&database).await;
    assert!(
        matches!(
            error,
            OpenError::Migrate(MigrateError::Behind { found: 0, .. })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("tidings migrate apply"));

    let planned = migrate::plan(&database.plain()).await.unwrap();
    assert_eq!((planned[0].version, planned[0].applied_at), (1, None));
    let (one, other) = (database.plain(), database.plain());
    // Two who migrate at the same time wait for each other.
    let (one, other) = tokio::join!(migrate::apply(&one), migrate::apply(&other));
    assert_eq!(one.unwrap().len() + other.unwrap().len(), planned.len());
    assert_eq!(migrate::plan(&database.plain()).await.unwrap(), []);
    let status = migrate::status(&database.plain()).await.unwrap();
    assert!(status.iter().all(|step| step.applied_at.is_some()));
    database.node().await.close().await;
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_only_if_that_says_so() {
    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    database.sql(
        "INSERT INTO migrations SELECT 1000, 'expanding', 1, checksum, applied_at FROM migrations WHERE version = 1",
    );
    database.node().await.close().await;
    database.sql(
        "INSERT INTO migrations SELECT 1001, 'contracting', 1000, checksum, applied_at FROM migrations WHERE version = 1",
    );
    let error = refused(&database).await;
    assert!(
        matches!(error, OpenError::Migrate(MigrateError::Newer { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_step_that_reads_differently_is_refused() {
    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    database.sql("UPDATE migrations SET checksum = 'x'");
    let error = refused(&database).await;
    assert!(
        matches!(error, OpenError::Migrate(MigrateError::Changed { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn another_key_is_refused_with_both_ids() {
    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    let right = SealingKey::read_file(&database.key()).unwrap().unwrap();
    let mut options = database.plain();
    let path = database.key().with_extension("other");
    let wrong = SealingKey::create_file(&path, &SystemEntropy).unwrap();
    options.postgres.sealing_key_file = Some(path.clone());
    let error = PostgresStore::open(options.clone()).await.unwrap_err();
    assert!(error.to_string().contains(&right.id().to_string()));
    assert!(error.to_string().contains(&wrong.id().to_string()));
    let error = migrate::apply(&options).await.unwrap_err();
    assert!(matches!(error, OpenError::KeyOther { .. }), "{error}");

    std::fs::remove_file(path).unwrap();
    let error = PostgresStore::open(options.clone()).await.unwrap_err();
    assert!(matches!(error, OpenError::KeyMissing { .. }), "{error}");
    options.postgres.sealing_key_file = None;
    let error = PostgresStore::open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::NoKeyFile), "{error}");
}

#[tokio::test]
async fn a_database_that_would_lose_what_it_acknowledged_is_refused() {
    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    database.sql("ALTER DATABASE tidings SET synchronous_commit = off");
    let error = refused(&database).await;
    assert!(
        matches!(
            error,
            OpenError::NotDurable {
                setting: "synchronous_commit"
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let database = Database::start();
    let password = database.server().password().to_owned();
    database.server().stop_immediate();
    let error = refused(&database).await;
    assert!(matches!(error, OpenError::Connect { .. }), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(&password), "{shown}");
}
