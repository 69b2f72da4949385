//! No input brings a parser down: arbitrary bytes, inputs that it knows with pieces of them changed, and a corpus of
//! what once did or might have (`tests/fixtures/hostile/NAME/`). `fuzz/` has a target for each, for longer runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

#[path = "support/parsers.rs"]
mod parsers;

use parsers::{PARSERS, Parser, parser};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A seed longer than this is cut: what matters is how a format begins and repeats.
const SEED_AT_MOST: usize = 24 << 10;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files at `path`: itself, or those in the folder.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn seeds(parser: &Parser) -> Vec<Vec<u8>> {
    let files = parser.seeds.iter().flat_map(|seed| files(&here(seed)));
    let mut seeds: Vec<Vec<u8>> = files.map(|file| std::fs::read(file).unwrap()).collect();
    seeds.iter_mut().for_each(|seed| seed.truncate(SEED_AT_MOST));
    seeds
}

/// Pieces that parsers stumble over.
const ODD: [&[u8]; 16] = [
    b"18446744073709551615",
    b"-9223372036854775808",
    b"1e38",
    b"4294967295",
    b"NaN",
    b"\0",
    b"\xff\xfe",
    b"\xf0\x9f\x98\x80",
    b"{{{{{{{{{{{{{{{{",
    b"[[[[[[[[[[[[[[[[",
    b"\"\\u0000\\ud800\"",
    b"\n\n\n",
    b"",
    b"18446744073709551616",
    b"\x1b[31m",
    b": ,=/.",
];

/// A change to a seed: where (in 65,536ths of its length), what, how much.
type Edit = (u16, u8, u16);

fn changed(seed: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (place, kind, length) in edits {
        let at = usize::from(*place) * bytes.len() / 65_536;
        let end = (at + usize::from(length % 64)).min(bytes.len());
        match kind % 6 {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..end, std::iter::empty())),
            2 => drop(bytes.splice(at..at, ODD[usize::from(*length) % ODD.len()].iter().copied())),
            3 => {
                // A number becomes another one.
                let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                drop(bytes.splice(at..at + digits, ODD[usize::from(*length) % 4].iter().copied()));
            }
            4 => {
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece.repeat(3)));
            }
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (length % 8)),
        }
    }
    bytes
}

/// Tries a parser; a failure is shrunk, and shown as a file that can be added to the corpus.
fn try_out(name: &str, cases: u32) {
    let parser = parser(name);
    let seeds = seeds(parser);
    assert!(!seeds.is_empty(), "{name} has no seeds: the property tests nothing it knows");
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let edits = prop::collection::vec((any::<u16>(), any::<u8>(), any::<u16>()), 1..6);
    let known = (0..seeds.len(), edits).prop_map(|(seed, edits)| changed(&seeds[seed], &edits));
    let input = prop_oneof![6 => known, 1 => prop::collection::vec(any::<u8>(), 0..600)];
    let tried = TestRunner::new(config).run(&input, |bytes| {
        let run = std::panic::AssertUnwindSafe(|| (parser.run)(&bytes));
        std::panic::catch_unwind(run).map_err(|_panic| TestCaseError::fail(bytes.escape_ascii().to_string()))
    });
    if let Err(error) = tried {
        panic!("{name}: {error}");
    }
}

macro_rules! properties {
    ($($name:ident $parser:literal $cases:literal;)*) => {
        $(#[test] fn $name() { try_out($parser, $cases); })*

        #[test]
        fn every_parser_is_tried_and_has_a_fuzz_target() {
            let tried = [$($parser),*];
            for parser in PARSERS {
                assert!(tried.contains(&parser.name), "{} is not tried", parser.name);
                let target = here(&format!("fuzz/fuzz_targets/{}.rs", parser.name));
                let text = std::fs::read_to_string(&target).expect("a fuzz target");
                assert!(text.contains(&format!("parser(\"{}\")", parser.name)), "{}", target.display());
            }
        }
    };
}

properties! {
    stream_lines "stream" 200;
    streams_to_the_screen "screen" 40;
    orders_to_the_collector "control" 400;
    recordings "recording" 60;
    redaction "redaction" 60;
    kernel_logs "kernel_log" 100;
    scenarios "scenario" 60;
    themes "theme" 200;
    configurations "config" 400;
    control_groups "cgroup" 400;
    plans "plan" 200;
    machines "machine" 60;
    captured_machines "root_toml" 60;
    outputs_of_zfs_tools "zfs_tools" 200;
    gguf_headers "gguf" 200;
    safetensors_headers "safetensors" 200;
}

#[test]
fn the_corpus_is_survived() {
    for parser in PARSERS {
        for file in files(&here("tests/fixtures/hostile").join(parser.name)) {
            println!("{}", file.display());
            (parser.run)(&std::fs::read(&file).unwrap());
        }
    }
}

/// What packs well is not believed with memory: a file of a few hundred kilobytes that unpacks to one line of 256 MiB.
#[test]
fn a_bomb_is_defused() {
    // In a process of its own, whose memory is nobody else's.
    let test = std::env::current_exe().unwrap();
    let output = std::process::Command::new(test)
        .args(["--exact", "bomb", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the part of `a_bomb_is_defused` that runs in a process of its own"]
fn bomb() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..256 {
        packed.write_all(&[b'x'; 1 << 20]).unwrap();
    }
    let bomb = packed.finish().unwrap();
    for name in ["recording", "kernel_log"] {
        (parser(name).run)(&bomb);
    }
    // The most memory this process ever held, in KiB.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 192 << 10, "{peak} KiB at the most");
}

/// Depth is refused before it becomes a stack.
#[test]
fn depth_is_no_overflow() {
    let deep = |open: &str| open.repeat(50_000);
    for name in ["stream", "control", "plan", "zfs_tools", "config", "theme", "scenario", "root_toml"] {
        for text in [deep("["), deep("{\"a\":"), deep("a = ["), deep("a.")] {
            (parser(name).run)(text.as_bytes());
        }
    }
}
