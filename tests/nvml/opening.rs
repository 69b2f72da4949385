//! A driver that cannot be opened says why, and what to do.

use super::*;

fn refused(code: u32) -> OpenError {
    let file = scenario_file(&format!(
        "title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"h200\"\n{}",
        error("nvmlInit_v2", code)
    ));
    let library = stand_in::stand_in_with(&[("KGTOP_STAND_IN", file.to_str().unwrap())]);
    open(Some(Path::new(&*library)), &caller()).unwrap_err()
}

#[test]
fn each_refusal_of_init_has_a_reason_that_says_what_to_do() {
    let cases = [
        (18, OpenError::LibraryMismatch, "reboot"),
        (9, OpenError::DriverNotLoaded, "modprobe nvidia"),
        (4, OpenError::NoPermission, "/dev/nvidiactl"),
        (999, OpenError::Unknown, "restart"),
    ];
    for (code, wanted, advice) in cases {
        let found = refused(code);
        assert_eq!(found, wanted, "{code}");
        assert!(found.to_string().contains(advice), "{code}: {found}");
    }
    let other = refused(17).to_string();
    assert!(other.contains("OPERATING_SYSTEM (17)") && other.contains("dmesg"), "{other}");
}

fn not_a_library(path: &Path) -> String {
    let error = open(Some(path), &caller()).unwrap_err();
    assert!(matches!(error, OpenError::NotALibrary { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()), "{text}");
    text
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let text = not_a_library(Path::new("/nonexistent/libnvidia-ml.so.1"));
    assert!(text.contains("No such file"), "{text}");
}

#[test]
fn a_text_file_is_no_library() {
    let file = scenario_file("not a library\n");
    not_a_library(&file);
    not_a_library(&std::env::temp_dir());
}

#[test]
fn a_library_without_the_symbol_is_no_nvml() {
    let library = stand_in::without_symbols(&["nvmlInit_v2"]);
    let text = not_a_library(&library);
    assert!(text.contains("nvmlInit_v2"), "{text}");
}

#[test]
fn a_driver_without_a_gpu_says_so() {
    let rig = rig_of("title = \"t\"\nduration_seconds = 60\n");
    assert_eq!(rig.devices.len(), 0);
    let driver = rig.session.driver(&rig.caller);
    assert_eq!(driver.version.as_deref(), Ok("580.159.04"));
    assert!(driver.problem.as_deref().is_some_and(|text| text.contains("has no GPU")), "{driver:?}");
}

#[test]
fn a_count_that_cannot_be_read_is_the_problem() {
    let rig = one("h200", &error("nvmlDeviceGetCount_v2", 999));
    assert_eq!(rig.devices.len(), 0);
    let problem = rig.session.driver(&rig.caller).problem.unwrap();
    assert!(problem.contains("UNKNOWN"), "{problem}");
}
