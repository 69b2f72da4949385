//! Every rule, for and against: raised within two samples of what it waits for, cleared within two of its end, and
//! silent on the near miss. A rule without a case fails the test.

use super::bench::{Told, play};
use super::storage::{Pool, between};
use kgtop::analysis::verdict::{Rule, rules};
use kgtop::model::{GpuState, Record, SourceState};
use kgtop::sources::scenario::Scenario;
use std::collections::BTreeSet;
use std::time::Duration;

/// From when to when the cause holds, in seconds. The slow tier is read every ten seconds, at these among others.
const FROM: f64 = 20.0;
const TO: f64 = 110.0;
const UNTIL: u64 = 150;
/// Two samples.
const TWO: f64 = 2.0;

type Change = fn(&mut Record, f64);

struct Case {
    rule: &'static str,
    gpu: Option<u32>,
    /// The rig.
    rig: &'static str,
    /// What goes wrong from [`FROM`] to [`TO`].
    cause: &'static str,
    /// What looks like it, and is none.
    near: &'static str,
    /// Readings that a scenario cannot set.
    cause_change: Change,
    near_change: Change,
    /// What the reading itself waits for: the watchdog's deadline, the slow tier's period.
    reading: f64,
}

const NOTHING: Change = |_, _| {};

const CASE: Case = Case {
    rule: "",
    gpu: Some(1),
    rig: JOB,
    cause: "",
    near: "",
    cause_change: NOTHING,
    near_change: NOTHING,
    reading: 0.0,
};

/// Four H100 that train.
const JOB: &str = r#"
[[gpu]]
model = "h100"
count = 4
load = "training"

[[process]]
pid = 100
name = "python"
user = "ana"
command = ["python", "train.py"]
gpus = "all"
one_per_gpu = true
memory_mib = 60000
slurm_job = "1.0"
"#;

/// The same without anybody.
const IDLE: &str = "
[[gpu]]
model = \"h100\"
count = 4
";

const PAGES: &str = "
[[gpu]]
model = \"t4\"
count = 2
";

/// Processes that come and go let the inventory be told anew.
const RENEWED: &str = r#"
[[gpu]]
model = "h100"
count = 2

[[process]]
pid = 200
name = "python"
user = "ana"
command = ["python"]
gpus = [0]
memory_mib = 900
later = true
"#;

const COME_AND_GO: &str = "
[[at]]
t = 20
start = [200]
[[at]]
t = 110
end = [200]
";

macro_rules! set {
    ($what:literal, $release:literal) => {
        concat!(
            "[[at]]\nt = 20\ngpu = 1\n",
            $what,
            "\n[[at]]\nt = 110\ngpu = 1\nrelease = [",
            $release,
            "]\n"
        )
    };
}

macro_rules! log_line {
    ($line:literal) => {
        concat!(
            "[[at]]\nt = 20\ngpu = 1\nkernel = [\"", $line, "\"]\n",
            "[[at]]\nt = 110\ngpu = 1\nkernel = [\"NVRM: Xid (PCI:{bdf}): 154, GPU recovery action changed from 0x1 ",
            "(GPU Reset Required) to 0x0 (None)\"]\n"
        )
    };
}

const CASES: &[Case] = &[
    Case {
        rule: "gpu_lost",
        cause: "[[at]]\nt = 20\ngpu = 1\nstate = \"lost\"\n[[at]]\nt = 110\ngpu = 1\nstate = \"ok\"",
        near: "[[at]]\nt = 20\ngpu = 1\nstate = \"asleep\"\n[[at]]\nt = 110\ngpu = 1\nstate = \"ok\"",
        ..CASE
    },
    Case {
        rule: "gpu_reset_required",
        cause_change: |record, at| refuse(record, at, 16),
        near_change: |record, at| refuse(record, at, 15),
        ..CASE
    },
    Case {
        rule: "gpu_refused",
        cause_change: |record, at| refuse(record, at, 8),
        near_change: |record, at| refuse(record, at, 16),
        ..CASE
    },
    Case {
        rule: "gpu_unreadable",
        cause: "[[fault]]\ncall = \"*\"\ngpu = 1\nfrom = 20\nto = 110\nkind = \"error\"\ncode = 999",
        near: "[[fault]]\ncall = \"nvmlDeviceGetTemperature\"\ngpu = 1\nfrom = 20\nto = 110\nkind = \"error\"\ncode = 999",
        ..CASE
    },
    Case {
        rule: "gpu_stalled",
        cause: "[[fault]]\ncall = \"nvmlDeviceGetTemperature\"\ngpu = 1\nfrom = 20\nto = 110\nkind = \"block\"",
        // Back before the deadline.
        near: "[[fault]]\ncall = \"nvmlDeviceGetTemperature\"\ngpu = 1\nfrom = 20\nto = 21\nkind = \"block\"",
        reading: 2.0,
        ..CASE
    },
    Case {
        rule: "driver_stalled",
        gpu: None,
        cause: "[[fault]]\ncall = \"nvmlSystemGetDriverVersion\"\nfrom = 20\nto = 110\nkind = \"block\"",
        near: "[[fault]]\ncall = \"nvmlSystemGetDriverVersion\"\nfrom = 20\nto = 21\nkind = \"block\"",
        reading: 2.0,
        ..CASE
    },
    Case {
        rule: "recovery_action",
        cause: set!("recovery_action = 4", "\"recovery_action\""),
        near: set!("recovery_action = 0", "\"recovery_action\""),
        ..CASE
    },
    Case {
        rule: "collector_degraded",
        gpu: None,
        cause_change: |record, at| degrade(record, at, "nvml"),
        // Which sources an ordinary user may read is no fault.
        near_change: |record, at| degrade(record, at, "processes"),
        ..CASE
    },
    Case {
        rule: "uncontained_ecc",
        cause: log_line!(
            "NVRM: Xid (PCI:{bdf}): 95, pid=100, name=python, Uncontained: LTC TAG (0x2, 0x1). RST: Yes, D-RST: No"
        ),
        near: log_line!(
            "NVRM: Xid (PCI:{bdf}): 94, pid=100, name=python, Contained: CE User Channel (0x9). RST: No, D-RST: No"
        ),
        ..CASE
    },
    Case {
        rule: "critical_xid",
        cause: log_line!("NVRM: Xid (PCI:{bdf}): 62, pid=100, name=python, 2027a228 0000b580 00000000"),
        // A row was remapped, as it should be.
        near: log_line!(
            "NVRM: Xid (PCI:{bdf}): 63, pid=100, name=python, Row Remapper: New row marked for remapping"
        ),
        ..CASE
    },
    Case {
        rule: "recent_xid",
        cause: log_line!(
            "NVRM: Xid (PCI:{bdf}): 31, pid=100, name=python, Ch 0000003b, intr 10000000. MMU Fault"
        ),
        // Of no consequence to a job.
        near: log_line!(
            "NVRM: Xid (PCI:{bdf}): 63, pid=100, name=python, Row Remapper: New row marked for remapping"
        ),
        ..CASE
    },
    Case {
        rule: "contained_ecc",
        cause: log_line!(
            "NVRM: Xid (PCI:{bdf}): 94, pid=100, name=python, Contained: CE User Channel (0x9). RST: No, D-RST: No"
        ),
        // A line that quotes one.
        near: log_line!(
            "audit: NVRM: Xid (PCI:{bdf}): 94, pid=100, name=python, Contained: CE User Channel (0x9)."
        ),
        ..CASE
    },
    Case {
        rule: "fatal_sxid",
        gpu: None,
        cause: "[[at]]\nt = 20\nkernel = [\"nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up\"]\n\
                [[at]]\nt = 110\nkernel = [\"NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.159.04  Fri Nov 1 00:00:00 UTC 2025\"]",
        near: "[[at]]\nt = 20\nkernel = [\"nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Non-fatal, Link 48 LTSSM Fault Up\"]",
        ..CASE
    },
    Case {
        rule: "uncorrected_ecc",
        cause: set!("ecc_uncorrected_volatile = 1", "\"ecc_uncorrected_volatile\""),
        near: set!("ecc_corrected_volatile = 900", "\"ecc_corrected_volatile\""),
        ..CASE
    },
    Case {
        rule: "row_remap_failed",
        cause: set!("remap_failed = 1", "\"remap_failed\""),
        near: set!("remap_pending = 1", "\"remap_pending\""),
        ..CASE
    },
    Case {
        rule: "sram_threshold_exceeded",
        cause: set!("sram_threshold_exceeded = 1", "\"sram_threshold_exceeded\""),
        near: set!("ecc_corrected_volatile = 900", "\"ecc_corrected_volatile\""),
        ..CASE
    },
    Case {
        rule: "row_remap_pending",
        cause: set!("remap_pending = 1", "\"remap_pending\""),
        // Remapped at a reset before.
        near: set!("remapped_uncorrected = 1", "\"remapped_uncorrected\""),
        ..CASE
    },
    Case {
        rule: "page_retirement_pending",
        rig: PAGES,
        cause: set!("retired_pending = 1", "\"retired_pending\""),
        near: set!("retired_double = 2", "\"retired_double\""),
        ..CASE
    },
    Case {
        rule: "aggregate_ecc",
        cause: set!("ecc_uncorrected_aggregate = 3", "\"ecc_uncorrected_aggregate\""),
        near: set!("ecc_corrected_aggregate = 3", "\"ecc_corrected_aggregate\""),
        ..CASE
    },
    Case {
        rule: "ecc_change_pending",
        cause: set!("ecc_pending = 0", "\"ecc_pending\""),
        near: set!("ecc_pending = 1", "\"ecc_pending\""),
        ..CASE
    },
    Case {
        rule: "hw_thermal_slowdown",
        cause: set!("throttle = [\"hw_slowdown\", \"hw_thermal_slowdown\"]", "\"clock_events\""),
        // Bit 8 alone may flash at a change of clocks.
        near: set!("throttle = [\"hw_slowdown\"]", "\"clock_events\""),
        ..CASE
    },
    Case {
        rule: "hw_slowdown",
        cause: set!("throttle = [\"hw_slowdown\"]", "\"clock_events\""),
        // A change of P-states.
        near: "[[at]]\nt = 20.2\ngpu = 1\nthrottle = [\"hw_slowdown\"]\n[[at]]\nt = 21.1\ngpu = 1\nrelease = [\"clock_events\"]",
        ..CASE
    },
    Case {
        rule: "hw_power_brake",
        cause: set!("throttle = [\"hw_slowdown\", \"hw_power_brake_slowdown\"]", "\"clock_events\""),
        near: set!("throttle = [\"sw_power_cap\"]", "\"clock_events\""),
        ..CASE
    },
    Case {
        rule: "sw_thermal_slowdown",
        cause: set!("throttle = [\"sw_thermal_slowdown\"]", "\"clock_events\""),
        near: set!("throttle = [\"sync_boost\"]", "\"clock_events\""),
        ..CASE
    },
    Case {
        rule: "temperature_near_limit",
        // T.Limit: 87 °C of the preset less what it is.
        cause: set!("temperature = 86", "\"temperature\""),
        near: set!("temperature = 84", "\"temperature\""),
        ..CASE
    },
    Case {
        rule: "power_cap_lowered",
        cause: set!("power_limit = 500", "\"power_limit\""),
        near: set!("power_limit = 699.5", "\"power_limit\""),
        ..CASE
    },
    Case {
        rule: "sw_power_cap",
        cause: set!("throttle = [\"sw_power_cap\"]", "\"clock_events\""),
        near: set!("throttle = [\"applications_clocks\"]", "\"clock_events\""),
        ..CASE
    },
    Case {
        rule: "clocks_locked",
        cause: set!("throttle = [\"applications_clocks\"]", "\"clock_events\""),
        near: set!("throttle = [\"sw_power_cap\"]", "\"clock_events\""),
        ..CASE
    },
    Case {
        rule: "nvlink_down",
        cause: set!("nvlinks_active = 17", "\"nvlinks_active\""),
        near: set!("nvlink_rx = 0\nnvlink_tx = 0", "\"nvlink_rx\", \"nvlink_tx\""),
        ..CASE
    },
    Case {
        rule: "fabric_failed",
        cause: set!("fabric_status = 999", "\"fabric_status\""),
        // On its way.
        near: set!("fabric_state = 2", "\"fabric_state\""),
        ..CASE
    },
    Case {
        rule: "fabric_in_progress",
        cause: set!("fabric_state = 2", "\"fabric_state\""),
        // As at each boot.
        near: "[[at]]\nt = 20\ngpu = 1\nfabric_state = 2\n[[at]]\nt = 39\ngpu = 1\nfabric_state = 3",
        reading: 10.0,
        ..CASE
    },
    Case {
        rule: "pcie_link_degraded",
        cause: set!("pcie_width = 4", "\"pcie_width\""),
        // Shifted down, and nothing to carry.
        near: set!("load = \"idle\"\npcie_generation = 1\npcie_rx = 0\npcie_tx = 0", "\"pcie_generation\""),
        ..CASE
    },
    Case {
        rule: "pcie_replays",
        cause: "[[at]]\nfrom = 20\nto = 110\ngpu = 1\npcie_replays = 900",
        // A handful over all that time.
        near: "[[at]]\nfrom = 20\nto = 110\ngpu = 1\npcie_replays = 6",
        reading: 10.0,
        ..CASE
    },
    Case {
        rule: "nvlink_errors",
        cause: "[[at]]\nfrom = 20\nto = 110\ngpu = 1\nnvlink_errors = 900",
        // Old ones, of before.
        near: "[[at]]\nt = 0\ngpu = 1\nnvlink_errors = 900",
        reading: 10.0,
        ..CASE
    },
    Case {
        rule: "nic_port_down",
        gpu: None,
        rig: RENEWED,
        cause: COME_AND_GO,
        near: COME_AND_GO,
        cause_change: |record, at| port(record, at, "DOWN", 1),
        // A board of which no port was ever connected.
        near_change: |record, _| port(record, FROM, "DOWN", usize::MAX),
        ..CASE
    },
    Case {
        rule: "driver_mismatch",
        gpu: None,
        rig: RENEWED,
        cause: COME_AND_GO,
        near: COME_AND_GO,
        cause_change: |record, at| library(record, at, "13.595.45.04"),
        near_change: |record, at| library(record, at, "12.580.159.04"),
        ..CASE
    },
    Case {
        rule: "mig_without_instances",
        rig: RENEWED,
        cause_change: |record, at| mig(record, at, true),
        near_change: |record, at| mig(record, at, false),
        ..CASE
    },
    Case {
        rule: "persistence_off",
        cause: set!("persistence = 0", "\"persistence\""),
        near: set!("persistence = 0", "\"persistence\""),
        // It drives a display.
        near_change: |record, _| {
            if let Record::Inventory(inventory) = record {
                inventory.gpus.iter_mut().for_each(|gpu| gpu.display_active = Ok(true));
            }
        },
        ..CASE
    },
    Case {
        rule: "memory_without_owner",
        rig: IDLE,
        cause: "[[at]]\nt = 20\ngpu = 1\nmemory_used = 2200\n[[at]]\nt = 110\ngpu = 1\nmemory_used = 0",
        near: "[[at]]\nt = 20\ngpu = 1\nmemory_used = 400\n[[at]]\nt = 110\ngpu = 1\nmemory_used = 0",
        ..CASE
    },
    Case {
        rule: "memory_nearly_full",
        cause: "[[at]]\nt = 20\ngpu = 1\nmemory_used = 79500\n[[at]]\nt = 110\ngpu = 1\nmemory_used = 60000",
        near: "[[at]]\nt = 20\ngpu = 1\nmemory_used = 76000\n[[at]]\nt = 110\ngpu = 1\nmemory_used = 60000",
        ..CASE
    },
    Case {
        rule: "allocated_but_idle",
        cause: "[[at]]\nt = 20\ngpu = 1\nload = \"idle\"\n[[at]]\nt = 110\ngpu = 1\nload = \"training\"",
        // A request now and then.
        near: "[[at]]\nt = 20\ngpu = 1\nload = \"idle\"\n[[at]]\nt = 60\ngpu = 1\nload = \"inference\"\n\
               [[at]]\nt = 62\ngpu = 1\nload = \"idle\"\n[[at]]\nt = 115\ngpu = 1\nload = \"training\"",
        ..CASE
    },
    Case {
        rule: "busy_but_idle",
        cause: set!(
            "utilization = 100\nsm = 4\ndram = 1\nnvlink_rx = 0\nnvlink_tx = 0\npcie_rx = 5\npcie_tx = 5",
            "\"utilization\", \"sm\", \"dram\", \"nvlink_rx\", \"nvlink_tx\", \"pcie_rx\", \"pcie_tx\""
        ),
        // NCCL moves data.
        near: set!(
            "utilization = 100\nsm = 4\ndram = 1\nnvlink_rx = 90000\nnvlink_tx = 90000",
            "\"utilization\", \"sm\", \"dram\", \"nvlink_rx\", \"nvlink_tx\""
        ),
        ..CASE
    },
    Case {
        rule: "unlike_siblings",
        cause: set!("sm_clock = 1200", "\"sm_clock\""),
        near: set!("sm_clock = 1800", "\"sm_clock\""),
        ..CASE
    },
    Case {
        rule: "zfs_suspended",
        gpu: None,
        cause_change: |record, at| pool(record, at, &Pool { state: "SUSPENDED", ..Pool::default() }),
        near_change: |record, at| pool(record, at, &Pool { state: "DEGRADED", ..Pool::default() }),
        ..CASE
    },
    Case {
        rule: "zfs_unhealthy",
        gpu: None,
        cause_change: |record, at| pool(record, at, &Pool { checksum_errors: 259, ..Pool::default() }),
        near_change: |record, at| pool(record, at, &Pool { scrub: true, ..Pool::default() }),
        ..CASE
    },
    Case {
        rule: "zfs_pool_full",
        gpu: None,
        cause_change: |record, at| pool(record, at, &Pool { capacity: 60, available: 0, ..Pool::default() }),
        near_change: |record, at| {
            pool(record, at, &Pool { capacity: 79, available: 1 << 30, ..Pool::default() });
        },
        ..CASE
    },
    Case {
        rule: "zfs_read_amplification",
        gpu: None,
        cause_change: |record, at| {
            pool(record, at, &Pool { read: (7_000_000, 1_700_000_000), ..Pool::default() });
        },
        // As much from the disks, in large reads.
        near_change: |record, at| {
            pool(
                record,
                at,
                &Pool { read: (7_000_000, 1_700_000_000), read_size: 1 << 20, ..Pool::default() },
            );
        },
        ..CASE
    },
];

fn pool(record: &mut Record, at: f64, bad: &Pool) {
    between(record, at, (FROM, TO), bad);
}

const fn holds(at: f64) -> bool {
    FROM <= at && at < TO
}

fn refuse(record: &mut Record, at: f64, code: u32) {
    let Record::Sample(sample) = record else { return };
    if let Some(gpu) = sample.gpus.get_mut(1).filter(|_| holds(at)) {
        (gpu.state, gpu.refusal) = (GpuState::Lost, Some(code));
    }
}

fn degrade(record: &mut Record, at: f64, name: &str) {
    let Record::Sample(sample) = record else { return };
    for source in sample.sources.iter_mut().filter(|source| &*source.name == name && holds(at)) {
        source.state = SourceState::Degraded;
        source.reason = "two of three calls fail".into();
    }
}

/// The state of the first ports.
fn port(record: &mut Record, at: f64, state: &str, number: usize) {
    let Record::Inventory(inventory) = record else { return };
    let Some(topology) = inventory.topology.as_mut().filter(|_| holds(at)) else { return };
    let ports = topology.devices.iter_mut().flat_map(|device| &mut device.ports);
    for port in ports.take(number) {
        port.state = Ok(state.into());
    }
}

fn library(record: &mut Record, at: f64, version: &str) {
    if let Record::Inventory(inventory) = record
        && holds(at)
    {
        inventory.driver.nvml_version = Ok(version.into());
    }
}

fn mig(record: &mut Record, at: f64, enabled: bool) {
    let Record::Sample(sample) = record else { return };
    let Some(health) = sample.gpus.get_mut(1).and_then(|gpu| gpu.health.as_mut()) else { return };
    health.value.mig = Ok(enabled && holds(at));
}

fn scenario(case: &Case, what: &str) -> Scenario {
    let nics = if case.rule == "nic_port_down" { "nics = 8" } else { "" };
    let text = format!(
        "title = \"a rule\"\nduration_seconds = {UNTIL}\n[host]\ncpus = 64\n{nics}\n{}\n{what}\n",
        case.rig
    );
    Scenario::parse(&text, case.rule).unwrap_or_else(|error| panic!("{}: {error}", case.rule))
}

fn told(case: &Case, what: &str, change: Change) -> Vec<Told> {
    play(&scenario(case, what), Duration::from_secs(UNTIL), &change)
}

fn judge(case: &Case, rule: &Rule, complaints: &mut Vec<String>) {
    let id = case.rule;
    let raise = TWO + rule.raise_after.as_secs_f64() + case.reading;
    let clear = TWO + rule.clear_after.as_secs_f64() + case.reading;
    for at in told(case, case.cause, case.cause_change) {
        let is = at.has(id, case.gpu);
        let early = at.at < FROM && is;
        let missing = at.at >= FROM + raise && at.at < TO && !is;
        let late = at.at >= TO + clear && is;
        if early || missing || late {
            let which = if early {
                "too early"
            } else if missing {
                "missing"
            } else {
                "not cleared"
            };
            let all: Vec<_> = at.verdicts.iter().map(|verdict| (verdict.rule, &verdict.summary)).collect();
            complaints.push(format!("{id}: {which} at {} s: {all:?}", at.at));
            break;
        }
    }
    let near = told(case, case.near, case.near_change);
    if let Some(at) = near.iter().find(|at| at.verdicts.iter().any(|verdict| verdict.rule == id)) {
        complaints.push(format!("{id}: told of a near miss at {} s: {:?}", at.at, at.verdicts));
    }
}

#[test]
fn every_rule_has_a_case_for_and_against_it() {
    let mut complaints = Vec::new();
    let mut tried = BTreeSet::new();
    for rule in rules() {
        let Some(case) = CASES.iter().find(|case| case.rule == rule.id) else {
            complaints.push(format!("{} has no case", rule.id));
            continue;
        };
        let none = case.near == case.cause && std::ptr::fn_addr_eq(case.cause_change, case.near_change);
        assert!(!none, "{}: the near miss is the fault itself", rule.id);
        tried.insert(rule.id);
        judge(case, rule, &mut complaints);
    }
    for case in CASES.iter().filter(|case| !tried.contains(case.rule)) {
        complaints.push(format!("{} is no rule", case.rule));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
