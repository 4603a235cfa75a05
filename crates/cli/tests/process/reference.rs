//! The pages under `docs/reference` are what the program would write.

use std::{fs, path::Path};

use crate::run::run;

#[test]
fn the_pages_that_are_checked_in_are_current() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&["generate-docs", folder.path().to_str().unwrap()], &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let mut count = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name();
        let written = fs::read_to_string(folder.path().join(&name)).unwrap();
        let found = fs::read_to_string(kept.join(&name)).unwrap_or_default();
        assert!(
            written == found,
            "{} is not current: `cargo xtask generate` writes it anew",
            name.display()
        );
        count += 1;
    }
    assert_eq!(count, 4);
}
