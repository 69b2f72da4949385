//! The one table of driver calls, and the slot through which a watchdog sees the call a thread is in.
//!
//! Every call into the driver library goes through [`Caller::call`] under a [`CallId`]. The table gives its
//! tier (how often it may be made), its name for the watchdog, and the key of the latency statistics.

use crate::units::{Clock, Mono};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// How often a call is made. The order is from seldom and static to dear.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tier {
    /// Once per device, and again after a reset or reload: identity, limits, thresholds. Some cost 1.5 ms.
    Once,
    /// Ten times a second, the driver's own rate for power and clocks. About 2 µs each.
    TenHertz,
    /// Each interval: values that the driver keeps cached. 2 to 60 µs.
    Interval,
    /// The driver's sample buffers: power every 2 s, utilisation every 10 s. 0.3 to 2.4 ms.
    Buffers,
    /// Each interval while shown or recorded, else every 5 s. 0.5 to 2.4 ms.
    Demand,
    /// Every 10 to 60 s: changes seldom, costs up to 4 ms.
    Slow,
    /// Only while shown, on a thread of its own: blocks for 21 ms.
    Shown,
    /// Waits for the driver to tell something, on a thread of its own; the time is not the driver's work.
    Waits,
    /// Only to carry out a plan that was confirmed, in a process of its own.
    Action,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $id:ident $name:literal $tier:ident $cost:literal)*) => {
        /// A function of the driver library that kgtop calls.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum CallId {
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $id,)*
        }

        impl CallId {
            /// Every call.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// The symbol in the driver library.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// The fastest tier that makes the call.
            #[must_use]
            pub const fn tier(self) -> Tier {
                match self { $(Self::$id => Tier::$tier,)* }
            }

            /// What one call took on an H200 (driver 580.159) in µs, the greater of idle and load; 0 where it
            /// was not measured. It says which tier a call belongs to; nothing is decided by it at run time.
            #[must_use]
            pub const fn measured_us(self) -> u32 {
                match self { $(Self::$id => $cost,)* }
            }
        }
    };
}

calls! {
    // Library.
    Init "nvmlInit_v2" Once 17_000
    DriverVersion "nvmlSystemGetDriverVersion" Once 0
    NvmlVersion "nvmlSystemGetNVMLVersion" Once 0
    CudaVersion "nvmlSystemGetCudaDriverVersion_v2" Once 0
    DeviceCount "nvmlDeviceGetCount_v2" Once 0
    HandleByIndex "nvmlDeviceGetHandleByIndex_v2" Once 0

    // Identity and limits.
    Uuid "nvmlDeviceGetUUID" Once 0
    PciInfo "nvmlDeviceGetPciInfo_v3" Once 0
    Name "nvmlDeviceGetName" Once 0
    Brand "nvmlDeviceGetBrand" Once 0
    Architecture "nvmlDeviceGetArchitecture" Once 0
    ComputeCapability "nvmlDeviceGetCudaComputeCapability" Once 0
    Serial "nvmlDeviceGetSerial" Once 0
    BoardPartNumber "nvmlDeviceGetBoardPartNumber" Once 0
    VbiosVersion "nvmlDeviceGetVbiosVersion" Once 0
    InforomVersion "nvmlDeviceGetInforomImageVersion" Once 0
    GspVersion "nvmlDeviceGetGspFirmwareVersion" Once 0
    MinorNumber "nvmlDeviceGetMinorNumber" Once 0
    ModuleId "nvmlDeviceGetModuleId" Once 0
    NumaNodeId "nvmlDeviceGetNumaNodeId" Once 0
    MemoryAffinity "nvmlDeviceGetMemoryAffinity" Once 0
    CpuAffinity "nvmlDeviceGetCpuAffinity" Once 0
    AddressingMode "nvmlDeviceGetAddressingMode" Once 0
    MaxClock "nvmlDeviceGetMaxClockInfo" Once 1_600
    PowerConstraints "nvmlDeviceGetPowerManagementLimitConstraints" Once 4
    DefaultPowerLimit "nvmlDeviceGetPowerManagementDefaultLimit" Once 4
    TemperatureThreshold "nvmlDeviceGetTemperatureThreshold" Once 230
    SupportedClockEvents "nvmlDeviceGetSupportedClocksEventReasons" Once 4
    /// Before R535.
    SupportedThrottleReasons "nvmlDeviceGetSupportedClocksThrottleReasons" Once 4
    MaxPcieGeneration "nvmlDeviceGetMaxPcieLinkGeneration" Once 0
    GpuMaxPcieGeneration "nvmlDeviceGetGpuMaxPcieLinkGeneration" Once 0
    MaxPcieWidth "nvmlDeviceGetMaxPcieLinkWidth" Once 0
    GpmSupport "nvmlGpmQueryDeviceSupport" Once 0
    GpmAlloc "nvmlGpmSampleAlloc" Once 0
    DisplayMode "nvmlDeviceGetDisplayMode" Once 0
    DisplayActive "nvmlDeviceGetDisplayActive" Once 0
    VirtualizationMode "nvmlDeviceGetVirtualizationMode" Once 0
    NvLinkVersion "nvmlDeviceGetNvLinkVersion" Once 4
    CommonAncestor "nvmlDeviceGetTopologyCommonAncestor" Once 0
    P2pStatus "nvmlDeviceGetP2PStatus" Once 0

    // Ten times a second.
    PowerUsage "nvmlDeviceGetPowerUsage" TenHertz 4
    ClockInfo "nvmlDeviceGetClockInfo" TenHertz 4
    Utilization "nvmlDeviceGetUtilizationRates" TenHertz 4
    ClockEvents "nvmlDeviceGetCurrentClocksEventReasons" TenHertz 4
    /// Before R535.
    ThrottleReasons "nvmlDeviceGetCurrentClocksThrottleReasons" TenHertz 4

    // Each interval.
    MemoryInfoV2 "nvmlDeviceGetMemoryInfo_v2" Interval 19
    /// Before R510.
    MemoryInfo "nvmlDeviceGetMemoryInfo" Interval 0
    Temperature "nvmlDeviceGetTemperature" Interval 4
    PerformanceState "nvmlDeviceGetPerformanceState" Interval 4
    PcieGeneration "nvmlDeviceGetCurrPcieLinkGeneration" Interval 2
    PcieWidth "nvmlDeviceGetCurrPcieLinkWidth" Interval 35
    EnforcedPowerLimit "nvmlDeviceGetEnforcedPowerLimit" Interval 4
    EncoderUtilization "nvmlDeviceGetEncoderUtilization" Interval 0
    DecoderUtilization "nvmlDeviceGetDecoderUtilization" Interval 0
    FanSpeed "nvmlDeviceGetFanSpeed_v2" Interval 0
    /// Fields 82 and 230 each interval (19 µs). The dear fields go with their own tiers: reason and NVLink
    /// counters (0.6 to 0.8 ms each), energy (3.6 ms), T.Limit (0.12 ms), link count (0.4 ms).
    FieldValues "nvmlDeviceGetFieldValues" Interval 19
    ComputeProcessesV3 "nvmlDeviceGetComputeRunningProcesses_v3" Interval 60
    GraphicsProcessesV3 "nvmlDeviceGetGraphicsRunningProcesses_v3" Interval 24
    MpsProcessesV3 "nvmlDeviceGetMPSComputeRunningProcesses_v3" Interval 0
    /// Before R510, and for the 535 drivers whose v3 has another structure.
    ComputeProcessesV2 "nvmlDeviceGetComputeRunningProcesses_v2" Interval 0
    /// Before R510, and for the 535 drivers whose v3 has another structure.
    GraphicsProcessesV2 "nvmlDeviceGetGraphicsRunningProcesses_v2" Interval 0
    /// Before R510, and for the 535 drivers whose v3 has another structure.
    MpsProcessesV2 "nvmlDeviceGetMPSComputeRunningProcesses_v2" Interval 0

    // Sample buffers.
    Samples "nvmlDeviceGetSamples" Buffers 2_400

    // On demand.
    GpmSample "nvmlGpmSampleGet" Demand 69
    GpmMetrics "nvmlGpmMetricsGet" Demand 1_500
    ProcessUtilization "nvmlDeviceGetProcessUtilization" Demand 2_300
    /// Every fifth reading of the live group only.
    MarginTemperature "nvmlDeviceGetMarginTemperature" Demand 750

    // Slow.
    EccMode "nvmlDeviceGetEccMode" Slow 0
    TotalEccErrors "nvmlDeviceGetTotalEccErrors" Slow 4
    SramEccStatus "nvmlDeviceGetSramEccErrorStatus" Slow 0
    RowRemapperHistogram "nvmlDeviceGetRowRemapperHistogram" Slow 4
    RetiredPages "nvmlDeviceGetRetiredPages_v2" Slow 0
    RetiredPagesPending "nvmlDeviceGetRetiredPagesPendingStatus" Slow 0
    PcieReplays "nvmlDeviceGetPcieReplayCounter" Slow 230
    FabricInfoV "nvmlDeviceGetGpuFabricInfoV" Slow 230
    /// Before R550.
    FabricInfo "nvmlDeviceGetGpuFabricInfo" Slow 230
    PersistenceMode "nvmlDeviceGetPersistenceMode" Slow 0
    ComputeMode "nvmlDeviceGetComputeMode" Slow 0
    PowerLimit "nvmlDeviceGetPowerManagementLimit" Slow 4
    Bar1Memory "nvmlDeviceGetBAR1MemoryInfo" Slow 230
    MigMode "nvmlDeviceGetMigMode" Slow 230
    MigCount "nvmlDeviceGetMaxMigDeviceCount" Slow 0
    MigHandle "nvmlDeviceGetMigDeviceHandleByIndex" Slow 0
    GpuInstanceId "nvmlDeviceGetGpuInstanceId" Slow 0
    ComputeInstanceId "nvmlDeviceGetComputeInstanceId" Slow 0
    GpmMigSample "nvmlGpmMigSampleGet" Slow 0
    NvLinkState "nvmlDeviceGetNvLinkState" Slow 4
    NvLinkRemoteType "nvmlDeviceGetNvLinkRemoteDeviceType" Slow 0
    NvLinkRemotePci "nvmlDeviceGetNvLinkRemotePciInfo_v2" Slow 0
    /// Per link and counter, only when a total has moved.
    NvLinkErrors "nvmlDeviceGetNvLinkErrorCounter" Slow 850

    // Blocking.
    PcieThroughput "nvmlDeviceGetPcieThroughput" Shown 20_900

    // Events: only where the kernel log cannot be read.
    EventTypes "nvmlDeviceGetSupportedEventTypes" Once 0
    EventSetCreate "nvmlEventSetCreate" Once 0
    EventSetFree "nvmlEventSetFree" Once 0
    RegisterEvents "nvmlDeviceRegisterEvents" Once 0
    EventSetWait "nvmlEventSetWait_v2" Waits 0

    // On a confirmed plan.
    SetPowerLimit "nvmlDeviceSetPowerManagementLimit" Action 0
    SetPersistence "nvmlDeviceSetPersistenceMode" Action 0
    SetComputeMode "nvmlDeviceSetComputeMode" Action 0
    LockGraphicsClocks "nvmlDeviceSetGpuLockedClocks" Action 0
    UnlockGraphicsClocks "nvmlDeviceResetGpuLockedClocks" Action 0
    LockMemoryClocks "nvmlDeviceSetMemoryLockedClocks" Action 0
    UnlockMemoryClocks "nvmlDeviceResetMemoryLockedClocks" Action 0
    ClearEcc "nvmlDeviceClearEccErrorCounts" Action 0
    DefaultApplicationClocks "nvmlDeviceResetApplicationsClocks" Action 0
    ApplicationClock "nvmlDeviceGetApplicationsClock" Action 0
    ApplicationClockDefault "nvmlDeviceGetDefaultApplicationsClock" Action 0
    /// Before R515 profiles have no names.
    MigProfile "nvmlDeviceGetGpuInstanceProfileInfoV" Action 0
    MigRemaining "nvmlDeviceGetGpuInstanceRemainingCapacity" Action 0
}

/// How many calls the table has.
const COUNT: usize = CallId::ALL.len();

/// Low bits of [`CallSlot::current`] that hold the entry time in µs since boot; enough for 2,000 years.
const TIME_BITS: u32 = 56;

/// Latency statistics of one call.
#[derive(Debug, Default)]
struct Latency {
    count: AtomicU64,
    total_us: AtomicU64,
    max_us: AtomicU64,
}

/// What a watchdog on another thread sees of a calling thread. All reads are wait-free, so that a thread stuck in
/// the driver never blocks who asks after it.
#[derive(Debug)]
pub struct CallSlot {
    /// The running call: its number + 1 above [`TIME_BITS`], its entry time below; 0 between calls. One word, so
    /// that a call is never seen with the time of another.
    current: AtomicU64,
    thread: AtomicI32,
    latencies: [Latency; COUNT],
}

impl CallSlot {
    fn new() -> Self {
        Self {
            current: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            latencies: std::array::from_fn(|_| Latency::default()),
        }
    }

    /// The call the thread is in and when it entered it; `None` between calls.
    #[must_use]
    pub fn current(&self) -> Option<(CallId, Mono)> {
        let word = self.current.load(Ordering::Acquire);
        let number = usize::try_from(word >> TIME_BITS).ok()?.checked_sub(1)?;
        let id = CallId::ALL.get(number)?;
        Some((*id, Mono(word & ((1 << TIME_BITS) - 1))))
    }

    /// Calls that returned.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.latencies.iter().map(|latency| latency.count.load(Ordering::Relaxed)).sum()
    }

    /// Wall time spent in calls that returned, ns; waiting for events is none.
    #[must_use]
    pub fn call_ns(&self) -> u64 {
        CallId::ALL
            .iter()
            .zip(&self.latencies)
            .filter(|(id, _)| id.tier() != Tier::Waits)
            .map(|(_, latency)| latency.total_us.load(Ordering::Relaxed).saturating_mul(1_000))
            .fold(0, u64::saturating_add)
    }

    /// Of each call made so far: how often, µs in total, and the longest in µs.
    #[must_use]
    pub fn latencies(&self) -> Vec<(CallId, u64, u64, u64)> {
        CallId::ALL
            .iter()
            .zip(&self.latencies)
            .filter_map(|(id, latency)| {
                let count = latency.count.load(Ordering::Relaxed);
                (count > 0).then(|| {
                    (
                        *id,
                        count,
                        latency.total_us.load(Ordering::Relaxed),
                        latency.max_us.load(Ordering::Relaxed),
                    )
                })
            })
            .collect()
    }

    /// Kernel thread id of the last thread that called, for `/proc/self/task/TID/wchan`; `None` before the first
    /// call.
    #[must_use]
    pub fn thread_id(&self) -> Option<i32> {
        Some(self.thread.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }
}

/// Makes calls on behalf of one thread at a time and keeps its [`CallSlot`].
#[derive(Debug)]
pub struct Caller {
    slot: Arc<CallSlot>,
    clock: Clock,
}

impl Caller {
    /// A caller with a slot of its own. One per thread, or for what threads pass on: two threads in one slot would hide
    /// each other's calls.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { slot: Arc::new(CallSlot::new()), clock }
    }

    /// What a watchdog looks at.
    #[must_use]
    pub fn slot(&self) -> Arc<CallSlot> {
        Arc::clone(&self.slot)
    }

    /// The monotonic clock.
    #[must_use]
    pub fn now(&self) -> Mono {
        (self.clock.mono)()
    }

    /// The wall clock in µs, as the driver stamps its samples; 0 before 1970.
    pub(super) fn wall_us(&self) -> u64 {
        u64::try_from((self.clock.wall)().0).unwrap_or(0)
    }

    /// From now on it is this thread that calls.
    pub fn enter_thread(&self) {
        self.slot.thread.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Relaxed);
    }

    /// Runs `call`, which calls the driver function `id`.
    pub fn call<T>(&self, id: CallId, call: impl FnOnce() -> T) -> T {
        if self.slot.thread.load(Ordering::Relaxed) == 0 {
            self.enter_thread();
        }
        let entered = self.now();
        let word = (((id as u64) + 1) << TIME_BITS) | (entered.0 & ((1 << TIME_BITS) - 1));
        self.slot.current.store(word, Ordering::Release);
        let answer = call();
        self.slot.current.store(0, Ordering::Release);
        let micros = self.now().0.saturating_sub(entered.0);
        if let Some(latency) = self.slot.latencies.get(id as usize) {
            latency.count.fetch_add(1, Ordering::Relaxed);
            latency.total_us.fetch_add(micros, Ordering::Relaxed);
            latency.max_us.fetch_max(micros, Ordering::Relaxed);
        }
        answer
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
