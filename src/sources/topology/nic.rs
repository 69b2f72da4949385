//! RDMA devices: the NICs that NCCL and `nvidia-smi topo` know, from `/sys/class/infiniband`.

use super::{class, device, value};
use crate::model::{Absence, BusDevice, BusKind, NicPort, Reading};
use crate::sources::root::Root;
use std::sync::Arc;

const INFINIBAND: &str = "/sys/class/infiniband";

/// All that are on the PCI bus, `mlx5_2` before `mlx5_10`.
pub(super) fn scan(root: &Root) -> Vec<BusDevice> {
    class(root, INFINIBAND)
        .into_iter()
        .filter_map(|(name, address)| {
            let mut nic = device(root, BusKind::Nic, &name, &address?);
            nic.ports = ports(root, &name);
            Some(nic)
        })
        .collect()
}

fn ports(root: &Root, name: &str) -> Vec<NicPort> {
    let path = format!("{INFINIBAND}/{name}/ports");
    let names = root.list(&path).unwrap_or_default();
    let mut ports: Vec<NicPort> = names
        .iter()
        .filter_map(|name| name.parse().ok())
        .map(|port: u32| {
            let file = |name: &str| value(root, &format!("{path}/{port}/{name}"));
            NicPort {
                port,
                state: file("state").map(|text| after_number(&text)),
                physical: file("phys_state").map(|text| after_number(&text)),
                rate: file("rate").and_then(|text| rate(&text)),
                layer: file("link_layer"),
            }
        })
        .collect();
    ports.sort_by_key(|port| port.port);
    ports
}

/// `ACTIVE` of `4: ACTIVE`.
fn after_number(text: &str) -> Arc<str> {
    text.split_once(':').map_or(text, |(_, name)| name).trim().into()
}

/// 400 of `400 Gb/sec (4X NDR)`; half a gigabit is dropped (`2.5 Gb/sec`).
fn rate(text: &str) -> Reading<u32> {
    let number = text.split([' ', '.']).next().and_then(|number| number.parse().ok());
    number.ok_or_else(|| Absence::failed(0, format!("rate \"{text}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_rates() {
        assert_eq!(&*after_number("4: ACTIVE"), "ACTIVE");
        assert_eq!(&*after_number("LinkUp"), "LinkUp");
        assert_eq!(rate("400 Gb/sec (4X NDR)"), Ok(400));
        assert_eq!(rate("2.5 Gb/sec (1X SDR)"), Ok(2));
        assert!(rate("fast").is_err());
    }
}
