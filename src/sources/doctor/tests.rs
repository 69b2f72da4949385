use super::*;
use crate::model::Absence;
use std::path::Path;

fn tree(files: &[(&str, &str)], toml: &str) -> (tempfile::TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::write(directory.path().join("root.toml"), toml).unwrap();
    let root = Root::open(directory.path()).unwrap();
    (directory, root)
}

fn found(root: &Root) -> Vec<HostFiles> {
    let mut all = Vec::new();
    scan(root, &mut |files| all.push(files));
    all
}

#[test]
fn lines_are_kept_with_their_numbers_and_what_is_nobodys_business_is_not() {
    let (_directory, root) = tree(
        &[
            ("/etc/environment", "PATH=/usr/bin\nAPI_TOKEN=swordfish\nCUDA_VISIBLE_DEVICES=\n"),
            ("/proc/self/environ", "HOME=/root\0PASSWORD=hunter2\0CUDA_VISIBLE_DEVICES=0\0"),
            ("/proc/modules", "ext4 1 0 - Live\nnvidia_uvm 1 0 - Live\nnvidia 1 1 nvidia_uvm, Live\n"),
        ],
        "",
    );
    let all = found(&root);
    let last = all.last().unwrap();
    assert_eq!(last.get("/etc/environment").unwrap().lines, Ok(vec![(3, "CUDA_VISIBLE_DEVICES=".into())]));
    assert_eq!(last.get("/proc/self/environ").unwrap().lines, Ok(vec![(3, "CUDA_VISIBLE_DEVICES=0".into())]));
    assert_eq!(last.get("/proc/modules").unwrap().lines.as_ref().map(Vec::len), Ok(2));
    assert_eq!(last.get("/proc/cmdline").unwrap().lines, Err(Absence::NotSupported));
    assert!(!format!("{last:?}").contains("hunter2") && !format!("{last:?}").contains("swordfish"));
}

#[test]
fn nodes_have_mode_owner_number_and_label() {
    let (_directory, root) = tree(
        &[("/dev/kmsg", "")],
        "[file.\"/dev/nvidia0\"]\ndevice = \"195:0\"\nmode = \"0660\"\nuid = 0\ngid = 44\n\
         label = \"system_u:object_r:xserver_misc_device_t:s0\"\n",
    );
    let all = found(&root);
    let node = all.last().unwrap().get("/dev/nvidia0").unwrap();
    assert_eq!((node.mode.clone(), node.gid.clone(), node.device.clone()), (Ok(0o660), Ok(44), Ok((195, 0))));
    assert!(node.label.as_ref().unwrap().contains("xserver_misc_device_t"));
}

#[test]
fn a_driver_that_hangs_keeps_only_its_own_files() {
    let (_directory, root) = tree(
        &[("/proc/modules", "nvidia 1 1 - Live\n")],
        "[file.\"/proc/driver/nvidia/version\"]\nhang = true\n",
    );
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || scan(&root, &mut |files| drop(send.send(files))));
    let first = receive.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(first.pending.as_deref(), Some("/proc/driver/nvidia"));
    assert!(first.get("/proc/modules").unwrap().lines.is_ok());
    assert!(receive.try_recv().is_err());
}

#[test]
fn the_audit_log_gives_denials_and_the_time_of_its_newest_record() {
    let log = "type=AVC msg=audit(1.0:1): avc:  granted  { read } path=\"/dev/nvidia0\"\n\
               type=AVC msg=audit(2.0:2): avc:  denied  { read } path=\"/dev/nvidia0\"\n\
               type=USER_LOGIN msg=audit(3.5:3): pid=1 acct=\"alice\"\n";
    let (_directory, root) = tree(&[("/var/log/audit/audit.log", log)], "");
    let all = found(&root);
    let lines = all.last().unwrap().get("/var/log/audit/audit.log").unwrap().lines.clone().unwrap();
    let texts: Vec<&str> = lines.iter().map(|(_, text)| &**text).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("audit(2.0:2)") && texts[1] == "newest record: msg=audit(3.5:3)", "{texts:?}");
}

#[test]
fn an_empty_tree_is_no_error() {
    let (directory, root) = tree(&[], "");
    assert!(Path::new(directory.path()).exists());
    let all = found(&root);
    assert_eq!(all.len(), 2);
    assert_eq!(all.last().unwrap().pending, None);
}
