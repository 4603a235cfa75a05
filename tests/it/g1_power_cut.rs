//! G1: what was answered 2xx is on disk before the answer; a power cut at any instant loses none.

use std::{process::Command, time::Duration};

use testkit::{
    checker,
    fault_disk::{Fault, FaultDisk},
    gateway::{Gateway, Settings},
    load::Load,
    power_cut::{Lost, power_cut},
    receiver::Receiver,
    tool, wait,
    world::World,
};
use tidings_domain::Entropy;

use crate::g1_nothing_lost::{dice, rounds};

const TEST: &str = "g1_power_cut";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let Some(disk) = FaultDisk::with_power_cuts(TEST) else {
        return;
    };
    let mut world = World::start_with(&Settings::new().with_quick_retries().on(&disk)).await;
    let receiver = Receiver::start().await;
    let tenant = world.emulator.tenants[0].clone();
    let connected = world.connect_calendar(&tenant).await;
    let (_, secret) = world.webhook(&receiver.url(), &[]).await;
    let dice = dice();
    let dice: &dyn Entropy = &dice;

    let cuts = rounds(24, 200);
    // As a disk takes: most cuts then fall between a write and its sync.
    disk.set(&[Fault::FsyncSlow(4)]);
    let load = Load::start(&world.notification_url, &connected.subscribed, 8, 1);
    let mut lost = 0;
    for round in 0..cuts {
        load.acknowledges(1).await;
        wait::pass(Duration::from_millis(dice.u64() % 300)).await;
        world.gateway.kill().await;
        let which = [Lost::All, Lost::Tail, Lost::Any][round % 3];
        lost += power_cut(&disk, which, dice);
        world.gateway.restart().await;
    }
    load.acknowledges(1).await;
    let log = load.stop().await;

    let account = checker::settle(&log.acknowledged, &receiver, &secret, &world.api).await;
    println!(
        "{cuts} power cuts took {lost} writes: {} acknowledged, {} lost, {} twice",
        account.acknowledged,
        account.lost.len(),
        account.duplicates
    );
    account.assert_whole();
    // Otherwise every kill fell into a pause, and nothing was shown.
    assert!(lost > 0, "no power cut took anything");

    world.gateway.terminate().await;
    assert_eq!(integrity(&disk), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_after_a_failed_sync_outlives_a_power_cut() {
    let Some(disk) = FaultDisk::with_power_cuts(TEST) else {
        return;
    };
    let mut world = World::start_with(&Settings::new().with_quick_retries().on(&disk)).await;
    let receiver = Receiver::start().await;
    let tenant = world.emulator.tenants[0].clone();
    let connected = world.connect_calendar(&tenant).await;
    let (_, secret) = world.webhook(&receiver.url(), &[]).await;
    let dice = dice();

    let load = Load::start(&world.notification_url, &connected.subscribed, 8, 1);
    let mut lost = 0;
    for _ in 0..rounds(5, 20) {
        load.acknowledges(20).await;
        // Whoever went on writing behind what this lost would lose all of it.
        disk.set(&[Fault::FsyncFails]);
        wait::pass(Duration::from_millis(100)).await;
        disk.heal();
        load.acknowledges(20).await;
        world.gateway.kill().await;
        lost += power_cut(&disk, Lost::All, &dice);
        world.gateway.restart().await;
    }
    let log = load.stop().await;
    println!("{lost} writes and bytes were lost");
    assert!(
        log.statuses.iter().any(|(status, _)| *status == 503),
        "no sync failed: {:?}",
        log.statuses
    );
    let account = checker::settle(&log.acknowledged, &receiver, &secret, &world.api).await;
    account.assert_whole();
    world.gateway.terminate().await;
    assert_eq!(integrity(&disk), "ok");
}

#[tokio::test]
async fn what_the_first_start_made_outlives_a_power_cut() {
    let Some(disk) = FaultDisk::with_power_cuts(TEST) else {
        return;
    };
    let dice = dice();
    let mut gateway = Gateway::start(&Settings::new().on(&disk)).await;
    let (environment, key) = (gateway.environment().to_owned(), gateway.admin_key());
    gateway.kill().await;
    power_cut(&disk, Lost::All, &dice);

    gateway.restart().await;
    assert_eq!(gateway.environment(), environment);
    assert_eq!(gateway.admin_key(), key);
    gateway.api().get("/v1/environments").await;
}

#[tokio::test]
async fn what_the_api_answered_outlives_a_power_cut() {
    let Some(disk) = FaultDisk::with_power_cuts(TEST) else {
        return;
    };
    let dice = dice();
    let mut world = World::start_with(&Settings::new().on(&disk)).await;
    let url = "https://app.example.com/hook".parse().expect("a URL");
    let (webhook, _) = world.webhook(&url, &[]).await;
    world.gateway.kill().await;
    power_cut(&disk, Lost::All, &dice);

    world.gateway.restart().await;
    let api = world.gateway.api();
    api.get(&format!("/v1/webhooks/{webhook}")).await;
    let integrations = api.list("/v1/integrations").await;
    assert_eq!(integrations.len(), 1);
}

/// What SQLite says of the database's integrity, asked by another program than ours.
fn integrity(disk: &FaultDisk) -> String {
    let Some(python) = tool::find("python3") else {
        tool::skip(
            TEST,
            "the integrity of the database is asked through python3",
        );
        return "ok".to_owned();
    };
    let databases: Vec<_> = std::fs::read_dir(disk.folder())
        .expect("the data folder can be read")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "db"))
        .collect();
    assert_eq!(databases.len(), 1, "{databases:?}");
    let script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
    let output = Command::new(python)
        .args(["-c", script])
        .arg(&databases[0])
        .output()
        .expect("python3 can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
