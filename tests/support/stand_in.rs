//! Finds the stand-in driver library, and makes copies of it that lack symbols. For an integration test:
//! `#[path = "support/stand_in.rs"] mod stand_in;`
#![allow(dead_code, reason = "each test uses its own part")]
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test support: a broken set-up ends the test"
)]

use std::path::PathBuf;
use tempfile::TempPath;

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
    let mut image = std::fs::read(stand_in_library()).expect("the stand-in can be read");
    for symbol in symbols {
        // In the string tables a name stands between two zero bytes, which tells `nvmlInit` from `nvmlInit_v2`.
        let name = [b"\0", symbol.as_bytes(), b"\0"].concat();
        let places: Vec<usize> = image
            .windows(name.len())
            .enumerate()
            .filter(|(_, window)| *window == name)
            .map(|(place, _)| place)
            .collect();
        assert!(!places.is_empty(), "the stand-in has no symbol {symbol}");
        for place in places {
            if let Some(byte) = image.get_mut(place + 1) {
                *byte = b'X';
            }
        }
    }
    copy(&image)
}

/// A copy of the stand-in with settings of its own (`KGTOP_STAND_IN=…`, `KGTOP_STAND_IN_LOG=…`), which go before the
/// environment's: several copies can play several scenarios in one process. The file goes when the path is dropped.
///
/// # Panics
/// When the settings are longer than the room for them.
pub(crate) fn stand_in_with(settings: &[(&str, &str)]) -> TempPath {
    const MARK: &[u8] = b"\0kgtop-stand-in-settings\0";
    const ROOM: usize = 1024 - MARK.len();
    let mut image = std::fs::read(stand_in_library()).expect("the stand-in can be read");
    let text: String = settings.iter().flat_map(|(name, value)| [name, "=", value, "\n"]).collect();
    assert!(text.len() < ROOM, "the settings are longer than {ROOM} bytes");
    let marks: Vec<usize> = image
        .windows(MARK.len() + 1)
        .enumerate()
        // The mark with room behind it; the mark as such also stands in the code that looks for it.
        .filter(|(_, window)| window.strip_prefix(MARK) == Some(&[0]))
        .map(|(place, _)| place + MARK.len())
        .collect();
    let [place] = marks[..] else { panic!("the stand-in has {} places for settings", marks.len()) };
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
