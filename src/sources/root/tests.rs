use super::*;
use std::fs;

fn tree(toml: &str) -> (tempfile::TempDir, Result<Root, RootError>) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("proc/1")).unwrap();
    fs::write(directory.path().join("proc/1/stat"), "1 (init) S").unwrap();
    if !toml.is_empty() {
        fs::write(directory.path().join("root.toml"), toml).unwrap();
    }
    let root = Root::open(directory.path());
    (directory, root)
}

#[test]
fn absolute_links_and_dots_stay_inside() {
    let (directory, root) = tree("");
    let root = root.unwrap();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, directory.path().join(name)).unwrap();
    };
    link("/proc/1/stat", "absolute");
    link("../../../../proc/1/stat", "dots");
    link("/etc/passwd", "outside");
    assert_eq!(root.read_to_string("/absolute", 100), Ok("1 (init) S".to_owned()));
    assert_eq!(root.read_to_string("/dots", 100), Ok("1 (init) S".to_owned()));
    assert_eq!(root.read_to_string("/../../proc/1/stat", 100), Ok("1 (init) S".to_owned()));
    assert_eq!(root.read("/outside", 100), Err(Absence::NotSupported));
    assert_eq!(root.read_link("/outside"), Ok("/etc/passwd".to_owned()));
    assert_eq!(root.link_name("/outside"), Ok("passwd".into()));
    assert!(!root.exists("/outside"));
    assert!(root.exists("/dots"));
    assert!(matches!(root.read_link("/proc/1/stat"), Err(Absence::Failed { .. })));
    assert_eq!(root.list("/").unwrap(), ["absolute", "dots", "outside", "proc"]);
}

#[test]
fn reads_are_bounded_and_not_utf8_is_replaced() {
    let (directory, root) = tree("");
    let root = root.unwrap();
    fs::write(directory.path().join("long"), vec![b'x'; 10_000]).unwrap();
    fs::write(directory.path().join("bytes"), [b'a', 0xff, b'b']).unwrap();
    assert_eq!(root.read("/long", 5_000).unwrap().len(), 5_000);
    assert_eq!(root.read("/long", 20_000).unwrap().len(), 10_000);
    assert_eq!(root.read("/long", 0).unwrap().len(), 0);
    assert_eq!(root.read_to_string("/bytes", 9), Ok("a\u{fffd}b".to_owned()));
}

#[test]
fn root_toml_stands_in_for_what_git_cannot_hold() {
    let (_directory, root) = tree(
        r#"
[machine]
page_size = 65536

[file."/proc/1/stat"]
error = "EACCES"
[file."/proc/1/environ"]
error = "EIO"
[file."/proc/1/ns/pid"]
link = "pid:[4026531836]"
[file."/proc/1/exe"]
link = "/sbin/init"
[file."/dev/nvidia0"]
device = "195:0"
mode = "0660"
uid = 0
gid = 44
label = "system_u:object_r:xserver_misc_device_t:s0"
"#,
    );
    let root = root.unwrap();
    assert_eq!(root.page_size(), 65_536);
    assert_eq!(root.clock_ticks_per_second(), 100);
    assert_eq!(root.read("/proc/1/stat", 10), Err(Absence::NoPermission));
    let failed = root.read("/proc/1/environ", 10);
    assert!(matches!(failed, Err(Absence::Failed { code: 5, .. })), "{failed:?}");
    assert_eq!(root.read_link("/proc/1/ns/pid"), Ok("pid:[4026531836]".to_owned()));
    assert_eq!(root.list("/proc/1").unwrap(), ["exe", "stat"]);
    let expected = Metadata { kind: FileKind::Device, mode: 0o660, uid: 0, gid: 44, device: Some((195, 0)) };
    assert_eq!(root.metadata("/dev/nvidia0"), Ok(expected));
    assert_eq!(root.label("/dev/nvidia0").unwrap().as_ref(), "system_u:object_r:xserver_misc_device_t:s0");
    assert_eq!(root.label("/proc/1"), Err(Absence::NotSupported));
}

#[test]
fn mistakes_in_root_toml_name_the_line() {
    let cases = [
        ("[file.\"/a\"]\nmodes = \"0600\"\n", ":2: ", "mode"),
        ("[files.\"/a\"]\n", ":1: ", "file"),
        ("\n[file.\"/a\"]\nerror = \"EWHAT\"\n", ":2: ", "EACCES"),
        ("[file.\"/a\"]\nmode = \"9\"\n", ":1: ", "0660"),
        ("[file.\"/a\"]\ndevice = \"195\"\n", ":1: ", "195:0"),
        ("[file.\"a/b\"]\nuid = 1\n", ":1: ", "from /"),
        ("[machine]\npage_size = 0\n", ":1: ", "at least 1"),
    ];
    for (toml, line, help) in cases {
        let (_directory, root) = tree(toml);
        let message = root.unwrap_err().to_string();
        assert!(message.contains("root.toml"), "{message}");
        assert!(message.contains(line) && message.contains(help), "{toml}: {message}");
    }
}

#[test]
fn a_directory_that_is_not_there_says_so() {
    let message = Root::open(Path::new("/nonexistent-root")).unwrap_err().to_string();
    assert!(message.contains("/nonexistent-root"), "{message}");
}

#[test]
fn the_live_root_reads_this_machine() {
    assert_eq!(
        Root::Live.read_to_string("/proc/self/stat", 1),
        Ok(std::process::id().to_string().chars().take(1).collect())
    );
    assert!(Root::Live.exists("/proc/self"));
    assert!(Root::Live.page_size() >= 4_096);
    assert_eq!(Root::Live.read("/proc/no-such-file", 1), Err(Absence::NotSupported));
}
