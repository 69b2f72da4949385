use super::*;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const ADDRESS: Option<&str> = Some("0000:41:00.0");

/// A `/dev` below a root, with two GPUs' files and one DRM node.
fn devices() -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["dev/dri", "sys/bus/pci/devices/0000:41:00.0/drm/renderD128"] {
        std::fs::create_dir_all(path(name)).unwrap();
    }
    for name in ["dev/nvidia0", "dev/nvidia1", "dev/nvidiactl", "dev/dri/renderD128"] {
        File::create(path(name)).unwrap();
    }
    let root = Root::open(directory.path()).unwrap();
    (directory, root)
}

/// A real process that has a real file open.
struct Process(Child);

impl Process {
    fn with(file: &Path) -> Self {
        Self::of(Path::new("sleep"), file)
    }

    /// One that has become its program: `spawn` returns a moment before the kernel names it.
    fn of(program: &Path, file: &Path) -> Self {
        let child = Command::new(program).arg("600").stdin(File::open(file).unwrap()).spawn().unwrap();
        let name = program.file_name().unwrap().to_string_lossy().into_owned();
        let comm = format!("/proc/{}/comm", child.id());
        let named = || std::fs::read_to_string(&comm).is_ok_and(|found| found.trim_end() == name);
        eventually("the program's name", named);
        Self(child)
    }
}

/// Waits for it. A child of another test has this test's files open until it is its program.
fn eventually(what: &str, is: impl Fn() -> bool) {
    let tried = (0..30_000).any(|_| {
        let came = is();
        if !came {
            std::thread::sleep(Duration::from_millis(2));
        }
        came
    });
    assert!(tried, "{what}");
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn pids(found: &Found) -> Vec<u32> {
    found.holders.iter().map(|holder| holder.pid).filter(|pid| *pid != std::process::id()).collect()
}

#[test]
fn the_name_of_a_holder_does_not_steer_the_terminal_of_root() {
    let (directory, root) = devices();
    let files = DeviceFiles::of(&root, 0, ADDRESS).unwrap();
    let program = directory.path().join("s\u{1b}[2J");
    // Not a copy: one that was just written cannot be started while another test forks.
    symlink("/bin/sleep", &program).unwrap();
    let holder = Process::of(&program, &directory.path().join("dev/nvidia0"));
    let found = look(&Root::Live, &files);
    let found = found.holders.iter().find(|found| found.pid == holder.0.id()).unwrap();
    assert_eq!(found.name, "s·[2J");
}

#[test]
fn real_processes_are_found_by_the_file_and_not_by_its_name() {
    let (directory, root) = devices();
    let files = DeviceFiles::of(&root, 0, ADDRESS).unwrap();
    let nobody = || pids(&look(&Root::Live, &files)).is_empty();
    eventually("nobody holds it", nobody);
    let other_name = directory.path().join("dev/elsewhere");
    std::fs::hard_link(directory.path().join("dev/nvidia0"), &other_name).unwrap();
    let holders = [
        Process::with(&directory.path().join("dev/nvidia0")),
        Process::with(&other_name),
        Process::with(&directory.path().join("dev/dri/renderD128")),
    ];
    // These have something else open.
    let _others = [
        Process::with(&directory.path().join("dev/nvidia1")),
        Process::with(&directory.path().join("dev/nvidiactl")),
    ];
    let mut wanted: Vec<u32> = holders.iter().map(|holder| holder.0.id()).collect();
    wanted.sort_unstable();
    eventually("the three that hold it, and no other", || {
        let mut seen = pids(&look(&Root::Live, &files));
        seen.sort_unstable();
        seen == wanted
    });
    let found = look(&Root::Live, &files);
    let first = found.holders.iter().find(|holder| holder.pid == holders[0].0.id()).unwrap();
    assert_eq!((first.name.as_str(), first.files.as_slice()), ("sleep", &["/dev/nvidia0".to_owned()][..]));
    assert_eq!(first.parent, Some(std::process::id()));
    drop(holders);
    eventually("nobody holds it any more", nobody);
}

#[test]
fn without_the_device_file_nobody_is_looked_for() {
    let (_kept, root) = devices();
    assert_eq!(DeviceFiles::of(&root, 7, ADDRESS), Err(Absence::NotSupported));
}

/// A made-up process of a captured `/proc`.
fn process(root: &Path, pid: u32, name: &str, open: &str) {
    let own = root.join(format!("proc/{pid}"));
    std::fs::create_dir_all(own.join("fd")).unwrap();
    std::fs::write(own.join("comm"), format!("{name}\n")).unwrap();
    std::fs::write(own.join("status"), format!("Name:\t{name}\nPPid:\t1\n")).unwrap();
    symlink(open, own.join("fd/3")).unwrap();
}

#[test]
fn a_captured_machine_has_its_holders_and_its_fabric_manager() {
    let (directory, root) = devices();
    process(directory.path(), 40, "nv-fabricmanage", "/dev/nvidiactl");
    process(directory.path(), 41, "nvidia-persiste", "/dev/nvidia0");
    process(directory.path(), 42, "python", "socket:[1]");
    let found = look(&root, &DeviceFiles::of(&root, 0, ADDRESS).unwrap());
    assert_eq!(pids(&found), [41]);
    assert!(found.fabric_manager);
    assert_eq!(found.partial, None);
}

#[test]
fn a_process_that_hides_its_descriptors_makes_the_look_partial() {
    let (directory, _) = devices();
    process(directory.path(), 41, "python", "/dev/nvidia1");
    std::fs::write(directory.path().join("root.toml"), "[file.\"/proc/41/fd\"]\nerror = \"EACCES\"\n")
        .unwrap();
    let root = Root::open(directory.path()).unwrap();
    let found = look(&root, &DeviceFiles::of(&root, 0, ADDRESS).unwrap());
    assert!(found.partial.as_deref().is_some_and(|why| why.contains("/proc/41/fd of python")), "{found:?}");
}

#[test]
fn a_file_that_root_may_not_look_at_is_no_device_file_unless_it_lies_among_them() {
    for (open, is_partial) in [("/home/ann/mount/file", false), ("/dev/shm/file", true)] {
        let (directory, _) = devices();
        process(directory.path(), 41, "python", open);
        symlink("/dev/nvidia0", directory.path().join("proc/41/fd/4")).unwrap();
        let refused = format!("[file.\"{open}\"]\nerror = \"EACCES\"\n");
        std::fs::write(directory.path().join("root.toml"), refused).unwrap();
        let root = Root::open(directory.path()).unwrap();
        let found = look(&root, &DeviceFiles::of(&root, 0, ADDRESS).unwrap());
        assert_eq!(found.partial.is_some(), is_partial, "{open}: {found:?}");
        // What else it has open is seen all the same.
        assert_eq!(pids(&found), if is_partial { vec![] } else { vec![41] }, "{open}");
    }
}

#[test]
fn a_proc_without_processes_proves_nothing() {
    let (_kept, root) = devices();
    assert!(look(&root, &DeviceFiles::of(&root, 0, ADDRESS).unwrap()).partial.is_some());
}
