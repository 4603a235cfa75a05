//! Where the `tidings` under test is.

use std::{
    env,
    path::{Path, PathBuf},
    sync::LazyLock,
};

static TIDINGS: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(given) = env::var_os("TIDINGS_BINARY") {
        return PathBuf::from(given);
    }
    let beside = profile_folder().join("tidings");
    assert!(
        beside.is_file(),
        "{} does not exist: the end-to-end tests start the binary and do not build it. Run `cargo build -p tidings-cli` \
         first, or everything with `cargo xtask test`.",
        beside.display()
    );
    beside
});

/// The binary: `TIDINGS_BINARY`, or the one that was built beside this test.
pub fn tidings() -> &'static Path {
    &TIDINGS
}

/// `target`, or wherever cargo builds to.
pub fn target_folder() -> PathBuf {
    let folder = profile_folder();
    folder
        .parent()
        .expect("a profile's folder lies in the target folder")
        .to_owned()
}

/// `target/debug`: this test lies in its `deps`.
fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("this test has a path");
    let folder = test.parent().and_then(Path::parent);
    folder
        .expect("a test lies in target/<profile>/deps")
        .to_owned()
}
