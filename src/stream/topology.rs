//! The topology on the wire: a member of the inventory.

use super::json::{Fields, Json, write_text};
use super::wire::{Group, Malformed, Object, Wire, member, names, object, write_member};
use crate::model::{Bridge, BusDevice, BusKind, GpuPair, NicPort, NumaNode, PcieLink, Topology};

object!(Topology {
    nodes => "numa_nodes",
    devices => "devices",
    bridges => "bridges",
    pairs => "gpu_pairs",
});

object!(NumaNode {
    id => "node",
    cpus => "cpus",
});

object!(PcieLink {
    speed => "link_speed_tenths_gtps",
    max_speed => "max_link_speed_tenths_gtps",
    width => "link_width",
    max_width => "max_link_width",
});

object!(Bridge [link] {
    address => "pci_bus_id",
});

names!(BusKind {
    Gpu => "gpu",
    Nic => "nic",
    Nvme => "nvme",
});

object!(BusDevice [link] {
    kind => "type",
    name => "name",
    address => "pci_bus_id",
    driver => "driver",
    host_bridge => "host_bridge",
    bridges => "bridges",
    numa_node => "numa_node",
    local_cpus => "local_cpus",
    ports => "ports",
});

object!(NicPort {
    port => "port",
    state => "state",
    physical => "physical_state",
    rate => "rate_gbps",
    layer => "link_layer",
});

object!(GpuPair {
    a => "a",
    b => "b",
    ancestor => "common_ancestor",
    p2p_read => "p2p_read",
    p2p_write => "p2p_write",
    p2p_nvlink => "p2p_nvlink",
    p2p_atomics => "p2p_atomics",
    p2p_pci => "p2p_pci",
});

/// Every object of this file and the names of its members.
pub(super) fn objects() -> Vec<(&'static str, &'static [&'static str])> {
    macro_rules! table {
        ($($type:ident)*) => { vec![$((stringify!($type), <$type as Object>::NAMES)),*] };
    }
    table![Topology NumaNode PcieLink Bridge BusDevice NicPort GpuPair]
}
