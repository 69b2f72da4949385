//! Finds the stand-in driver library, and makes copies of it that lack symbols. For an integration test:
//! `#[path = "support/stand_in.rs"] mod stand_in;`

use std::path::PathBuf;
use std::sync::LazyLock;
use tempfile::TempPath;

/// The bytes of the stand-in.
static IMAGE: LazyLock<Vec<u8>> =
    LazyLock::new(|| std::fs::read(stand_in_library()).expect("the stand-in can be read"));

/// Stands before the room for settings (`examples/nvml_stand_in/state.rs`), between zero bytes.
const MARK: &[u8] = b"kgtop-stand-in-settings";

/// Where the settings begin.
static SETTINGS_AT: LazyLock<usize> = LazyLock::new(|| {
    let mut place = 0;
    for text in IMAGE.split(|byte| *byte == 0) {
        if text == MARK {
            return place + MARK.len() + 1;
        }
        place += text.len() + 1;
    }
    panic!("the stand-in has no room for settings")
});

/// The stand-in, which plain `cargo test` builds beside the test binaries.
///
/// # Panics
/// When it was not built: `cargo test --test NAME` does not build examples. The test fails; it never skips.
pub(crate) fn stand_in_library() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps");
    let library = profile.join("examples").join("libnvml_stand_in.so");
    assert!(
        library.is_file(),
        "{} is not there: build it with `cargo build --examples`, or run plain `cargo test`",
        library.display()
    );
    library
}

/// A copy of the stand-in without the symbols: a byte of each name is changed, as in a driver that is too old to
/// have them. The file goes when the path is dropped.
///
/// # Panics
/// When the library has no such symbol.
pub(crate) fn without_symbols(symbols: &[&str]) -> TempPath {
    let mut image = IMAGE.clone();
    let mut missing: Vec<&str> = symbols.to_vec();
    let mut place = 0;
    // In the string tables a name stands between two zero bytes, which tells `nvmlInit` from `nvmlInit_v2`.
    for text in IMAGE.split(|byte| *byte == 0) {
        if let Some(symbol) = symbols.iter().find(|symbol| symbol.as_bytes() == text) {
            image[place] = b'X';
            missing.retain(|other| other != symbol);
        }
        place += text.len() + 1;
    }
    assert!(missing.is_empty(), "the stand-in has no symbol {missing:?}");
    copy(&image)
}

/// A copy of the stand-in with settings of its own (`KGTOP_STAND_IN=…`, `KGTOP_STAND_IN_LOG=…`), which go before the
/// environment's: several copies can play several scenarios in one process. The file goes when the path is dropped.
///
/// # Panics
/// When the settings are longer than the room for them.
pub(crate) fn stand_in_with(settings: &[(&str, &str)]) -> TempPath {
    let mut image = IMAGE.clone();
    let text: String = settings.iter().flat_map(|(name, value)| [name, "=", value, "\n"]).collect();
    let place = *SETTINGS_AT;
    let room = image[place..].iter().take(1024 - MARK.len() - 2).filter(|byte| **byte == 0).count();
    assert!(text.len() < room, "the settings are longer than {room} bytes");
    image[place..place + text.len()].copy_from_slice(text.as_bytes());
    copy(&image)
}

fn copy(image: &[u8]) -> TempPath {
    let copy = tempfile::Builder::new()
        .prefix("libnvml_stand_in_")
        .suffix(".so")
        .tempfile()
        .expect("a temporary file")
        .into_temp_path();
    std::fs::write(&copy, image).expect("the temporary file can be written");
    copy
}
