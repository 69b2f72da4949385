//! Finds the stand-in driver library beside the test binary.

use std::path::PathBuf;

/// The stand-in `libnvidia-ml.so.1`, built by plain `cargo test` as an example.
pub fn stand_in_library() -> PathBuf {
    let library = std::env::current_exe()
        .unwrap()
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples/libnvml_stand_in.so");
    assert!(library.exists(), "{} is missing: cargo build --examples", library.display());
    library
}
