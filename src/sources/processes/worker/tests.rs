use super::*;
use crate::sources::processes::tests::fixture;
use crate::units::Wall;
use std::fmt::Write;
use std::sync::atomic::AtomicU64;

/// Stands still at one second.
const CLOCK: Clock = Clock { mono: || Mono(1_000_000), wall: || Wall(0) };
const LIMIT: Duration = Duration::from_secs(2);
/// Within the limit, and beyond it.
const SOON: Mono = Mono(2_000_000);
const LATE: Mono = Mono(9_000_000);

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start: u64::from(pid) * 10 }
}

/// Polls until the facts of `count` processes are there.
fn gather(worker: &mut FactsWorker, now: Mono, count: usize) -> BTreeMap<u32, ProcessFacts> {
    let mut found = BTreeMap::new();
    while found.len() < count {
        for facts in worker.poll(now) {
            found.insert(facts.key.pid, facts);
        }
        std::thread::yield_now();
    }
    found
}

/// Waits until the thread in use is in that read.
fn wait_until_reading(worker: &FactsWorker, pid: u32, file: &str) {
    let reads = |current: &Current| current.key.pid == pid && current.file == file;
    while !worker.lane.as_ref().is_some_and(|lane| lock(&lane.task).current.as_ref().is_some_and(reads)) {
        std::thread::yield_now();
    }
}

#[test]
fn facts_are_read_once() {
    let mut worker = FactsWorker::spawn(fixture("docker-v2"), CLOCK, LIMIT);
    let keys = [(4711, 500_000), (4800, 600_000), (4900, 700_000)];
    for (pid, start) in keys {
        worker.request(ProcessKey { pid, start });
        worker.request(ProcessKey { pid, start });
    }
    let found = gather(&mut worker, SOON, 3);
    assert_eq!(found[&4711].command.as_ref().unwrap()[0].as_ref(), "python3");
    worker.request(ProcessKey { pid: 4711, start: 500_000 });
    assert!(lock(&worker.queue.waiting).keys.is_empty());
    worker.retain(&BTreeSet::new());
    worker.request(ProcessKey { pid: 4711, start: 500_000 });
    assert_eq!(gather(&mut worker, SOON, 1).len(), 1, "forgotten, so read again");
    assert_eq!(worker.stuck(SOON), None);
}

#[test]
fn a_process_that_is_gone_or_never_seen_has_no_facts() {
    let mut worker = FactsWorker::spawn(fixture("docker-v2"), CLOCK, LIMIT);
    worker.request(ProcessKey { pid: 4711, start: 1 });
    worker.request(ProcessKey { pid: 4800, start: 0 });
    let found = gather(&mut worker, SOON, 2);
    assert!(!found[&4711].visible && !found[&4800].visible);
    assert_eq!(found[&4711].key.start, 1, "answered under the key that was asked");
    assert_eq!(found[&4711].command, Err(Absence::NotSupported));
}

#[test]
fn a_read_that_never_returns_costs_one_command_line() {
    static NOW: AtomicU64 = AtomicU64::new(1_000_000);
    let clock = Clock { mono: || Mono(NOW.load(Ordering::SeqCst)), ..CLOCK };
    let mut worker = FactsWorker::spawn(fixture("wedged"), clock, LIMIT);
    for pid in [100, 300, 500] {
        worker.request(key(pid));
    }
    let first = gather(&mut worker, SOON, 1);
    assert!(first[&100].command.is_ok());
    wait_until_reading(&worker, 300, "cmdline");
    assert_eq!(worker.stuck(SOON), None, "within the limit it is not stuck");
    assert!(worker.poll(SOON).is_empty());

    NOW.store(LATE.0, Ordering::SeqCst);
    let rest = gather(&mut worker, LATE, 2);
    let Err(Absence::Failed { text, .. }) = &rest[&300].command else { panic!("{:?}", rest[&300]) };
    assert_eq!(text.as_ref(), "/proc/300/cmdline has not answered for 8 s");
    assert_eq!(rest[&300].name.as_deref(), Ok("python3"), "the cheap part is kept");
    assert!(rest[&500].command.is_ok(), "a new thread goes on with the rest");
    let stuck = worker.stuck(LATE).unwrap();
    assert_eq!(stuck, StuckRead { pid: 300, file: "cmdline", since: Mono(1_000_000) });
    assert!(worker.poll(LATE).is_empty(), "named once");
}

#[test]
fn a_process_in_state_d_is_asked_again_later() {
    let root = tempfile::tempdir().unwrap();
    let process = root.path().join("proc/7");
    std::fs::create_dir_all(&process).unwrap();
    std::fs::create_dir_all(root.path().join("proc/self/ns")).unwrap();
    std::os::unix::fs::symlink("pid:[4026531836]", root.path().join("proc/self/ns/pid")).unwrap();
    let state = |state: char| {
        let stat = format!("7 (a) {state} 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 70 1 1 1{}", " 0".repeat(27));
        std::fs::write(process.join("stat.new"), stat).unwrap();
        std::fs::rename(process.join("stat.new"), process.join("stat")).unwrap();
    };
    state('D');
    std::fs::write(process.join("cmdline"), "a\0").unwrap();
    std::fs::write(process.join("environ"), "").unwrap();
    static NOW: AtomicU64 = AtomicU64::new(1_000_000);
    let clock = Clock { mono: || Mono(NOW.load(Ordering::SeqCst)), ..CLOCK };
    let mut worker = FactsWorker::spawn(Root::open(root.path()).unwrap(), clock, LIMIT);
    worker.request(key(7));
    assert!(gather(&mut worker, SOON, 1)[&7].command.is_err());
    assert!(worker.poll(SOON).is_empty());
    state('R');
    NOW.store(LATE.0, Ordering::SeqCst);
    assert_eq!(gather(&mut worker, LATE, 1)[&7].command.as_ref().unwrap().len(), 1);
    assert!(worker.deferred.is_empty());
}

#[test]
fn only_so_many_threads_are_abandoned_and_the_cheap_files_go_on() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("proc/self/ns")).unwrap();
    std::os::unix::fs::symlink("pid:[4026531836]", root.path().join("proc/self/ns/pid")).unwrap();
    let mut toml = String::new();
    let pids: Vec<u32> = (1..=6).collect();
    for pid in &pids {
        let process = root.path().join(format!("proc/{pid}"));
        std::fs::create_dir_all(&process).unwrap();
        let start = pid * 10;
        let stat =
            format!("{pid} (a) R 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {start} 1 1 1{}", " 0".repeat(27));
        std::fs::write(process.join("stat"), stat).unwrap();
        writeln!(toml, "[file.\"/proc/{pid}/cmdline\"]\nhang = true").unwrap();
    }
    std::fs::write(root.path().join("root.toml"), toml).unwrap();
    let mut worker = FactsWorker::spawn(Root::open(root.path()).unwrap(), CLOCK, LIMIT);
    for pid in &pids {
        worker.request(key(*pid));
    }
    let mut found = BTreeMap::new();
    for pid in 1..=4 {
        wait_until_reading(&worker, pid, "cmdline");
        found.extend(worker.poll(LATE).into_iter().map(|facts| (facts.key.pid, facts)));
    }
    assert_eq!(worker.abandoned.len(), ABANDONED_AT_MOST);
    found.extend(gather(&mut worker, SOON, 2));
    assert_eq!(found.len(), 6);
    assert!(found.values().all(|facts| facts.visible && facts.command.is_err()));
    assert_eq!(found[&6].command, Err(Absence::failed(0, TOO_MANY_BLOCKED)));
    assert_eq!(worker.stuck(LATE).unwrap().file, "cmdline");
}

#[test]
fn when_even_a_cheap_file_blocks_everything_is_answered() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("proc")).unwrap();
    std::fs::write(root.path().join("root.toml"), "[file.\"/proc/self/ns/pid\"]\nhang = true\n").unwrap();
    let mut worker = FactsWorker::spawn(Root::open(root.path()).unwrap(), CLOCK, LIMIT);
    let pids: Vec<u32> = (1..=9).collect();
    for pid in &pids {
        worker.request(key(*pid));
    }
    let found = gather(&mut worker, LATE, pids.len() - 1);
    assert!(found.values().all(|facts| !facts.visible && facts.command.is_err()));
    assert_eq!(worker.abandoned.len(), ABANDONED_AT_MOST);
}
