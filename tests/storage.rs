//! `kgtop storage` end to end: captured kernel statistics, and stand-ins for `zpool` and `zfs` that do what the worst
//! of them do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zfs").join(path)
}

fn script(directory: &Path, name: &str, body: &str) {
    let path = directory.join(name);
    std::fs::write(
        &path,
        format!("#!/bin/sh\necho \"{name} $*\" >> '{}/asked'\n{body}\n", directory.display()),
    )
    .unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Tools that answer as they did when `state` was captured.
fn tools_of(state: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| fixture(&format!("{state}/{name}")).display().to_string();
    let zpool = format!(
        "case \"$*\" in\nstatus*-j*) cat '{}';;\nstatus*) cat '{}';;\nlist*) cat '{}';;\nesac",
        file("zpool_status_json.txt"),
        file("zpool_status_paths.txt"),
        file("zpool_list.txt"),
    );
    script(directory.path(), "zpool", &zpool);
    script(directory.path(), "zfs", &format!("cat '{}'", file("zfs_list.txt")));
    directory
}

fn run(root: &Path, tools: Option<&Path>, format: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kgtop"));
    command.env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"));
    command.args(["storage", "--interval", "0.2", "--format", format, "--root"]).arg(root);
    if let Some(tools) = tools {
        command.arg("--zfs-tools").arg(tools);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(state: &str, tools: Option<&Path>) -> Value {
    serde_json::from_str(&run(&fixture(&format!("{state}/root")), tools, "json")).unwrap()
}

fn asked(tools: &Path) -> String {
    std::fs::read_to_string(tools.join("asked")).unwrap_or_default()
}

#[test]
fn pools_datasets_and_cache_of_a_captured_machine() {
    let tools = tools_of("2.3.9-cksum");
    let storage = json("2.3.9-cksum", Some(tools.path()));
    let pool = &storage["pools"][0];
    assert_eq!((pool["name"].as_str(), pool["state"].as_str()), (Some("rpool"), Some("ONLINE")));
    assert_eq!(pool["healthy"], false, "ONLINE with errors");
    assert_eq!(pool["vdevs"][2]["checksum_errors"], 259);
    let models = storage["datasets"]
        .as_array()
        .unwrap()
        .iter()
        .find(|each| each["name"] == "rpool/ai/models")
        .unwrap();
    assert_eq!(models["primary_cache"], "metadata");
    assert_eq!(models["record_size_bytes"], 1 << 20);
    assert!(storage["arc"]["size_bytes"].as_u64().unwrap() > 0);
    let rules: Vec<&str> =
        storage["advice"].as_array().unwrap().iter().filter_map(|each| each["rule"].as_str()).collect();
    assert!(rules.contains(&"zfs_unhealthy") && rules.contains(&"zfs_weights_metadata_only"), "{rules:?}");
    let text = run(&fixture("2.3.9-cksum/root"), Some(tools.path()), "text");
    assert!(text.contains("ONLINE, errors") && text.contains("rpool/ai/with space"), "{text}");
    assert!(text.contains("$ zfs set primarycache=all rpool/ai/models"), "{text}");
}

/// A second reading is waited for: rates follow from two.
#[test]
fn devices_and_datasets_have_rates() {
    let tree = tempfile::tempdir().unwrap();
    let pool = tree.path().join("proc/spl/kstat/zfs/tank");
    std::fs::create_dir_all(&pool).unwrap();
    std::fs::write(pool.join("state"), "ONLINE\n").unwrap();
    std::fs::write(tree.path().join("proc/spl/kstat/zfs/arcstats"), "not a statistic").unwrap();
    std::fs::write(
        pool.join("objset-0x8"),
        "1 1 0x01 7 1 5 6\nname type data\ndataset_name 7 tank/a\nwrites 4 1\nnwritten 4 9\nreads 4 1\nnread 4 9\n",
    )
    .unwrap();
    std::fs::write(tree.path().join("proc/diskstats"), " 259 0 nvme7n1 100 5 2048 40 10 2 16 30 1 60 70\n")
        .unwrap();
    for _each_time in 0..3 {
        let storage: Value = serde_json::from_str(&run(tree.path(), None, "json")).unwrap();
        assert_eq!(storage["devices"][0]["read_bytes_per_second"], 0, "{storage:#}");
        assert_eq!(storage["datasets"][0]["read_bytes_per_second"], 0, "{storage:#}");
    }
}

#[test]
fn the_models_of_the_tab_are_in_the_text() {
    let tree = tempfile::tempdir().unwrap();
    let folder = tree.path().join("srv/weights");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("tiny.gguf"), [0_u8; 2_048]).unwrap();
    let config = tree.path().join("config.toml");
    std::fs::write(&config, "model_paths = [\"/srv/weights\"]\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kgtop"))
        .args(["storage", "--interval", "0.2", "--root"])
        .arg(tree.path())
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let head = text.lines().position(|line| line.starts_with("Model ")).unwrap_or_else(|| panic!("{text}"));
    let row = text.lines().nth(head + 1).unwrap();
    assert!(row.starts_with("tiny ") && row.contains(" 2.00 KiB ") && row.contains(" folder "), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("tiny: ") && line.contains("GGUF")),
        "why it has no parameters: {text}"
    );
    // Where there are none, the text says so.
    let empty = run(tempfile::tempdir().unwrap().path(), None, "text");
    assert!(empty.contains("No store of models was found"), "{empty}");
}

#[test]
fn the_whole_snapshot_has_storage_too() {
    let tools = tools_of("2.3.9-healthy");
    let output = Command::new(env!("CARGO_BIN_EXE_kgtop"))
        .env("XDG_CONFIG_HOME", std::env::temp_dir().join("kgtop-test-no-config"))
        .args(["snapshot", "--format", "json", "--interval", "0.2", "--root"])
        .arg(fixture("2.3.9-healthy/root"))
        .arg("--zfs-tools")
        .arg(tools.path())
        .output()
        .unwrap();
    let snapshot: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(snapshot["storage"]["pools"][0]["name"], "rpool");
}

#[test]
fn a_captured_machine_is_not_asked_through_the_tools_of_this_one() {
    let storage = json("2.3.9-healthy", None);
    assert_eq!(storage["pools"][0]["state"], "ONLINE", "from the kernel's statistics");
    assert_eq!(storage["pools"][0]["absent"]["size_bytes"], "not_requested");
}

#[test]
fn no_tool_runs_while_the_module_is_not_loaded() {
    let tools = tools_of("2.3.9-healthy");
    let empty = tempfile::tempdir().unwrap();
    let text = run(empty.path(), Some(tools.path()), "text");
    assert!(text.contains("ZFS is absent"), "{text}");
    assert_eq!(asked(tools.path()), "", "run by root it would load the module");
}

#[test]
fn a_suspended_pool_is_told_and_never_asked_about() {
    let tools = tools_of("2.3.9-healthy");
    let storage = json("2.3.9-suspended", Some(tools.path()));
    let states: Vec<&str> =
        storage["pools"].as_array().unwrap().iter().filter_map(|pool| pool["state"].as_str()).collect();
    assert_eq!(states, ["ONLINE", "SUSPENDED"]);
    for line in asked(tools.path()).lines() {
        assert!(line.ends_with(" rpool"), "only the other pool is named: {line}");
    }
}

/// What the tools may do, and what the screen says of it. The kernel's statistics are told in any case.
#[test]
fn tools_that_answer_badly_cost_their_own_values_only() {
    let half = std::fs::read_to_string(fixture("2.3.9-healthy/zpool_status_json.txt")).unwrap();
    let half = &half[..half.len() / 2];
    let cases: [(&str, String, &str); 7] = [
        ("garbage", "printf '\\377\\376 what?\\n'".into(), "zpool status"),
        ("half a JSON", format!("cat <<'END'\n{half}\nEND"), "EOF"),
        ("exit 255", "exit 255".into(), "255"),
        ("usage", "echo 'unrecognized command' >&2; exit 2".into(), "unrecognized command"),
        (
            "unknown property",
            "echo \"bad property list: invalid property 'x'\" >&2; exit 2".into(),
            "invalid property",
        ),
        (
            "no right",
            "echo 'Permission denied the ZFS utilities must be run as root.' >&2; exit 1".into(),
            "no permission",
        ),
        ("nothing", "exit 0".into(), ""),
    ];
    for (what, body, said) in cases {
        let tools = tempfile::tempdir().unwrap();
        script(tools.path(), "zpool", &body);
        script(tools.path(), "zfs", &body);
        let storage = json("2.3.9-healthy", Some(tools.path()));
        assert_eq!(storage["pools"][0]["state"], "ONLINE", "{what}");
        assert!(storage["datasets"].as_array().unwrap().len() >= 8, "{what}");
        let problem = storage["pools_problem"].as_str().unwrap_or_default();
        assert!(problem.contains(said), "{what}: {problem}");
        assert!(!problem.is_empty(), "{what}: an answer that is none is no answer");
    }
    let missing = tempfile::tempdir().unwrap();
    let storage = json("2.3.9-healthy", Some(missing.path()));
    let problem = storage["pools_problem"].as_str().unwrap();
    assert!(problem.contains("zpool is not installed"), "{problem}");
}

/// Any device may then be one of the pools', and the text says what would help.
#[test]
fn without_the_right_to_ask_every_device_is_shown() {
    let root = tempfile::tempdir().unwrap();
    let pool = root.path().join("proc/spl/kstat/zfs/tank");
    std::fs::create_dir_all(&pool).unwrap();
    std::fs::write(pool.join("state"), "ONLINE\n").unwrap();
    std::fs::write(root.path().join("proc/diskstats"), " 259 0 nvme7n1 100 5 2048 40 10 2 16 30 1 60 70\n")
        .unwrap();
    let tools = tempfile::tempdir().unwrap();
    let refusal = "echo 'Permission denied the ZFS utilities must be run as root.' >&2; exit 1";
    for name in ["zpool", "zfs"] {
        script(tools.path(), name, refusal);
    }
    let text = run(root.path(), Some(tools.path()), "text");
    assert!(text.contains("zpool: no permission: /dev/zfs may not be opened; run kgtop as root"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("nvme7n1 ")), "{text}");
}

#[test]
fn a_tool_that_hangs_is_killed_and_the_rest_is_told() {
    let tools = tempfile::tempdir().unwrap();
    script(tools.path(), "zpool", "echo $$ > \"${0%/*}/pid\"; exec tail -f /dev/null");
    script(tools.path(), "zfs", "exec tail -f /dev/null");
    let storage = json("2.3.9-healthy", Some(tools.path()));
    assert_eq!(storage["pools"][0]["state"], "ONLINE");
    let problem = storage["pools_problem"].as_str().unwrap();
    assert!(problem.contains("gave no answer within 5 s"), "{problem}");
    let pid = std::fs::read_to_string(tools.path().join("pid")).unwrap();
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    assert!(state.is_err() || state.unwrap().contains(") Z "), "the child is still there");
    assert!(asked(tools.path()).lines().count() <= 2, "never two at once: {}", asked(tools.path()));
}

#[test]
fn statistics_that_vanish_or_are_garbage_leave_the_others() {
    let tree = tempfile::tempdir().unwrap();
    let pool = tree.path().join("proc/spl/kstat/zfs/tank");
    std::fs::create_dir_all(&pool).unwrap();
    std::fs::write(pool.join("state"), "ONLINE\n").unwrap();
    std::fs::write(tree.path().join("proc/spl/kstat/zfs/arcstats"), "not a statistic").unwrap();
    // A dataset that is unmounted between the listing and the reading is a link to nothing.
    std::os::unix::fs::symlink("/gone", pool.join("objset-0x7")).unwrap();
    std::fs::write(
        pool.join("objset-0x8"),
        "1 1 0x01 7 1 5 6\nname type data\ndataset_name 7 tank/a\nnread 4 9\n",
    )
    .unwrap();
    let storage: Value = serde_json::from_str(&run(tree.path(), None, "json")).unwrap();
    assert_eq!(storage["pools"][0]["name"], "tank");
    assert_eq!(storage["datasets"].as_array().unwrap().len(), 1);
    assert_eq!(storage["arc"]["size_bytes"], Value::Null);
    assert_eq!(storage["arc"]["absent"]["size_bytes"], "failed");
}
