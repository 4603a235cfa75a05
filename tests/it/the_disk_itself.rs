//! The faulty disk of the kit, before anything is believed that is shown with it.

use std::{fs, process::Command};

use testkit::{
    fault_disk::{Fault, FaultDisk},
    power_cut::{Lost, power_cut},
};
use tidings_domain::{Entropy, entropy::SeededEntropy};

/// Writes `text` to `file` on the disk as `dd` does with these words; whether it succeeded.
fn write(disk: &FaultDisk, file: &str, text: &str, words: &str) -> bool {
    let mut command: Command = disk.command("sh");
    let target = disk.folder().join(file);
    command
        .args([
            "-c",
            r#"printf %s "$1" | dd of="$2" conv="$3" oflag=append"#,
            "sh",
            text,
        ])
        .arg(target)
        .arg(words);
    command.output().expect("there is a shell").status.success()
}

fn read(disk: &FaultDisk, file: &str) -> String {
    fs::read_to_string(disk.folder().join(file)).expect("the file is there")
}

fn dice() -> SeededEntropy {
    SeededEntropy::new(1)
}

#[test]
fn it_fails_as_it_is_told() {
    let Some(disk) = FaultDisk::new("the_disk_itself") else {
        return;
    };
    assert!(write(&disk, "a", "first", "notrunc,fsync"));

    disk.set(&[Fault::FsyncFails]);
    assert!(write(&disk, "a", ",second", "notrunc"));
    assert!(!write(&disk, "a", ",third", "notrunc,fsync"));

    disk.set(&[Fault::Full]);
    assert!(!write(&disk, "a", ",fourth", "notrunc"));
    disk.set(&[Fault::WriteFails]);
    assert!(!write(&disk, "a", ",fifth", "notrunc"));

    disk.heal();
    assert!(write(&disk, "a", ",sixth", "notrunc,fsync"));
    assert_eq!(read(&disk, "a"), "first,second,third,sixth");
}

#[test]
fn a_power_cut_takes_what_was_not_synced_and_nothing_else() {
    let Some(disk) = FaultDisk::with_power_cuts("the_disk_itself") else {
        return;
    };
    assert!(write(&disk, "a", "kept", "notrunc,fsync"));
    assert!(write(&disk, "a", ",lost", "notrunc"));
    assert!(write(&disk, "b", "never synced", "notrunc"));
    assert_eq!(read(&disk, "a"), "kept,lost");

    assert_eq!(power_cut(&disk, Lost::All, &dice() as &dyn Entropy), 2);
    assert_eq!(read(&disk, "a"), "kept");
    assert_eq!(read(&disk, "b"), "");
}

#[test]
fn a_power_cut_brings_back_what_was_overwritten_or_cut_off() {
    let Some(disk) = FaultDisk::with_power_cuts("the_disk_itself") else {
        return;
    };
    assert!(write(&disk, "a", "the first text", "notrunc,fsync"));
    let mut shorter = disk.command("truncate");
    shorter.args(["--size=3"]).arg(disk.folder().join("a"));
    assert!(shorter.status().expect("there is a truncate").success());
    assert!(write(&disk, "a", "!", "notrunc"));
    assert_eq!(read(&disk, "a"), "the!");

    power_cut(&disk, Lost::All, &dice() as &dyn Entropy);
    assert_eq!(read(&disk, "a"), "the first text");
}

#[test]
fn a_failed_sync_makes_nothing_safe() {
    let Some(disk) = FaultDisk::with_power_cuts("the_disk_itself") else {
        return;
    };
    assert!(write(&disk, "a", "kept", "notrunc,fsync"));
    disk.set(&[Fault::FsyncFails]);
    assert!(!write(&disk, "a", ",refused", "notrunc,fsync"));

    power_cut(&disk, Lost::All, &dice() as &dyn Entropy);
    assert_eq!(read(&disk, "a").trim_end_matches('\0'), "kept");
}

#[test]
fn what_a_failed_sync_covered_is_lost_even_if_the_next_one_succeeds() {
    let Some(disk) = FaultDisk::with_power_cuts("the_disk_itself") else {
        return;
    };
    assert!(write(&disk, "a", "kept", "notrunc,fsync"));
    disk.set(&[Fault::FsyncFails]);
    assert!(!write(&disk, "a", ",lost", "notrunc,fsync"));
    disk.heal();
    assert!(write(&disk, "a", ",kept", "notrunc,fsync"));

    power_cut(&disk, Lost::All, &dice() as &dyn Entropy);
    assert_eq!(read(&disk, "a"), "kept\0\0\0\0\0,kept");
}

#[test]
fn a_power_cut_can_take_any_part() {
    let Some(disk) = FaultDisk::with_power_cuts("the_disk_itself") else {
        return;
    };
    let dice = dice();
    let mut outcomes = std::collections::BTreeSet::new();
    for round in 0..40 {
        let file = format!("file-{round}");
        assert!(write(&disk, &file, "a", "notrunc,fsync"));
        for letter in ["b", "c"] {
            assert!(write(&disk, &file, letter, "notrunc"));
        }
        let lost = if round % 2 == 0 {
            Lost::Tail
        } else {
            Lost::Any
        };
        power_cut(&disk, lost, &dice as &dyn Entropy);
        outcomes.insert(read(&disk, &file));
    }
    // What lies before a write that survived reads as zeros where it was lost itself.
    let possible = ["a", "ab", "abc", "a\0c"];
    assert!(
        outcomes
            .iter()
            .all(|text| possible.contains(&text.as_str())),
        "{outcomes:?}"
    );
    assert!(outcomes.len() >= 3, "{outcomes:?}");
}
