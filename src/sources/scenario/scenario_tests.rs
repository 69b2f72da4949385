use super::*;

#[test]
fn every_embedded_scenario_parses() {
    for name in embedded_names() {
        let scenario = Scenario::parse(embedded(name).unwrap(), name).unwrap();
        assert!(!scenario.gpus().is_empty() && !scenario.title().is_empty(), "{name}");
        assert_eq!(scenario.name(), name);
    }
    assert_eq!(embedded("no such"), None);
}

#[test]
fn every_scenario_file_is_embedded() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scenarios");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut names: Vec<String> = embedded_names().map(str::to_owned).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

fn error(text: &str) -> String {
    Scenario::parse(text, "rig.toml").unwrap_err().to_string()
}

const HEAD: &str = "title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"h100\"\ncount = 2\n";

#[test]
fn an_unknown_key_names_its_line_and_the_nearest() {
    assert_eq!(
        error(&format!("{HEAD}[[at]]\nt = 1\ngpu = 0\ntemprature = 90\n")),
        "rig.toml:9: unknown field `temprature`; did you mean `temperature`?"
    );
    assert_eq!(
        error("titel = \"t\"\nduration_seconds = 60\n"),
        "rig.toml:1: unknown field `titel`; did you mean `title`?"
    );
    assert_eq!(
        error(&format!("{HEAD}[[fault]]\ncall = \"nvmlInit_v2\"\nkind = \"blok\"\n")),
        "rig.toml:8: unknown variant `blok`; did you mean `block`?"
    );
    assert_eq!(
        error(&format!("{HEAD}set = {{ pwr_limit = 3 }}\n")),
        "rig.toml:6: unknown field `pwr_limit`; did you mean `power_limit`?"
    );
}

#[test]
fn a_key_that_resembles_none_lists_them_all() {
    let message = error(&format!("{HEAD}[[expect]]\nzzzzzzzz = 1\n"));
    assert!(
        message.starts_with("rig.toml:7: unknown field `zzzzzzzz`; valid here: rule, gpu, from, to"),
        "{message}"
    );
}

#[test]
fn an_unknown_model_names_its_line_and_the_nearest() {
    let message = error("title = \"t\"\nduration_seconds = 60\n[[gpu]]\nmodel = \"h10\"\n");
    assert!(message.starts_with("rig.toml:4: unknown GPU model `h10`"), "{message}");
    assert!(message.ends_with("did you mean `h100`?"), "{message}");
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |tail: &str, part: &str| {
        let message = error(&format!("{HEAD}{tail}"));
        assert!(message.contains(part), "{message}");
    };
    refused("[[at]]\nt = 1\ngpu = 2\npower = 1\n", "names GPU 2; the rig has 2");
    refused("[[at]]\nt = 1\npower = 1\n", "does not say which");
    refused("[[at]]\ngpu = 0\npower = 1\n", "either `t`, or `from` and `to`");
    refused("[[at]]\nfrom = 9\nto = 3\ngpu = 0\npower = 1\n", "ends before it begins");
    refused("[[at]]\nt = 61\ngpu = 0\npower = 1\n", "outside of 0 to 60 s");
    refused("[[at]]\nt = 1\ngpu = 0\npower = nan\n", "finite");
    refused("[[at]]\nt = 1\nend = [77]\n", "PID 77");
    refused("[[at]]\nt = 1\ngpu = 0\nrelease = [\"powr\"]\n", "did you mean `power`?");
    refused("[[at]]\nt = 1\ngpu = -1\npower = 1\n", "not negative");
    refused("[[at]]\nt = 1\ngpu = \"some\"\npower = 1\n", "\"all\"");
    refused("[[fault]]\ncall = \"nvmlInit_v2\"\nkind = \"error\"\n", "needs `code`");
    assert!(
        error("title = \"t\"\nduration_seconds = 60\ninterval_seconds = 0\n").contains("between 0.1 and 60")
    );
    assert!(error("title = \"t\"\nduration_seconds = -1\n").contains("duration_seconds"));
    assert!(error("title = \"t\n").starts_with("rig.toml:1: "));
}

#[test]
fn a_change_ramps_holds_and_is_released() {
    let text = format!(
        "{HEAD}[[at]]\nfrom = 10\nto = 20\ngpu = 1\npcie_replays = 100\n[[at]]\nt = 40\ngpu = 1\nrelease = [\"pcie_replays\"]\n"
    );
    let scenario = Scenario::parse(&text, "t").unwrap();
    let replays =
        |t: u64, gpu: usize| scenario.truth_at(Duration::from_secs(t)).gpus[gpu].values.pcie_replays;
    assert_eq!([9, 15, 20, 39, 40].map(|t| replays(t, 1)), [0.0, 50.0, 100.0, 100.0, 0.0]);
    assert_eq!(replays(20, 0), 0.0, "the other GPU");
}

#[test]
fn values_tremble_and_repeat() {
    let scenario = Scenario::parse(embedded("healthy-8xh100").unwrap(), "t").unwrap();
    let power =
        |millis: u64, gpu: usize| scenario.truth_at(Duration::from_millis(millis)).gpus[gpu].values.power;
    assert_ne!(power(10_000, 0), power(10_100, 0));
    assert_ne!(power(10_000, 0), power(10_000, 1));
    assert_eq!(power(10_000, 0), power(10_000, 0));
    for gpu in 0..8 {
        assert!((400.0..700.0).contains(&power(10_000, gpu)));
    }
}

#[test]
fn seconds_in_a_reason_are_those_of_the_timeline() {
    let text = format!(
        "{HEAD}[[at]]\nt = 10\ngpu = 0\nthrottle = [\"hw_thermal_slowdown\"]\n[[at]]\nt = 25\ngpu = 0\nthrottle = []\n"
    );
    let scenario = Scenario::parse(&text, "t").unwrap();
    let seconds = |t: u64| scenario.truth_at(Duration::from_secs(t)).gpus[0].counters.reason_ns[3] / 1e9;
    assert_eq!([5, 10, 20, 60].map(seconds), [0.0, 0.0, 10.0, 15.0]);
}

#[test]
fn the_h200_is_as_measured() {
    let preset = Preset::named("h200").unwrap();
    assert_eq!(preset.memory_total >> 20, 143_771);
    assert_eq!(preset.power_limits, Some((200.0, 700.0, 700.0)));
    assert_eq!(preset.thresholds, (89.0, 95.0, Some(95.0), 87.0));
    assert_eq!((preset.nvlinks, preset.banks), (18, Some(3_072)));
}

#[test]
fn a_fault_is_of_its_call_gpu_and_time() {
    let scenario = Scenario::parse(embedded("stalled").unwrap(), "t").unwrap();
    let fault =
        |call: &str, gpu, t| scenario.fault(call, gpu, Duration::from_secs(t)).map(|fault| fault.kind);
    assert_eq!(fault("nvmlDeviceGetPowerUsage", Some(3), 6), Some(FaultKind::Block));
    assert_eq!(fault("nvmlDeviceGetPowerUsage", Some(3), 4), None);
    assert_eq!(fault("nvmlDeviceGetPowerUsage", Some(2), 6), None);
    assert_eq!(fault("nvmlDeviceGetTemperature", Some(3), 6), None);
}

#[test]
fn names_near_each_other_are_distinct() {
    for pair in PRESETS.windows(2) {
        assert_ne!(pair[0].key, pair[1].key);
    }
    assert_eq!(
        error::nearest("tempature", Metric::ALL.iter().map(|metric| metric.name())),
        Some("temperature")
    );
}
