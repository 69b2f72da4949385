use super::*;
use crate::sources::root::Root;
use crate::units::{Clock, Mono, Wall};
use rustix::io::Errno;
use std::io::Write;

fn clock() -> Clock {
    Clock { mono: || Mono(5_000_000_000), wall: || Wall(1_795_521_600_000_000) }
}

fn texts(log: &mut Kmsg) -> Vec<String> {
    let mut texts = Vec::new();
    while let Next::Event(event) = log.read_next().unwrap() {
        texts.push(event.text.to_string());
    }
    texts
}

fn root(make: impl FnOnce(&std::path::Path)) -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("dev")).unwrap();
    make(&directory.path().join("dev/kmsg"));
    let root = Root::open(directory.path()).unwrap();
    (directory, root)
}

#[test]
fn a_pipe_in_the_place_of_kmsg_does_not_end_with_its_writer() {
    let (directory, root) = root(|path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    });
    let mut log = Kmsg::open(&root, clock()).unwrap();
    assert!(texts(&mut log).is_empty());
    let write = |text: &str| {
        let mut pipe =
            std::fs::OpenOptions::new().write(true).open(directory.path().join("dev/kmsg")).unwrap();
        pipe.write_all(text.as_bytes()).unwrap();
    };
    // In two parts, the second by another writer; in both forms.
    write("[ 12.000000] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fa");
    assert!(texts(&mut log).is_empty());
    write("llen off the bus.\n4,7,12000000,-;NVRM: second\nusb 1-1: hello\nNVRM: no stamp\n");
    assert!(log.wait().unwrap());
    let found = texts(&mut log);
    assert_eq!(
        found,
        ["NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", "NVRM: second", "NVRM: no stamp"]
    );
}

#[test]
fn a_line_without_end_in_a_pipe_is_dropped_and_the_next_one_read() {
    let (_directory, root) = root(|path| {
        let text = format!("NVRM: {}\nNVRM: after\n", "x".repeat(3 << 20));
        std::fs::write(path, text).unwrap();
    });
    let mut log = Kmsg::open(&root, clock()).unwrap();
    assert_eq!(texts(&mut log).last().unwrap(), "NVRM: after");
    assert!(!log.wait().unwrap(), "a plain file ends");
}

#[test]
fn times_since_boot_become_times_of_day_for_a_pipe_and_not_for_a_file() {
    let (_directory, root) = root(|path| std::fs::write(path, "[ 4999.000000] NVRM: hello\n").unwrap());
    let mut log = Kmsg::open(&root, clock()).unwrap();
    let Next::Event(event) = log.read_next().unwrap() else { panic!("no event") };
    assert_eq!((event.at, event.wall), (Mono(4_999_000_000), Wall(0)));
}

#[test]
fn an_overrun_is_told_and_what_comes_after_it_is_read() {
    let (_directory, root) = root(|path| std::fs::write(path, "").unwrap());
    let mut log = Kmsg::open(&root, clock()).unwrap();
    // What /dev/kmsg answers where records were overwritten before they were read: EPIPE once, then the oldest left.
    let mut answers = vec![Ok("NVRM: after\n"), Err(Errno::PIPE), Err(Errno::INTR), Ok("NVRM: before\n")];
    let mut read = |_: &std::os::fd::OwnedFd, buffer: &mut [u8]| match answers.pop() {
        Some(Ok(line)) => {
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
        Some(Err(errno)) => Err(errno),
        None => Err(Errno::AGAIN),
    };
    let told: Vec<String> = (0..4)
        .map(|_| match log.read_next_by(&mut read).unwrap() {
            Next::Event(event) => event.text.to_string(),
            Next::Overrun => "overrun".into(),
            Next::Idle => "idle".into(),
        })
        .collect();
    assert_eq!(told, ["NVRM: before", "overrun", "NVRM: after", "idle"]);
}

/// A script in the place of `journalctl`, as the words that run it.
fn stand_in(script: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journalctl.sh");
    std::fs::write(&path, script).unwrap();
    (directory, path.to_str().unwrap().to_owned())
}

#[test]
fn a_journal_that_ends_gives_what_it_had_and_then_its_end() {
    let (_directory, path) = stand_in(
        r#"case "$*" in
*cat*) echo hello;;
*json*)
echo '{"MESSAGE":"NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.","_SOURCE_MONOTONIC_TIMESTAMP":"12000000","PRIORITY":"4"}'
echo '{"MESSAGE":"usb 1-1: hello"}'
echo 'this is no JSON'
printf '{"MESSAGE":"NVRM: cut in the mid';;
esac
"#,
    );
    let mut journal = Journal::follow_by(&["sh", &path]).unwrap();
    let event = journal.read_next().unwrap();
    assert_eq!(&*event.text, "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.");
    assert_eq!(event.at, Mono(12_000_000));
    assert!(journal.read_next().is_none(), "what is no message, or only half of one, is none");
    assert!(journal.said_anything());
}

#[test]
fn a_journal_that_shows_nothing_says_what_to_do() {
    let (_directory, path) = stand_in("exit 0\n");
    let error = Journal::follow_by(&["sh", &path]).unwrap_err();
    assert!(error.to_string().contains("join the group systemd-journal"), "{error}");
}

#[test]
fn a_root_without_kmsg_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::open(directory.path()).unwrap();
    let error = Kmsg::open(&root, clock()).unwrap_err();
    assert!(error.to_string().starts_with("/dev/kmsg is not there"), "{error}");
}
