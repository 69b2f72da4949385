//! What the driver says of pairs of GPUs: the nearest place they share, and whether they reach each other's memory.
//! Read once per opening of the driver; a GPU that is lost or comes back ends the process that opened it.

use super::call::{CallId, Caller};
use super::error::Failure;
use super::raw::RawDevice;
use super::{Device, Session};
use crate::model::{Absence, GpuPair, Reading};

/// `nvmlGpuP2PCapsIndex_t`: reads, writes, NVLink, atomics, PCIe.
const CAPABILITIES: [u32; 5] = [0, 1, 2, 3, 4];

impl Session {
    /// Every pair of the GPUs that the driver gives handles for. 6 calls a pair; each may block.
    #[must_use]
    pub fn pairs(&self, caller: &Caller) -> Vec<GpuPair> {
        let mut devices = self.devices(caller);
        let mut pairs = Vec::new();
        while let Some(mut first) = devices.pop() {
            for second in &devices {
                pairs.extend(pair(&mut first, second, caller));
            }
        }
        pairs.reverse();
        pairs
    }
}

fn pair(one: &mut Device, other: &Device, caller: &Caller) -> Option<GpuPair> {
    let (Ok(a), Ok(b)) = (other.address().clone(), one.address().clone()) else { return None };
    let second = other.port.raw_device()?;
    let ancestor = ask(one, caller, CallId::CommonAncestor, |first| first.common_ancestor(second));
    let [p2p_read, p2p_write, p2p_nvlink, p2p_atomics, p2p_pci] = CAPABILITIES
        .map(|capability| ask(one, caller, CallId::P2pStatus, |first| first.p2p_status(second, capability)));
    Some(GpuPair { a, b, ancestor, p2p_read, p2p_write, p2p_nvlink, p2p_atomics, p2p_pci })
}

/// One call about a pair. What one pair does not support says nothing of the next: it is asked as a batch.
fn ask(
    device: &mut Device,
    caller: &Caller,
    id: CallId,
    call: impl FnOnce(RawDevice) -> Result<u32, Failure>,
) -> Reading<u32> {
    device.port.attempt(caller, id, super::port::BATCH, |handle| call(handle.raw)).map_err(|failure| {
        match Absence::from(&failure) {
            // A capability that this driver does not know.
            Absence::Failed { code: 2, .. } => Absence::NotSupported,
            other => other,
        }
    })
}
