use super::*;
use crate::model::StoredModel;
use crate::sources::models::{StoreEnvironment, scan_once};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const SERVER: ProcessKey = ProcessKey { pid: 4_711, start: 77 };

fn write_stat(directory: &Path, state: char) {
    let stat = format!("4711 (llama-server) {state} 1 {}", "0 ".repeat(17)) + "77" + &" 0".repeat(30);
    fs::write(directory.join("proc/4711/stat"), stat).unwrap();
}

/// A machine with one model in a store, and a process 4711 of which nothing is open yet.
fn machine(directory: &Path) -> Root {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/tiny-Q8_0.gguf");
    let models = directory.join("models");
    fs::create_dir_all(&models).unwrap();
    fs::copy(fixture, models.join("tiny.gguf")).unwrap();
    fs::File::options().write(true).open(models.join("tiny.gguf")).unwrap().set_len(2_000_000).unwrap();
    let proc = directory.join("proc/4711");
    for folder in ["fd", "fdinfo"] {
        fs::create_dir_all(proc.join(folder)).unwrap();
    }
    fs::create_dir_all(directory.join("proc/self/ns")).unwrap();
    symlink("pid:[4026531836]", directory.join("proc/self/ns/pid")).unwrap();
    let mounts = "40 22 0:40 / /models rw,noatime - zfs rpool/ai/models rw\n";
    fs::write(directory.join("proc/self/mountinfo"), mounts).unwrap();
    write_stat(directory, 'S');
    Root::open(directory).unwrap()
}

fn scanned(root: &Root) -> (Arc<FileIndex>, Vec<StoredModel>) {
    let scanned = scan_once(root, &StoreEnvironment::default(), &["/models".to_owned()]);
    (scanned.index, scanned.store.models)
}

fn look(uses: &mut Uses, root: &Root, index: &FileIndex, now: Mono, process: ProcessKey) -> Vec<ModelUse> {
    let mounts = Mounts::read(root);
    let look = Look { root, index, mounts: &mounts, now, enter: &|_| true };
    uses.look(&look, &[process])
}

#[test]
fn a_file_that_is_read_has_a_position_and_its_dataset() {
    let directory = tempfile::tempdir().unwrap();
    let root = machine(directory.path());
    let (index, models) = scanned(&root);
    let proc = directory.path().join("proc/4711");
    symlink("/models/tiny.gguf", proc.join("fd/7")).unwrap();
    symlink("/dev/null", proc.join("fd/0")).unwrap();
    fs::write(proc.join("fdinfo/7"), "pos:\t500000\nflags:\t0100000\n").unwrap();
    fs::write(proc.join("io"), "rchar: 600000\nwchar: 1\n").unwrap();
    let found = look(&mut Uses::default(), &root, &index, Mono(1), SERVER);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&one.path, &*one.name, one.access), (&models[0].path, "tiny", ModelAccess::Open));
    assert_eq!((one.position.clone(), one.size.clone()), (Ok(Bytes(500_000)), Ok(Bytes(2_000_000))));
    assert_eq!((one.files, one.files_of_model.clone()), (1, Ok(1)));
    assert_eq!(one.mount.as_deref(), Ok("rpool/ai/models"));
    assert_eq!(one.read, Ok(Bytes(600_000)));
    // Another process that got the PID has nothing of it.
    assert!(
        look(&mut Uses::default(), &root, &index, Mono(1), ProcessKey { start: 78, ..SERVER }).is_empty()
    );
}

#[test]
fn a_mapping_is_found_by_device_and_inode_and_what_is_resident_at_the_next_look() {
    let directory = tempfile::tempdir().unwrap();
    let root = machine(directory.path());
    let (index, _) = scanned(&root);
    let Ok(Identity::File { device: (major, minor), inode }) = root.identity("/models/tiny.gguf") else {
        panic!()
    };
    let proc = directory.path().join("proc/4711");
    // Inside a container the same file has another path.
    let line = |from: u32| {
        format!("{from:x}000-ff000 r--s 00000000 {major:02x}:{minor:02x} {inode}     /inside/tiny.gguf\n")
    };
    let other = "7f00-7fff r-xp 00000000 08:01 99 /usr/lib/libc.so.6\n";
    fs::write(proc.join("maps"), format!("{}{other}{}", line(1), line(2))).unwrap();
    let smaps = format!("{}Rss:    100 kB\n{other}Rss:   9999 kB\n{}Rss:    50 kB\n", line(1), line(2));
    fs::write(proc.join("smaps"), smaps).unwrap();
    let mut uses = Uses::default();
    let found = look(&mut uses, &root, &index, Mono(1), SERVER);
    assert_eq!((found.len(), found[0].access, found[0].files), (1, ModelAccess::Mapped, 1));
    assert_eq!(found[0].resident, Err(Absence::NotRequested));
    let later = Mono(1).plus(MAPS_EVERY);
    let found = look(&mut uses, &root, &index, later, SERVER);
    assert_eq!(found[0].resident, Ok(Bytes(150 * 1_024)));
    assert_eq!((&*found[0].name, found[0].size.clone()), ("tiny", Ok(Bytes(2_000_000))));
    // In uninterruptible sleep its memory lock is not asked for.
    fs::write(proc.join("smaps"), "").unwrap();
    write_stat(directory.path(), 'D');
    let found = look(&mut uses, &root, &index, later.plus(MAPS_EVERY), SERVER);
    assert_eq!(found[0].resident, Ok(Bytes(150 * 1_024)));
}

#[test]
fn a_file_outside_of_the_known_stores_is_named_by_its_path() {
    for (path, name) in [
        ("/data/llama/model-00002-of-00004.safetensors", "llama"),
        ("/x/hub/models--acme--small/blobs/0123abc", "acme/small"),
        ("/x/blobs/sha256-0123456789abcdef", "sha256-0123456789ab"),
        ("/x/tiny-Q8_0.gguf", "tiny-Q8_0"),
    ] {
        assert!(may_be_model(path), "{path}");
        assert_eq!(named_by(path).unwrap().1, name, "{path}");
    }
    assert!(!may_be_model("socket:[1]") && !may_be_model("/dev/nvidia0") && !may_be_model("/x/blobs/y"));
}

#[test]
fn a_process_that_does_not_answer_does_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    machine(directory.path());
    symlink("/models/tiny.gguf", directory.path().join("proc/4711/fd/7")).unwrap();
    fs::write(directory.path().join("proc/4711/fdinfo/7"), "pos:\t1\n").unwrap();
    fs::write(directory.path().join("root.toml"), "[file.\"/proc/4711/maps\"]\nhang = true\n").unwrap();
    let root = Root::open(directory.path()).unwrap();
    let (index, _) = scanned(&root);
    let clock = crate::units::Clock {
        mono: || {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            Mono(now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000)
        },
        wall: || crate::units::Wall(0),
    };
    let mut watcher = UseWatcher::new(root, clock, Duration::from_millis(200));
    for _ in 0..6_000 {
        if let Some(found) = watcher.poll(&[SERVER], &index, (clock.mono)()) {
            assert_eq!(found.len(), 1);
            assert_eq!(watcher.blocked(), ["/proc/4711/maps"]);
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing was found: {:?}", watcher.blocked());
}
