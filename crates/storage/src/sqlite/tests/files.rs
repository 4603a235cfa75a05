//! Files: the lock, the key, the form of the tables.

use std::{fs, path::Path, sync::Arc};

use rusqlite::Connection;
use tidings_domain::{
    Secret,
    entropy::SeededEntropy,
    environment::Environment,
    integration::{GLOBAL_GRAPH_URL, GLOBAL_LOGIN_URL, Integration, WebhookSecret},
};

use super::{
    super::{MigrateError, OpenError, SqliteStore, database},
    Bench,
};
use crate::{ConfiguredStore as _, Store as _, StoreError, seal};

fn raw(bench: &Bench) -> Connection {
    Connection::open(bench.path().join(database::FILE_NAME)).unwrap()
}

async fn refused(bench: &Bench) -> OpenError {
    match SqliteStore::open(bench.options.clone()).await {
        Ok(_) => panic!("the store must not open"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let bench = Bench::new();
    let store = bench.open().await;
    let error = refused(&bench).await;
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    store.close().await;
    bench.open().await.close().await;
}

#[tokio::test]
async fn the_database_is_readable_by_its_owner_only() {
    let bench = Bench::new();
    let store = bench.open().await;
    bench.record(&store).await.unwrap();
    #[cfg(unix)]
    for file in ["tidings.db", "tidings.db-wal", "tidings.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(bench.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{file}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_we_make_can_be_entered_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut bench = Bench::new();
    let made = bench.path().join("new/data");
    bench.options.store.data_dir.clone_from(&made);
    bench.open().await.close().await;
    assert_eq!(mode(&made), 0o700);

    // One that was there keeps the rights that somebody gave it.
    fs::set_permissions(&made, fs::Permissions::from_mode(0o750)).unwrap();
    bench.open().await.close().await;
    assert_eq!(mode(&made), 0o750);
}

#[tokio::test]
async fn a_missing_key_is_named() {
    let bench = Bench::new();
    let store = bench.open().await;
    let id = store.seal.key_id();
    store.close().await;
    fs::remove_file(bench.path().join(seal::FILE_NAME)).unwrap();
    let error = refused(&bench).await;
    assert!(
        matches!(error, OpenError::KeyMissing { wanted, .. } if wanted == id),
        "{error}"
    );
    assert!(error.to_string().contains(&id.to_string()), "{error}");
    assert!(
        !bench.path().join(seal::FILE_NAME).exists(),
        "no new key beside an old database"
    );
}

#[tokio::test]
async fn another_key_is_refused_with_both_ids() {
    let bench = Bench::new();
    let store = bench.open().await;
    let wanted = store.seal.key_id();
    store.close().await;
    let other = Bench::new();
    let mut options = other.options.clone();
    options.entropy = Arc::new(SeededEntropy::new(99));
    let store = SqliteStore::open(options).await.unwrap();
    let found = store.seal.key_id();
    store.close().await;
    fs::copy(
        other.path().join(seal::FILE_NAME),
        bench.path().join(seal::FILE_NAME),
    )
    .unwrap();
    let error = refused(&bench).await;
    assert!(matches!(error, OpenError::KeyOther { .. }), "{error}");
    for id in [wanted, found] {
        assert!(error.to_string().contains(&id.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_key_is_refused() {
    let bench = Bench::new();
    bench.open().await.close().await;
    let path = bench.path().join(seal::FILE_NAME);
    let key = fs::read_to_string(&path).unwrap();
    let (id, content) = key.trim_end().split_once(' ').unwrap();
    let first = if content.starts_with('A') { 'B' } else { 'A' };
    fs::write(&path, format!("{id} {first}{}\n", &content[1..])).unwrap();
    let error = refused(&bench).await;
    assert!(matches!(error, OpenError::KeyDamaged { .. }), "{error}");
    fs::write(&path, "nonsense").unwrap();
    let error = refused(&bench).await;
    assert!(matches!(error, OpenError::KeyFile(_)), "{error}");
}

#[tokio::test]
async fn a_secret_copied_to_another_row_does_not_open() {
    let bench = Bench::new();
    let store = bench.open().await;
    let environment = Environment {
        id: bench.ids.environment(),
        name: "dev".to_owned(),
        created_at: bench.clock_now(),
    };
    store.create_environment(environment.clone()).await.unwrap();
    for key in ["one", "two"] {
        let integration = Integration {
            id: bench.ids.next(),
            environment: environment.id,
            key: key.parse().unwrap(),
            client_id: "c".to_owned(),
            client_secret: Secret::new(format!("the secret of {key}")),
            webhook_secret: WebhookSecret::parse("a-webhook-secret-of-ours").unwrap(),
            login_url: GLOBAL_LOGIN_URL.parse().unwrap(),
            graph_url: GLOBAL_GRAPH_URL.parse().unwrap(),
            created_at: bench.clock_now(),
        };
        store.create_integration(integration).await.unwrap();
    }
    store.close().await;
    let file = fs::read(bench.path().join(database::FILE_NAME)).unwrap();
    assert!(
        !file.windows(10).any(|bytes| bytes == b"the secret"),
        "secrets are sealed"
    );

    raw(&bench)
        .execute(
            "UPDATE integrations SET client_secret = (SELECT client_secret FROM integrations WHERE key = 'two')
             WHERE key = 'one'",
            [],
        )
        .unwrap();
    let store = bench.open().await;
    let read = store.integrations().await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    let findings = store.check().await.unwrap();
    assert!(
        findings
            .iter()
            .any(|finding| finding.contains("client_secret")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_left_alone() {
    let bench = Bench::new();
    bench.open().await.close().await;
    raw(&bench).pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(bench.path().join(database::FILE_NAME)).unwrap();
    let error = refused(&bench).await;
    let newer = matches!(
        error,
        OpenError::Migrate(MigrateError::Newer { found: 99, .. })
    );
    assert!(newer, "{error}");
    assert_eq!(
        fs::read(bench.path().join(database::FILE_NAME)).unwrap(),
        before
    );
}

#[tokio::test]
async fn a_database_made_by_other_steps_is_refused() {
    let bench = Bench::new();
    bench.open().await.close().await;
    raw(&bench)
        .execute("UPDATE migrations SET checksum = x'00'", [])
        .unwrap();
    let error = refused(&bench).await;
    let changed = matches!(
        error,
        OpenError::Migrate(MigrateError::Changed { version: 1 })
    );
    assert!(changed, "{error}");
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_is_done_again() {
    let bench = Bench::new();
    // The lock and an empty database file were made, and then the power went.
    fs::write(bench.path().join(database::FILE_NAME), b"").unwrap();
    let store = bench.open().await;
    bench.record(&store).await.unwrap();
    store.close().await;
    assert!(
        !bench.path().join("tidings.db-wal").exists(),
        "a clean stop leaves nothing to recover"
    );
}
