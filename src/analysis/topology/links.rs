//! Links below what they could do. A PCIe link that is slow because its GPU idles is as it should be.

use crate::model::{Gpu, Snapshot, known};

/// From this utilisation on a GPU counts as loaded: it has left its idle state, and the link its idle speed.
pub const LOADED_PERCENT: f32 = 20.0;

/// A link below what it could do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkFault {
    /// What is wrong, short: `Gen3 of Gen5 under load`.
    pub summary: String,
}

/// Whether a GPU is loaded, as far as can be told.
fn is_loaded(gpu: &Gpu) -> bool {
    let utilization = gpu.fast.as_ref().and_then(|fast| known(&fast.value.utilization));
    utilization.is_some_and(|band| band.mean >= LOADED_PERCENT)
}

/// Generation and width of a GPU's PCIe link now.
fn now(gpu: &Gpu) -> (Option<u32>, Option<u32>) {
    let live = gpu.live.as_ref().map(|live| &live.value);
    (live.and_then(|live| known(&live.pcie_generation)), live.and_then(|live| known(&live.pcie_width)))
}

/// What is wrong with a GPU's PCIe link: below its maximum under load, or narrower than its siblings' links.
#[must_use]
pub fn pcie_fault(snapshot: &Snapshot, gpu: &Gpu) -> Option<LinkFault> {
    let (generation, width) = now(gpu);
    let loaded = is_loaded(gpu);
    let most = known(&gpu.info.max_pcie_generation);
    if let (true, Some(generation), Some(most)) = (loaded, generation, most)
        && generation < most
    {
        return Some(LinkFault { summary: format!("PCIe Gen{generation} of Gen{most} under load") });
    }
    let widest = known(&gpu.info.max_pcie_width);
    if let (true, Some(width), Some(widest)) = (loaded, width, widest)
        && width < widest
    {
        return Some(LinkFault { summary: format!("PCIe x{width} of x{widest} under load") });
    }
    let sibling = snapshot
        .gpus
        .iter()
        .filter(|other| other.id != gpu.id && other.info.name.is_ok() && other.info.name == gpu.info.name)
        .filter(|other| is_loaded(other) == loaded)
        .filter_map(|other| now(other).1)
        .max();
    match (width, sibling) {
        // The width is trained once; idling lowers the speed.
        (Some(width), Some(theirs)) if width < theirs => {
            Some(LinkFault { summary: format!("PCIe x{width}, its siblings have x{theirs}") })
        }
        _ => None,
    }
}

/// Everything wrong with the links of a GPU.
#[must_use]
pub fn link_faults(snapshot: &Snapshot, gpu: &Gpu) -> Vec<LinkFault> {
    let mut faults: Vec<LinkFault> = pcie_fault(snapshot, gpu).into_iter().collect();
    if let Some(links) = &gpu.nvlinks {
        let down = links.value.iter().filter(|link| matches!(link.active, Ok(false))).count();
        // All down is a GPU without a bridge or a fabric, which is no fault of a link.
        if down > 0 && down < links.value.len() {
            faults.push(LinkFault { summary: format!("{down} of {} NVLinks down", links.value.len()) });
        }
    }
    if known(&gpu.rates.nvlink_errors).is_some_and(|rate| rate > 0.0) {
        faults.push(LinkFault { summary: "NVLink errors rising".into() });
    }
    if known(&gpu.rates.pcie_replays).is_some_and(|rate| rate > 0.0) {
        faults.push(LinkFault { summary: "PCIe replays rising".into() });
    }
    faults
}
