//! Storage on the wire: a member of the sample, and the parts of a listing of snapshots.

use super::json::{Fields, Json, write_text};
use super::wire::{Group, Malformed, Object, Wire, member, names, object, write_member};
use crate::model::{
    Dataset, DatasetCounters, DiskCounters, FileSystem, ListingState, PoolSpace, PoolStatus, Reading, Scan,
    ScanFunction, ScanState, SnapshotBatch, StorageSample, Vdev, ZfsCache, ZfsKernel, ZfsPoolState,
    ZfsSnapshot,
};

object!(StorageSample {
    kernel => "kernel",
    status => "status",
    pools => "pools",
    datasets => "datasets",
    disks => "disks",
    filesystems => "filesystems",
    senders => "senders",
    models => "models",
    model_uses => "model_uses",
    gpu_direct => "nvidia_fs_loaded",
});

/// The name under which the group of kernel statistics holds them.
const ZFS: &str = "zfs";

impl Group for Reading<ZfsKernel> {
    fn write_group(&self, out: &mut String) {
        write_member(out, ZFS, self);
    }

    fn read_group(fields: &Fields<'_, '_>) -> Result<Self, Malformed> {
        member(fields, ZFS)
    }
}

object!(ZfsKernel {
    version => "version",
    cache => "cache",
    pools => "pools",
    datasets => "datasets",
});

object!(ZfsCache {
    size => "size_bytes",
    target => "target_bytes",
    target_min => "target_min_bytes",
    target_max => "target_max_bytes",
    data => "data_bytes",
    metadata => "metadata_bytes",
    uncompressed => "uncompressed_bytes",
    compressed => "compressed_bytes",
    hits => "hits",
    io_hits => "io_hits",
    misses => "misses",
    demand_data_hits => "demand_data_hits",
    demand_data_io_hits => "demand_data_io_hits",
    demand_data_misses => "demand_data_misses",
    demand_metadata_hits => "demand_metadata_hits",
    demand_metadata_io_hits => "demand_metadata_io_hits",
    demand_metadata_misses => "demand_metadata_misses",
    l2_hits => "l2_hits",
    l2_misses => "l2_misses",
    l2_size => "l2_size_bytes",
    l2_device_size => "l2_device_size_bytes",
    l2_header_size => "l2_header_size_bytes",
    l2_read_bytes => "l2_read_bytes",
    l2_written_bytes => "l2_written_bytes",
    l2_errors => "l2_errors",
});

object!(ZfsPoolState {
    name => "name",
    state => "state",
});

object!(DatasetCounters {
    pool => "pool",
    objset => "objset",
    name => "name",
    created_ns => "created_ns",
    read_bytes => "read_bytes",
    written_bytes => "written_bytes",
    reads => "reads",
    writes => "writes",
});

object!(PoolStatus {
    name => "name",
    state => "state",
    status => "status",
    action => "action",
    message_id => "message_id",
    scan => "scan",
    data_errors => "data_errors",
    vdevs => "vdevs",
});

object!(Vdev {
    depth => "depth",
    class => "class",
    name => "name",
    path => "path",
    disk => "disk",
    state => "state",
    read_errors => "read_errors",
    write_errors => "write_errors",
    checksum_errors => "checksum_errors",
    slow_ios => "slow_ios",
});

names!(ScanFunction {
    Scrub => "scrub",
    Resilver => "resilver",
});

names!(ScanState {
    Running => "running",
    Paused => "paused",
    Finished => "finished",
    Cancelled => "cancelled",
});

object!(Scan {
    function => "function",
    state => "state",
    done => "done",
    started => "started_seconds",
    ended => "ended_seconds",
    errors => "errors",
});

object!(PoolSpace {
    name => "name",
    size => "size_bytes",
    allocated => "allocated_bytes",
    free => "free_bytes",
    fragmentation => "fragmentation_percent",
    capacity => "capacity_percent",
    health => "health",
});

object!(Dataset {
    name => "name",
    volume => "volume",
    used => "used_bytes",
    available => "available_bytes",
    referenced => "referenced_bytes",
    used_by_snapshots => "used_by_snapshots_bytes",
    compress_ratio => "compress_ratio",
    record_size => "record_size_bytes",
    compression => "compression",
    atime => "atime",
    primary_cache => "primary_cache",
    secondary_cache => "secondary_cache",
    origin => "origin",
    objset => "objset",
    key_loaded => "key_loaded",
    mounted => "mounted",
    mount_point => "mount_point",
});

object!(DiskCounters {
    name => "name",
    reads => "reads",
    read_bytes => "read_bytes",
    read_ms => "read_ms",
    writes => "writes",
    written_bytes => "written_bytes",
    write_ms => "write_ms",
    in_flight => "in_flight",
    busy_ms => "busy_ms",
});

object!(FileSystem {
    mount_point => "mount_point",
    kind => "type",
    source => "source",
    disk => "disk",
    read_only => "read_only",
    size => "size_bytes",
    available => "available_bytes",
});

names!(ListingState {
    Running => "running",
    Done => "done",
    Cancelled => "cancelled",
    Failed => "failed",
});

object!(SnapshotBatch {
    dataset => "dataset",
    first => "first",
    total => "total",
    rows => "rows",
    state => "state",
    problem => "problem",
});

object!(ZfsSnapshot {
    name => "name",
    used => "used_bytes",
    referenced => "referenced_bytes",
    created => "created_seconds",
    holds => "holds",
    clones => "clones",
});

/// Every object of this file and the names of its members.
pub(super) fn objects() -> Vec<(&'static str, &'static [&'static str])> {
    macro_rules! table {
        ($($type:ident)*) => { vec![$((stringify!($type), <$type as Object>::NAMES)),*] };
    }
    let mut table = table![StorageSample ZfsKernel ZfsCache ZfsPoolState DatasetCounters PoolStatus Vdev Scan PoolSpace Dataset DiskCounters FileSystem SnapshotBatch ZfsSnapshot];
    table.push(("kernel group", &[ZFS]));
    table
}
