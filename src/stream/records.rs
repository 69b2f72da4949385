//! The records and their parts on the wire.

use super::json::{Fields, Json, write_text};
use super::wire::{Group, Malformed, Object, Wire, member, names, object, write_member};
use crate::model::{
    Bye, Container, Driver, EventSource, Gap, GpuInfo, GpuSample, GpuState, Header, HostInfo, HostProcess,
    HostSample, Inventory, PciDevice, ProcessFacts, ProcessKey, RawEvent, Sample, SelfCost, SourceState,
    SourceStatus, StuckCall, Thresholds,
};

object!(Header {
    format => "format",
    kgtop => "kgtop",
    host => "host",
    wall => "wall_us",
    mono => "mono_us",
    interval_seconds => "interval_seconds",
    collector_pid => "collector_pid",
});

object!(HostInfo {
    hostname => "hostname",
    kernel => "kernel",
    boot_id => "boot_id",
    cpus => "cpus",
});

object!(Inventory {
    host_pids_visible => "host_pids_visible",
    driver => "driver",
    gpus => "gpus",
    pci => "pci",
    processes => "processes",
    topology => "topology",
});

object!(Driver {
    module_version => "module_version",
    version => "version",
    nvml_version => "nvml_version",
    cuda_version => "cuda_version",
    problem => "problem",
});

object!(PciDevice {
    address => "pci_bus_id",
    id => "pci_id",
    driver => "driver",
    runtime_status => "runtime_status",
    numa_node => "numa_node",
    local_cpus => "local_cpus",
    link_speed => "link_speed_tenths_gtps",
    max_link_speed => "max_link_speed_tenths_gtps",
    link_width => "link_width",
    max_link_width => "max_link_width",
});

object!(GpuInfo {
    uuid => "uuid",
    index => "index",
    name => "name",
    brand => "brand",
    architecture => "architecture",
    compute_capability => "compute_capability",
    serial => "serial",
    board_part => "board_part",
    vbios => "vbios",
    inforom => "inforom",
    gsp => "gsp",
    pci_bus_id => "pci_bus_id",
    pci_device_id => "pci_device_id",
    minor => "minor_number",
    module_id => "module_id",
    numa_node => "numa_node",
    cpu_affinity => "cpu_affinity",
    max_sm_clock => "max_sm_clock_mhz",
    max_memory_clock => "max_memory_clock_mhz",
    min_power_limit => "min_power_limit_watts",
    max_power_limit => "max_power_limit_watts",
    default_power_limit => "default_power_limit_watts",
    thresholds => "thresholds",
    supported_clock_events => "supported_clock_events",
    max_pcie_generation => "max_pcie_generation",
    gpu_max_pcie_generation => "gpu_max_pcie_generation",
    max_pcie_width => "max_pcie_width",
    nvlinks => "nvlinks",
    nvlink_version => "nvlink_version_tenths",
    nvswitch_links => "nvswitch_links",
    gpm => "gpm",
    display_attached => "display_attached",
    display_active => "display_active",
    virtualization => "virtualization",
    memory_shared_with_cpu => "memory_shared_with_cpu",
});

object!(Thresholds {
    slowdown => "slowdown_celsius",
    shutdown => "shutdown_celsius",
    memory_max => "memory_max_celsius",
    gpu_max => "gpu_max_celsius",
    slowdown_limit => "slowdown_limit_celsius",
    shutdown_limit => "shutdown_limit_celsius",
    memory_max_limit => "memory_max_limit_celsius",
    gpu_max_limit => "gpu_max_limit_celsius",
});

object!(ProcessKey {
    pid => "pid",
    start => "start_ticks",
});

object!(ProcessFacts [key] {
    visible => "visible",
    inner_pid => "inner_pid",
    parent => "parent_pid",
    user => "user",
    name => "name",
    command => "command",
    environment => "environment",
    cgroup => "cgroup",
    container => "container",
    pod => "pod",
    slurm_job => "slurm_job",
    unit => "unit",
    started => "started_wall_us",
});

object!(Container {
    runtime => "runtime",
    id => "id",
});

object!(HostProcess [key] {
    state => "state",
    cpu_ns => "cpu_ns",
    resident => "resident_bytes",
});

object!(Sample {
    sequence => "sequence",
    mono => "mono_us",
    wall => "wall_us",
    gpus => "gpus",
    processes => "processes",
    host => "host",
    storage => "storage",
    host_files => "host_files",
    sources => "sources",
    cost => "cost",
});

names!(GpuState {
    Ok => "ok",
    Stalled => "stalled",
    Lost => "lost",
    Asleep => "asleep",
    NotOpened => "not_opened",
    NoDriver => "no_driver",
    PassedThrough => "passed_through",
    Unknown => "unknown",
} else Unknown);

object!(GpuSample {
    id => "id",
    state => "state",
    refusal => "refusal",
    stuck => "stuck",
    fast => "fast",
    live => "live",
    processes => "processes",
    gpm => "gpm",
    counters => "counters",
    process_utilization => "process_utilization",
    buffers => "buffers",
    health => "health",
    nvlinks => "nvlinks",
    mig => "mig",
});

object!(StuckCall {
    gpu => "gpu",
    call => "call",
    since => "since_us",
    wait_channel => "wait_channel",
    ended => "ended",
});

object!(HostSample {
    cpu_busy_ns => "cpu_busy_ns",
    cpu_total_ns => "cpu_total_ns",
    memory_total => "memory_total_bytes",
    memory_available => "memory_available_bytes",
    arc_reclaimable => "arc_reclaimable_bytes",
    swap_total => "swap_total_bytes",
    swap_used => "swap_used_bytes",
    load_1m => "load_1m",
    load_5m => "load_5m",
    load_15m => "load_15m",
    uptime_seconds => "uptime_seconds",
});

names!(SourceState {
    Ok => "ok",
    Degraded => "degraded",
    Unavailable => "unavailable",
} else Degraded);

object!(SourceStatus {
    name => "name",
    state => "state",
    reason => "reason",
});

object!(SelfCost {
    cpu_ns => "cpu_ns",
    resident => "resident_bytes",
    calls => "calls",
    call_ns => "call_ns",
});

names!(EventSource {
    Kmsg => "kmsg",
    Journal => "journal",
    File => "file",
    Nvml => "nvml",
    Action => "action",
});

object!(RawEvent {
    at => "at_us",
    wall => "wall_us",
    source => "source",
    priority => "priority",
    facility => "facility",
    gpu => "gpu",
    text => "text",
});

object!(Gap {
    missed => "missed",
});

object!(Bye {
    reason => "reason",
    restart => "restart",
});

/// Every object of this file and the names of its members.
pub(super) fn objects() -> Vec<(&'static str, &'static [&'static str])> {
    macro_rules! table {
        ($($type:ident)*) => { vec![$((stringify!($type), <$type as Object>::NAMES)),*] };
    }
    table![Header HostInfo Inventory Driver PciDevice GpuInfo Thresholds ProcessKey ProcessFacts Container HostProcess Sample GpuSample StuckCall HostSample SourceStatus SelfCost RawEvent Gap Bye]
}
