//! Reports: the shape that scripts rely on, and that nothing absent ever reads as zero.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "stream/rig.rs"]
mod rig;

use kgtop::analysis::Judge;
use kgtop::model::*;
use kgtop::report;
use kgtop::units::*;
use rig::Rig;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn snapshot(records: Vec<Record>) -> Snapshot {
    let mut deriver = Deriver::new();
    records.into_iter().filter_map(|record| deriver.push(record)).last().unwrap()
}

/// Three seconds of two healthy GPUs and two processes.
fn healthy() -> Snapshot {
    snapshot(Rig::new(2, 2).records(3))
}

/// GPU 1 was lost before anything of it was read.
fn with_a_lost_gpu() -> Snapshot {
    let mut records = Rig::new(2, 2).records(3);
    for record in &mut records {
        if let Record::Sample(sample) = record {
            sample.gpus[1] = GpuSample { refusal: Some(15), ..GpuSample::new(Rig::id(1), GpuState::Lost) };
        }
    }
    snapshot(records)
}

fn json(snapshot: &Snapshot) -> Value {
    let verdicts = Judge::default().push(snapshot);
    serde_json::from_str(&report::json(snapshot, &verdicts)).unwrap()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Every key of the format's description, and no other.
#[track_caller]
fn has_keys(value: &Value, expected: &str) {
    assert_eq!(keys(value), expected.split_whitespace().collect(), "{value:#}");
}

/// GPU 1 was lost after it had been read.
fn with_a_gpu_lost_later() -> Snapshot {
    let mut records = Rig::new(2, 2).records(3);
    let Some(Record::Sample(sample)) = records.iter_mut().rfind(|record| matches!(record, Record::Sample(_)))
    else {
        panic!("no sample")
    };
    sample.mono = sample.mono.plus(std::time::Duration::from_secs(30));
    sample.gpus[1] = GpuSample::new(Rig::id(1), GpuState::Lost);
    snapshot(records)
}

#[test]
fn text_says_how_old_the_numbers_of_a_lost_gpu_are() {
    let text = report::text(&with_a_gpu_lost_later(), &[]);
    let row = |index: &str| {
        text.lines().find(|line| line.trim_start().starts_with(index)).unwrap_or_else(|| panic!("{text}"))
    };
    assert!(row("0 ").contains(" ok "), "{text}");
    assert!(row("1 ").contains(" lost, 31s old "), "{text}");
    // One of which nothing was ever read has no numbers to be old.
    let never = report::text(&with_a_lost_gpu(), &[]);
    assert!(never.contains(" lost ") && !never.contains(" old"), "{never}");
    assert!(never.contains("GPU_IS_LOST (15)"), "by which code it was given up: {never}");
}

#[test]
fn prometheus_says_by_which_code_a_gpu_was_given_up() {
    let samples = parsed(&report::prometheus(&with_a_lost_gpu(), &[]));
    let codes: Vec<(&str, f64)> =
        samples["kgtop_gpu_refusal_code"].iter().map(|(labels, code)| (&*labels["gpu"], *code)).collect();
    assert_eq!(codes, [("1", 15.0)], "none for a GPU that answers");
}

#[test]
fn json_has_the_keys_that_are_promised() {
    let json = json(&with_a_lost_gpu());
    has_keys(
        &json,
        "format time interval_seconds host driver sources gpus processes topology storage events verdicts",
    );
    has_keys(
        &json["host"],
        "hostname kernel uptime_seconds cpu_percent load_1m load_5m load_15m memory_total_bytes \
         memory_used_bytes arc_reclaimable_bytes swap_total_bytes swap_used_bytes absent",
    );
    has_keys(&json["driver"], "version nvml_version cuda_version module_version problem absent");
    has_keys(&json["sources"][0], "name state reason");
    has_keys(
        &json["processes"][0],
        "pid host_pid_visible ended gpus user name command cpu_percent memory_bytes started container pod \
         slurm_job unit model_files absent",
    );
    has_keys(
        &json["processes"][0]["gpus"][0],
        "index memory_bytes sm_percent memory_interface_percent encoder_percent decoder_percent kind gpu_instance",
    );
    has_keys(&json["verdicts"][0], "severity gpu rule summary evidence advice since");
    // A GPU of which nothing is known has the same shape as a healthy one.
    for gpu in json["gpus"].as_array().unwrap() {
        has_keys(
            gpu,
            "index uuid name brand architecture compute_capability serial board_part vbios inforom gsp pci_bus_id \
             minor_number module_id numa_node display_attached display_active virtualization memory_shared_with_cpu state \
             refusal stuck_call stale_seconds utilization memory power temperature clocks performance_state fan_percent \
             throttle pcie nvlink fabric ecc remapped_rows retired_pages recovery_action persistence_mode \
             compute_mode mig absent",
        );
        let nested = [
            (
                "utilization",
                "gpu_percent memory_percent sm_percent sm_occupancy_percent tensor_percent dram_percent \
                 graphics_percent fp64_percent fp32_percent fp16_percent encoder_percent decoder_percent",
            ),
            ("memory", "total_bytes used_bytes free_bytes reserved_bytes unattributed_bytes bar1_used_bytes"),
            (
                "power",
                "draw_watts draw_min_watts draw_max_watts limit_watts set_limit_watts default_limit_watts min_limit_watts \
                 max_limit_watts energy_joules",
            ),
            (
                "temperature",
                "gpu_celsius memory_celsius margin_celsius slowdown_celsius shutdown_celsius gpu_max_celsius \
                 memory_max_celsius slowdown_limit_celsius shutdown_limit_celsius gpu_max_limit_celsius \
                 memory_max_limit_celsius",
            ),
            ("clocks", "sm_mhz memory_mhz graphics_mhz video_mhz max_sm_mhz max_memory_mhz"),
            ("throttle", "mask supported_mask reasons seconds_by_reason observed_seconds"),
            (
                "pcie",
                "generation width max_generation max_width gpu_max_generation rx_bytes_per_second \
                 tx_bytes_per_second replays",
            ),
            (
                "nvlink",
                "links active_links switch_links version rx_bytes_per_second tx_bytes_per_second errors by_link",
            ),
            ("fabric", "state status health"),
            (
                "ecc",
                "corrected_volatile uncorrected_volatile corrected_aggregate uncorrected_aggregate \
                 sram_threshold_exceeded enabled enabled_after_reset",
            ),
            ("remapped_rows", "corrected uncorrected pending failed banks"),
            ("retired_pages", "single_bit double_bit pending"),
            ("mig", "enabled enabled_after_reset instances"),
        ];
        for (name, members) in nested {
            has_keys(&gpu[name], members);
        }
    }
    has_keys(&json["gpus"][0]["remapped_rows"]["banks"], "max high partial low none");
    has_keys(
        &json["gpus"][0]["throttle"]["seconds_by_reason"],
        "sw_power_cap sync_boost sw_thermal_slowdown hw_thermal_slowdown hw_power_brake_slowdown",
    );
    has_keys(
        &json["gpus"][0]["throttle"]["seconds_by_reason"]["sw_power_cap"],
        "1m 10m 60m since_driver_load",
    );
}

#[test]
fn links_and_instances_have_their_keys_and_say_what_is_absent() {
    let mut records = Rig::new(1, 1).records(3);
    for record in &mut records {
        let Record::Sample(sample) = record else { continue };
        let at = sample.mono;
        let link = NvLink {
            link: 3,
            active: Ok(false),
            remote_type: Ok(2),
            remote_pci: Err(Absence::NotSupported),
            replay_errors: Ok(7),
            recovery_errors: Ok(0),
            crc_errors: Err(Absence::NoPermission),
        };
        let process = ProcessOnGpu {
            pid: 77,
            kind: ProcessKind::Compute,
            memory: Ok(Bytes(1 << 30)),
            gpu_instance: Some(1),
            compute_instance: Some(0),
        };
        let instance = MigInstance {
            gpu_instance: Ok(1),
            compute_instance: Ok(0),
            uuid: Ok(GpuId("MIG-00000000-0000-0000-0000-000000000001".into())),
            profile: Ok("1g.10gb".into()),
            memory_total: Ok(Bytes(10 << 30)),
            memory_used: Ok(Bytes(1 << 30)),
            sm: Err(Absence::NotSupported),
            processes: Ok(vec![process]),
        };
        sample.gpus[0].nvlinks = Some(Grouped { at, value: vec![link] });
        sample.gpus[0].mig = Some(Grouped { at, value: Ok(vec![instance]) });
    }
    let json = json(&snapshot(records));
    let link = &json["gpus"][0]["nvlink"]["by_link"][0];
    has_keys(link, "link active remote remote_pci_bus_id replay_errors recovery_errors crc_errors absent");
    assert_eq!(
        (&link["link"], &link["remote"], &link["replay_errors"]),
        (&3.into(), &"switch".into(), &7.into())
    );
    assert_eq!(link["absent"]["crc_errors"], "no_permission");
    let instance = &json["gpus"][0]["mig"]["instances"][0];
    has_keys(instance, "gpu_instance compute_instance uuid profile memory sm_percent pids absent");
    has_keys(&instance["memory"], "total_bytes used_bytes");
    assert_eq!((&instance["profile"], &instance["pids"][0]), (&"1g.10gb".into(), &77.into()));
    assert_eq!(instance["absent"]["sm_percent"], "not_supported");
    let of_instance: Vec<_> =
        json["processes"].as_array().unwrap().iter().filter(|p| p["pid"] == 77).collect();
    assert_eq!(of_instance[0]["gpus"][0]["gpu_instance"], 1);
    assert_eq!(of_instance[0]["gpus"][0]["memory_bytes"], 1_u64 << 30);
}

/// The paths below `value` that are null, `absent` maps left out.
fn nulls(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {
            found.insert(path.to_owned());
        }
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| *name != "absent") {
                nulls(value, &inner(name), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                nulls(value, &inner(&index.to_string()), found);
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_absent_is_null_and_says_why() {
    let json = json(&with_a_lost_gpu());
    for (list, may_be_none) in [
        ("gpus", &["stuck_call", "refusal"][..]),
        ("processes", &["ended", "container", "pod", "slurm_job", "unit", "gpus.0.gpu_instance"][..]),
    ] {
        for object in json[list].as_array().unwrap() {
            let mut found = BTreeSet::new();
            nulls(object, "", &mut found);
            let explained: BTreeSet<String> =
                keys(&object["absent"]).into_iter().map(ToOwned::to_owned).collect();
            let unexplained: Vec<_> =
                found.difference(&explained).filter(|path| !may_be_none.contains(&path.as_str())).collect();
            assert!(unexplained.is_empty(), "{unexplained:?}");
            assert!(explained.is_subset(&found), "{:?}", explained.difference(&found).collect::<Vec<_>>());
        }
    }
    let [healthy, lost] = [&json["gpus"][0], &json["gpus"][1]];
    assert_eq!(healthy["absent"]["fan_percent"], "not_supported");
    assert_eq!(healthy["absent"]["throttle.seconds_by_reason.sw_power_cap.60m"], "insufficient_history");
    assert_eq!((&healthy["refusal"], &lost["refusal"]), (&Value::Null, &Value::from("GPU_IS_LOST (15)")));
    assert_eq!(lost["absent"]["power.draw_watts"], "lost");
    assert_eq!(lost["absent"]["utilization.gpu_percent"], "lost");
    assert_eq!(lost["power"]["draw_watts"], Value::Null);
    assert_eq!(lost["power"]["default_limit_watts"], 700, "what is static stays known");
    assert_eq!(json["verdicts"][0]["rule"], "gpu_lost");
    assert_eq!(json["verdicts"][0]["gpu"], 1);
    assert_eq!(json["verdicts"][0]["severity"], "critical");
}

#[test]
fn json_says_what_was_read() {
    let json = json(&healthy());
    assert_eq!(json["format"], 1);
    assert!(json["time"].as_str().unwrap().starts_with("2026-05-12T08:00:02."), "{}", json["time"]);
    let gpu = &json["gpus"][1];
    assert_eq!(gpu["uuid"], "GPU-5a3b1c00-77de-4f10-9a31-000000000001");
    assert_eq!(gpu["pci_bus_id"], "0000:2b:00.0");
    assert_eq!(gpu["throttle"]["reasons"], serde_json::json!(["sw_power_cap"]));
    assert_eq!(gpu["throttle"]["mask"], 4);
    assert_eq!(gpu["throttle"]["supported_mask"], 0x1ff);
    assert_eq!(gpu["nvlink"]["version"], 4);
    assert_eq!(gpu["fabric"]["state"], "completed");
    assert_eq!(gpu["compute_mode"], "default");
    assert_eq!(gpu["recovery_action"], "none");
    assert_eq!(gpu["temperature"]["slowdown_celsius"], 89);
    let draw = gpu["power"]["draw_watts"].as_f64().unwrap();
    assert!((500.0..800.0).contains(&draw) && (draw * 10.0).fract() < 1e-9, "{draw}");
    let process = &json["processes"][0];
    assert_eq!(process["user"], "alice");
    assert_eq!(process["slurm_job"], "4711.0");
    assert_eq!(process["command"], "/home/alice/venv/bin/python3 train.py --rank 0");
    assert_eq!(process["started"], "2026-05-12T07:00:00.000Z");
    assert_eq!(process["ended"], Value::Null);
    assert!(process["cpu_percent"].as_f64().unwrap() > 90.0);
}

#[test]
fn csv_has_a_cell_for_each_column_and_none_for_what_is_absent() {
    let mut shown = with_a_lost_gpu();
    let mut info = (*shown.gpus[0].info).clone();
    info.name = Ok("A \"quoted\", name".into());
    shown.gpus[0].info = info.into();
    let csv = report::csv(&shown);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3);
    let columns: Vec<&str> = lines[0].split(',').collect();
    assert_eq!(columns.iter().collect::<BTreeSet<_>>().len(), columns.len());
    assert!(lines[1].contains(",\"A \"\"quoted\"\", name\","), "{}", lines[1]);
    let lost: BTreeMap<&str, &str> = columns.into_iter().zip(lines[2].split(',')).collect();
    assert_eq!(lost["state"], "lost");
    assert_eq!(lost["power_watts"], "");
    assert_eq!(lost["memory_used_bytes"], "");
    assert_eq!(lost["index"], "1");
}

#[test]
fn text_is_aligned_and_shows_labels_for_what_is_absent() {
    let shown = with_a_lost_gpu();
    let text = report::text(&shown, &Judge::default().push(&shown));
    assert!(text.starts_with("rig07  2026-05-12T08:00:02."), "{text}");
    assert!(text.contains("critical: GPU 1 is lost"), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let head = lines.iter().position(|line| line.starts_with("GPU")).unwrap();
    // Numbers end where their title ends.
    let end = lines[head].find("Total").unwrap() + "Total".len();
    assert_eq!(&lines[head + 1][end - 3..end], "GiB", "{text}");
    let end = lines[head].find("Limit").unwrap() + "Limit".len();
    assert_eq!(&lines[head + 1][end - 2..end], " W", "{text}");
    assert!(lines[head + 2].contains("lost"), "{text}");
    assert!(!lines[head + 2].contains(" 0 W"), "{text}");
    assert!(text.contains("alice"), "{text}");
}

#[test]
fn text_without_gpus_says_what_is_wrong() {
    let mut shown = healthy();
    shown.gpus.clear();
    shown.processes.clear();
    let mut inventory = (*shown.inventory).clone();
    inventory.driver.problem = Some("The nvidia module is not loaded: run modprobe nvidia.".into());
    shown.inventory = inventory.into();
    assert!(report::text(&shown, &[]).contains("run modprobe nvidia"));
}

#[test]
fn nothing_read_of_the_driver_is_never_all_clear() {
    let clear = parsed(&report::prometheus(&healthy(), &[]));
    assert_eq!(clear["kgtop_driver_up"][0].1, 1.0);
    assert_eq!(clear["kgtop_verdicts"].len(), 3);
    let mut shown = healthy();
    shown.gpus.clear();
    let nvml = shown.sources.iter_mut().find(|source| &*source.name == "nvml").unwrap();
    nvml.state = SourceState::Unavailable;
    let samples = parsed(&report::prometheus(&shown, &[]));
    assert_eq!(samples["kgtop_driver_up"][0].1, 0.0);
    assert!(!samples.contains_key("kgtop_verdicts"), "no findings would read as all clear");
    let state = |source: &str, state: &str| {
        let all = &samples["kgtop_source_state"];
        all.iter().find(|(labels, _)| labels["source"] == source && labels["state"] == state).unwrap().1
    };
    assert_eq!((state("nvml", "unavailable"), state("nvml", "ok")), (1.0, 0.0));
    assert_eq!((state("host", "unavailable"), state("host", "ok")), (0.0, 1.0));
}

#[test]
fn a_driver_that_has_not_answered_is_not_a_machine_without_gpus() {
    let mut shown = healthy();
    shown.gpus.clear();
    shown.sources.retain(|source| &*source.name != "nvml");
    assert!(report::text(&shown, &[]).contains("the driver has not answered yet"));
    assert_eq!(json(&shown)["driver"]["problem"], "the driver has not answered yet");
    assert!(report::prometheus(&shown, &[]).contains("kgtop_driver_up 0\n"));
    let since = Mono(shown.mono.0 - 12_000_000);
    let call = "nvmlInit_v2".into();
    shown.stuck.push(StuckCall { gpu: None, call, since, wait_channel: None, ended: false });
    let words = "driver call nvmlInit_v2 has not returned for 12 s";
    assert!(report::text(&shown, &[]).contains(words));
    assert_eq!(json(&shown)["driver"]["problem"], words);
}

#[test]
fn text_says_why_there_is_no_driver_although_the_bus_knows_gpus() {
    let mut shown = healthy();
    shown.processes.clear();
    for gpu in &mut shown.gpus {
        gpu.state = GpuState::NoDriver;
    }
    let mut inventory = (*shown.inventory).clone();
    inventory.driver.problem = Some("The driver library does not match the loaded kernel module.".into());
    shown.inventory = inventory.into();
    let text = report::text(&shown, &[]);
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in\n{text}"));
    assert!(place("does not match the loaded kernel module.\n\n") < place("no_driver"), "{text}");
    assert!(!report::text(&healthy(), &[]).contains("No NVIDIA GPU"));
}

#[test]
fn a_state_that_only_a_newer_kgtop_knows_is_told() {
    let mut records = Rig::new(2, 2).records(6);
    for record in &mut records {
        if let Record::Sample(sample) = record {
            sample.gpus[1].state = GpuState::Unknown;
        }
    }
    let (mut deriver, mut judge) = (Deriver::new(), Judge::default());
    let snapshots = records.into_iter().filter_map(|record| deriver.push(record));
    let told = snapshots.map(|snapshot| report::text(&snapshot, &judge.push(&snapshot))).last().unwrap();
    assert!(told.contains("GPU 1: in a state that only a newer kgtop knows"), "{told}");
}

/// Two GPUs of which the driver gives nothing at all.
fn with_two_nameless_gpus(ids: [&str; 2]) -> Snapshot {
    let mut shown = with_a_lost_gpu();
    for (gpu, id) in shown.gpus.iter_mut().zip(ids) {
        gpu.id = GpuId(id.into());
        gpu.state = GpuState::Lost;
        gpu.info = GpuInfo::default().into();
    }
    shown
}

#[test]
fn gpus_without_any_name_are_told_apart() {
    for (ids, numbers) in [(["nvml:2", "nvml:5"], ["2", "5"]), (["GPU-a", "GPU-b"], ["GPU-a", "GPU-b"])] {
        let samples = parsed(&report::prometheus(&with_two_nameless_gpus(ids), &[]));
        let series: BTreeSet<&BTreeMap<String, String>> =
            samples["kgtop_gpu_state"].iter().map(|(labels, _)| labels).collect();
        assert_eq!(series.len(), samples["kgtop_gpu_state"].len(), "each series once");
        let gpus: BTreeSet<&str> = series.iter().map(|labels| &*labels["gpu"]).collect();
        assert_eq!(gpus, numbers.into_iter().collect());
    }
    let shown = with_two_nameless_gpus(["nvml:2", "nvml:5"]);
    let csv = report::csv(&shown);
    let indices: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(indices, ["2", "5"]);
    let text = report::text(&shown, &[]);
    for number in ["2", "5"] {
        assert!(text.lines().any(|line| line.split_whitespace().next() == Some(number)), "{text}");
    }
}

type Samples = BTreeMap<String, Vec<(BTreeMap<String, String>, f64)>>;

/// A small parser of the text format that refuses what Prometheus refuses.
fn parsed(text: &str) -> Samples {
    let mut samples = Samples::new();
    let mut declared: Option<(String, bool)> = None;
    let mut seen = BTreeSet::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split_once(' ').unwrap().0.to_owned();
            assert!(!samples.contains_key(&name), "{name} twice");
            declared = Some((name, false));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kind == "gauge" || kind == "counter", "{line}");
            assert_eq!(declared, Some((name.to_owned(), false)), "HELP before TYPE");
            declared = Some((name.to_owned(), true));
        } else {
            let (head, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = head
                .split_once('{')
                .map_or((head, ""), |(name, rest)| (name, rest.strip_suffix('}').expect("labels end")));
            assert_eq!(declared, Some((name.to_owned(), true)), "{line}");
            assert!(seen.insert(head.to_owned()), "{line} twice");
            samples.entry(name.to_owned()).or_default().push((label_map(labels), value.parse().unwrap()));
        }
    }
    samples
}

fn label_map(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("a label value ends") {
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    other => other,
                }),
                (at, '"') => break at,
                (_, other) => value.push(other),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice");
        rest = after[end + 1..].trim_start_matches(',');
    }
    labels
}

#[test]
fn prometheus_text_is_what_dcgm_exporter_would_say() {
    let shown = healthy();
    let samples = parsed(&report::prometheus(&shown, &[]));
    let (labels, value) = &samples["DCGM_FI_DEV_FB_USED"][1];
    let used = shown.gpus[1].live.as_ref().unwrap().value.memory_used.clone().unwrap();
    assert_eq!(*value, used.mib().round());
    assert_eq!(labels["gpu"], "1");
    assert_eq!(labels["UUID"], "GPU-5a3b1c00-77de-4f10-9a31-000000000001");
    assert_eq!(labels["pci_bus_id"], "00000000:2B:00.0");
    assert_eq!(labels["device"], "nvidia1");
    assert_eq!(labels["modelName"], "NVIDIA H100 80GB HBM3");
    assert_eq!(labels["hostname"], "rig07");
    assert_eq!(labels["DCGM_FI_DRIVER_VERSION"], "580.159.04");
    for name in
        ["DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_PROF_DRAM_ACTIVE"]
    {
        assert!(samples[name].iter().all(|(_, value)| (0.2..=1.0).contains(value)), "{name}");
    }
    let gpm = &shown.gpus[0].gpm.as_ref().unwrap().value;
    for (name, rate) in
        [("DCGM_FI_PROF_NVLINK_TX_BYTES", &gpm.nvlink_tx), ("DCGM_FI_PROF_NVLINK_RX_BYTES", &gpm.nvlink_rx)]
    {
        assert_eq!(samples[name][0].1, rate.as_ref().unwrap().0.round(), "{name}");
    }
    assert_eq!(samples["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"][0].1, 4e9, "millijoules");
    assert_eq!(samples["kgtop_gpu_recovery_action"][0].1, 0.0);
    assert_eq!(samples["kgtop_gpu_throttle_seconds_total"].len(), 10);
    assert!(samples["kgtop_gpu_throttle_seconds_total"][0].1 > 7.8);
    let ok = samples["kgtop_gpu_state"].iter().filter(|(_, value)| *value == 1.0);
    assert!(ok.clone().all(|(labels, _)| labels["state"] == "ok"));
    assert_eq!(ok.count(), 2);
    assert_eq!(samples["kgtop_collector_driver_calls_total"][0].1, 1_800.0);
}

#[test]
fn what_is_absent_is_left_out_of_prometheus_text() {
    let shown = with_a_lost_gpu();
    let samples = parsed(&report::prometheus(&shown, &Judge::default().push(&shown)));
    assert_eq!(samples["DCGM_FI_DEV_GPU_TEMP"].len(), 1);
    assert_eq!(samples["DCGM_FI_DEV_GPU_TEMP"][0].0["gpu"], "0");
    assert!(
        !samples.contains_key("DCGM_FI_DEV_RETIRED_SBE"),
        "not supported on any: no head without samples"
    );
    let critical = samples["kgtop_verdicts"].iter().find(|(labels, _)| labels["severity"] == "critical");
    assert_eq!(critical.unwrap().1, 1.0);
}

#[test]
fn label_values_are_escaped() {
    let mut shown = healthy();
    let mut header = (*shown.header).clone();
    header.host.hostname = "a\"b\\c\nd".into();
    shown.header = header.into();
    let samples = parsed(&report::prometheus(&shown, &[]));
    assert_eq!(samples["DCGM_FI_DEV_GPU_TEMP"][0].0["hostname"], "a\"b\\c\nd");
}

#[test]
fn a_reading_that_is_no_number_never_reaches_a_report() {
    let mut shown = healthy();
    if let Some(group) = &mut shown.gpus[0].live {
        group.value.temperature = Ok(Celsius(f32::NAN));
    }
    assert_eq!(json(&shown)["gpus"][0]["temperature"]["gpu_celsius"], Value::Null);
    assert_eq!(parsed(&report::prometheus(&shown, &[]))["DCGM_FI_DEV_GPU_TEMP"].len(), 1);
}
