//! Arbitrary records, built from a finite run of bytes (zeros after its end), so that proptest shrinks them by
//! shortening the run. Values keep to what the format keeps: a tenth of a watt, a millisecond of a buffer.

use kgtop::model::*;
use kgtop::units::*;
use std::sync::Arc;

pub(crate) struct Bytewise<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Bytewise<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte()))
    }
}

pub(crate) trait Arbitrary: Sized {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self;
}

impl Arbitrary for u64 {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        match from.below(4) {
            0 => Self::from(from.byte()),
            1 => Self::from(u16::arbitrary(from)),
            2 => Self::MAX - Self::from(from.byte()),
            _ => from.word(),
        }
    }
}

impl Arbitrary for i64 {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        u64::arbitrary(from) as Self
    }
}

impl Arbitrary for u32 {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        u64::arbitrary(from) as Self
    }
}

impl Arbitrary for u16 {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        Self::from(from.byte()) << 8 | Self::from(from.byte())
    }
}

impl Arbitrary for u8 {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        from.byte()
    }
}

impl Arbitrary for bool {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        from.byte() % 2 == 1
    }
}

impl Arbitrary for char {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        let all = ['R', 'D', 'Z', '"', '\\', '\n', '\0', 'é', '{', '🦀'];
        all[usize::from(from.byte()) % all.len()]
    }
}

impl Arbitrary for f32 {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        (f64::from(u16::arbitrary(from) as i16) / 10.0) as Self
    }
}

impl Arbitrary for f64 {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        (u32::arbitrary(from) as Self / 100.0 * 100.0).round() / 100.0
    }
}

impl Arbitrary for Arc<str> {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        let length = from.below(6);
        (0..length).map(|_| char::arbitrary(from)).collect::<String>().into()
    }
}

macro_rules! newtypes {
    ($($type:ident)*) => {$(
        impl Arbitrary for $type {
            fn arbitrary(from: &mut Bytewise<'_>) -> Self {
                Self(Arbitrary::arbitrary(from))
            }
        }
    )*};
}
newtypes!(Watts Celsius Percent Megahertz Bytes Mono GpuId);

impl Arbitrary for Joules {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        Self(f64::from(u16::arbitrary(from)))
    }
}

impl Arbitrary for BytesPerSecond {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        Self(f64::from(u16::arbitrary(from)) * f64::from(10_u32.pow(u32::from(from.below(7)))))
    }
}

impl Arbitrary for Wall {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        Self(u64::arbitrary(from) as i64)
    }
}

impl Arbitrary for TimedValue {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        Self { at_us: u64::from(u32::arbitrary(from)) * 1_000, value: f32::arbitrary(from).round() }
    }
}

impl<A: Arbitrary, B: Arbitrary> Arbitrary for (A, B) {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        (A::arbitrary(from), B::arbitrary(from))
    }
}

impl<T: Arbitrary, const N: usize> Arbitrary for [T; N] {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        std::array::from_fn(|_| T::arbitrary(from))
    }
}

impl<T: Arbitrary> Arbitrary for Vec<T> {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        let length = from.below(4);
        (0..length).map(|_| T::arbitrary(from)).collect()
    }
}

impl<T: Arbitrary> Arbitrary for Option<T> {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        bool::arbitrary(from).then(|| T::arbitrary(from))
    }
}

impl<T: Arbitrary> Arbitrary for Box<T> {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        Self::new(T::arbitrary(from))
    }
}

impl<T: Arbitrary> Arbitrary for Grouped<T> {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        Self { at: Mono::arbitrary(from), value: T::arbitrary(from) }
    }
}

impl Arbitrary for Absence {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        match from.below(7) {
            0 => Self::NotRequested,
            1 => Self::NotSupported,
            2 => Self::NoPermission,
            3 => Self::Asleep,
            4 => Self::Lost,
            5 => Self::failed(u16::arbitrary(from) as i16 as i32, Arc::<str>::arbitrary(from)),
            _ => Self::InsufficientHistory { seen_seconds: f32::arbitrary(from) },
        }
    }
}

impl<T: Arbitrary> Arbitrary for Reading<T> {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        match from.below(3) {
            0 => Err(Absence::arbitrary(from)),
            _ => Ok(T::arbitrary(from)),
        }
    }
}

macro_rules! structs {
    ($($type:ident { $($field:ident)* })*) => {$(
        impl Arbitrary for $type {
            fn arbitrary(from: &mut Bytewise<'_>) -> Self {
                Self { $($field: Arbitrary::arbitrary(from)),* }
            }
        }
    )*};
}

macro_rules! enums {
    ($($type:ident { $($variant:ident)* })*) => {$(
        impl Arbitrary for $type {
            fn arbitrary(from: &mut Bytewise<'_>) -> Self {
                let all = [$(Self::$variant),*];
                all[usize::from(from.byte()) % all.len()]
            }
        }
    )*};
}

structs! {
    HostInfo { hostname kernel boot_id cpus }
    Inventory { host_pids_visible driver gpus pci processes topology }
    Topology { nodes devices bridges pairs }
    NumaNode { id cpus }
    Bridge { address link }
    BusDevice { kind name address driver host_bridge bridges numa_node local_cpus link ports }
    PcieLink { speed max_speed width max_width }
    NicPort { port state physical rate layer }
    GpuPair { a b ancestor p2p_read p2p_write p2p_nvlink p2p_atomics p2p_pci }
    Driver { module_version version nvml_version cuda_version problem }
    PciDevice {
        address id driver runtime_status numa_node local_cpus link_speed max_link_speed link_width max_link_width
    }
    GpuInfo {
        uuid index name brand architecture compute_capability serial board_part vbios inforom gsp pci_bus_id
        pci_device_id minor module_id numa_node cpu_affinity max_sm_clock max_memory_clock min_power_limit
        max_power_limit default_power_limit thresholds supported_clock_events max_pcie_generation
        gpu_max_pcie_generation max_pcie_width nvlinks nvlink_version nvswitch_links gpm display_attached display_active
        virtualization memory_shared_with_cpu
    }
    Thresholds {
        slowdown shutdown memory_max gpu_max slowdown_limit shutdown_limit memory_max_limit gpu_max_limit
    }
    ProcessKey { pid start }
    ProcessFacts {
        key visible inner_pid parent user name command environment cgroup container pod slurm_job unit started
    }
    Container { runtime id }
    HostProcess { key state cpu_ns resident }
    Sample { sequence mono wall gpus processes host storage host_files sources cost }
    HostFiles { files pending }
    HostFile { path lines names link mode uid gid device label }
    StorageSample { kernel status pools datasets disks filesystems senders models model_uses gpu_direct }
    ModelStore { places models complete left_out }
    StorePlace { kind path user models unfinished }
    Unfinished { files size }
    StoredModel {
        name aliases revision store path user format shape files files_in_all size on_disk unreferenced unfinished last_used
        mount file_system
    }
    ModelShape { architecture parameters weights data_type kv geometry }
    Geometry { layers hidden heads feed_forward vocabulary context experts experts_used }
    KvCache { full windowed window heads latent }
    ModelUse {
        key at path name access files files_of_model size position resident read mount
    }
    ZfsKernel { version cache pools datasets }
    ZfsCache {
        size target target_min target_max data metadata uncompressed compressed hits io_hits misses
        demand_data_hits demand_data_io_hits demand_data_misses demand_metadata_hits demand_metadata_io_hits
        demand_metadata_misses l2_hits l2_misses l2_size l2_device_size l2_header_size l2_read_bytes
        l2_written_bytes l2_errors
    }
    ZfsPoolState { name state }
    DatasetCounters { pool objset name created_ns read_bytes written_bytes reads writes }
    PoolStatus { name state status action message_id scan data_errors vdevs }
    Vdev { depth class name path disk state read_errors write_errors checksum_errors slow_ios }
    Scan { function state done started ended errors }
    PoolSpace { name size allocated free fragmentation capacity health }
    Dataset {
        name volume used available referenced used_by_snapshots compress_ratio record_size compression atime
        primary_cache secondary_cache origin objset key_loaded mounted mount_point
    }
    DiskCounters { name reads read_bytes read_ms writes written_bytes write_ms in_flight busy_ms }
    FileSystem { mount_point kind source disk read_only size available }
    SnapshotBatch { dataset first total rows state problem }
    ZfsSnapshot { name used referenced created holds clones }
    GpuSample {
        id state refusal stuck fast live processes gpm counters process_utilization buffers health nvlinks mig
    }
    StuckCall { gpu call since wait_channel ended }
    HostSample {
        cpu_busy_ns cpu_total_ns memory_total memory_available arc_reclaimable swap_total swap_used load_1m
        load_5m load_15m uptime_seconds
    }
    SourceStatus { name state reason }
    SelfCost { cpu_ns resident calls call_ns }
    RawEvent { at wall source priority facility gpu text }
    Gap { missed }
    Bye { reason restart }
    Band { min mean max }
    ClockEvents { last any all }
    Fast { power sm_clock utilization memory_utilization clock_events reads }
    Live {
        memory_total memory_used memory_free memory_reserved temperature memory_temperature temperature_margin
        memory_clock graphics_clock video_clock performance_state pcie_generation pcie_width power_limit encoder
        decoder fan recovery_action
    }
    Gpm {
        interval_seconds graphics sm sm_occupancy tensor dram fp64 fp32 fp16 pcie_tx pcie_rx nvlink_tx nvlink_rx
    }
    Counters {
        sw_power_cap_ns sync_boost_ns sw_thermal_ns hw_thermal_ns hw_power_brake_ns nvlink_tx_kib nvlink_rx_kib
        pcie_tx pcie_rx
    }
    Health {
        ecc_corrected_volatile ecc_uncorrected_volatile ecc_corrected_aggregate ecc_uncorrected_aggregate
        sram_threshold_exceeded ecc_enabled ecc_pending remapped_corrected remapped_uncorrected remap_pending
        remap_failed remap_banks retired_single retired_double retired_pending energy pcie_replays nvlink_errors
        fabric_state fabric_status fabric_health persistence compute_mode mig mig_pending power_limit_set
        bar1_used
    }
    NvLink { link active remote_type remote_pci replay_errors recovery_errors crc_errors }
    Buffers { power utilization }
    ProcessOnGpu { pid kind memory gpu_instance compute_instance }
    ProcessUtilization { pid sm memory encoder decoder }
    MigInstance {
        gpu_instance compute_instance uuid profile memory_total memory_used sm processes
    }
}

enums! {
    StoreKind { HuggingFace Ollama Folder }
    ModelFormat { Safetensors Gguf }
    ModelAccess { Open Mapped }
    GpuState { Ok Stalled Lost Asleep NotOpened NoDriver PassedThrough Unknown }
    SourceState { Ok Degraded Unavailable }
    EventSource { Kmsg Journal File Nvml Action }
    ProcessKind { Compute Graphics Mps ComputeGraphics }
    BusKind { Gpu Nic Nvme }
    ScanFunction { Scrub Resilver }
    ScanState { Running Paused Finished Cancelled }
    ListingState { Running Done Cancelled Failed }
}

impl Arbitrary for Header {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        Self {
            format: u32::from(from.below(2)),
            kgtop: Arbitrary::arbitrary(from),
            host: Arbitrary::arbitrary(from),
            wall: Arbitrary::arbitrary(from),
            mono: Arbitrary::arbitrary(from),
            interval_seconds: Arbitrary::arbitrary(from),
            collector_pid: Arbitrary::arbitrary(from),
        }
    }
}

impl Arbitrary for Record {
    fn arbitrary(from: &mut Bytewise<'_>) -> Self {
        match from.below(9) {
            6 => Self::Snapshots(Arbitrary::arbitrary(from)),
            0 => Self::Header(Arbitrary::arbitrary(from)),
            1 => Self::Inventory(Arbitrary::arbitrary(from)),
            2 => Self::Event(Arbitrary::arbitrary(from)),
            3 => Self::CallStuck(Arbitrary::arbitrary(from)),
            4 => Self::Gap(Arbitrary::arbitrary(from)),
            5 => Self::Bye(Arbitrary::arbitrary(from)),
            _ => Self::Sample(Arbitrary::arbitrary(from)),
        }
    }
}
