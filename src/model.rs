//! What was read ([`Sample`], [`Inventory`]) and what follows from it ([`Snapshot`]), as plain data and pure
//! derivation. No I/O and no clock: every time is part of a record.
//!
//! * [`Record`]: everything that can travel in the stream.
//! * [`Reading`]: a value, or the reason why there is none. An absent reading never becomes a zero.
//! * [`Deriver`]: folds records into snapshots; the same for live, replayed, remote and demo data.

mod demand;
mod derive;
mod event;
mod group;
mod history;
mod host_file;
mod inventory;
mod models;
pub mod nvml_code;
mod process;
pub mod read;
mod reading;
mod sample;
mod snapshot;
mod storage;
mod topology;
mod weights;

pub use demand::Demand;
pub use derive::{DatasetTracks, Deriver, ENDED_KEPT};
pub use event::{EventSource, RawEvent};
pub use group::{
    Band, Buffers, ClockEvents, Counters, Fast, Gpm, Grouped, Health, Live, MigInstance, NvLink, ProcessKind,
    ProcessList, ProcessOnGpu, ProcessUtilization, TimedValue,
};
pub use history::{Bucket, HISTORY_SECONDS, History, Metric, ReasonSecond, Track};
pub use host_file::{HostFile, HostFiles};
pub use inventory::{Driver, GpuInfo, Header, HostInfo, Inventory, PciDevice, Thresholds};
pub use models::{
    LOADING_BYTES_PER_SECOND, ModelAccess, ModelFormat, ModelLoad, ModelStore, ModelUse, RateSource,
    StoreKind, StorePlace, StoredModel, Unfinished,
};
pub use process::{Container, HostProcess, ProcessFacts, ProcessKey};
pub use reading::{Absence, Reading, ReadingExt, known};
pub use sample::{
    Bye, Gap, GpuId, GpuSample, GpuState, HostSample, Record, Sample, SelfCost, SourceState, SourceStatus,
    StuckCall,
};
pub use snapshot::{
    Gpu, GpuRates, HostView, Process, ProcessGpu, ReasonSeconds, Snapshot, Throttle, Unattributed,
};
pub use storage::{
    CacheRates, Dataset, DatasetCounters, DatasetKey, DatasetRates, DatasetView, DiskCounters, DiskRates,
    FileSystem, Kept, ListingState, PoolSpace, PoolStatus, PoolView, Scan, ScanFunction, ScanState,
    SnapshotBatch, SnapshotListing, Storage, StorageSample, Vdev, ZfsCache, ZfsKernel, ZfsPoolState,
    ZfsSnapshot, hit_ratio,
};
pub use topology::{Bridge, BusDevice, BusKind, GpuPair, NicPort, NumaNode, PcieLink, Topology};
pub use weights::{Geometry, KvCache, ModelHeader, ModelShape};
