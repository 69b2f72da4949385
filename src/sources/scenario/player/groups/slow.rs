//! The slow tier: ECC, repair, links, modes, MIG instances.

use super::{Reader, on_gpu};
use crate::model::{Absence, Health, MigInstance, NvLink, Reading};
use crate::sources::scenario::{GpuRig, ProcessRig};
use crate::units::{Bytes, Joules, Percent, Watts};
use std::sync::Arc;

impl Reader<'_> {
    pub(super) fn health(&self) -> Health {
        let preset = self.gpu.preset;
        let values = &self.truth.values;
        let ecc = |value: f64| self.has(preset.ecc, "nvmlDeviceGetTotalEccErrors", value as u64);
        let remaps = preset.banks.is_some() && !self.gpu.mig_enabled();
        let fabric = |value: f64| self.has(preset.fabric, "nvmlDeviceGetGpuFabricInfoV", value as u32);
        let pages = |value: f64| self.has(preset.retired_pages, "nvmlDeviceGetRetiredPages_v2", value as u64);
        let field = "nvmlDeviceGetFieldValues";
        let remapped = values.remapped_corrected + values.remapped_uncorrected;
        let banks = preset.banks.unwrap_or_default();
        let none = values.remap_failed as u32;
        let high = (remapped as u32).min(banks.saturating_sub(none));
        Health {
            ecc_corrected_volatile: ecc(values.ecc_corrected_volatile),
            ecc_uncorrected_volatile: ecc(values.ecc_uncorrected_volatile),
            ecc_corrected_aggregate: ecc(values.ecc_corrected_aggregate),
            ecc_uncorrected_aggregate: ecc(values.ecc_uncorrected_aggregate),
            sram_threshold_exceeded: self.has(
                preset.banks.is_some(),
                "nvmlDeviceGetSramEccErrorStatus",
                values.sram_threshold_exceeded > 0.0,
            ),
            ecc_enabled: self.has(preset.ecc, "nvmlDeviceGetEccMode", true),
            ecc_pending: self.has(preset.ecc, "nvmlDeviceGetEccMode", values.ecc_pending > 0.0),
            remapped_corrected: self.has(remaps, field, values.remapped_corrected as u64),
            remapped_uncorrected: self.has(remaps, field, values.remapped_uncorrected as u64),
            remap_pending: self.has(remaps, field, values.remap_pending > 0.0),
            remap_failed: self.has(remaps, field, values.remap_failed > 0.0),
            remap_banks: self.has(
                remaps,
                "nvmlDeviceGetRowRemapperHistogram",
                [banks.saturating_sub(high + none), high, 0, 0, none],
            ),
            retired_single: pages(values.retired_single),
            retired_double: pages(values.retired_double),
            retired_pending: self.has(
                preset.retired_pages,
                "nvmlDeviceGetRetiredPagesPendingStatus",
                values.retired_pending > 0.0,
            ),
            energy: self.read(field, Joules(self.truth.counters.energy)),
            pcie_replays: self.read("nvmlDeviceGetPcieReplayCounter", values.pcie_replays as u64),
            nvlink_errors: self.has(
                preset.nvlinks > 0,
                "nvmlDeviceGetNvLinkErrorCounter",
                values.nvlink_errors as u64,
            ),
            fabric_state: fabric(values.fabric_state),
            fabric_status: fabric(values.fabric_status),
            fabric_health: fabric(values.fabric_health),
            persistence: self.read("nvmlDeviceGetPersistenceMode", values.persistence > 0.0),
            compute_mode: self.read("nvmlDeviceGetComputeMode", values.compute_mode as u32),
            mig: self.has(preset.mig, "nvmlDeviceGetMigMode", self.gpu.mig_enabled()),
            mig_pending: self.has(preset.mig, "nvmlDeviceGetMigMode", self.gpu.mig_enabled()),
            power_limit_set: self.has(
                preset.power_limits.is_some(),
                "nvmlDeviceGetPowerManagementLimit",
                Watts(values.power_limit as f32),
            ),
            bar1_used: self.read("nvmlDeviceGetBAR1MemoryInfo", Bytes(1 << 20)),
        }
    }

    pub(super) fn nvlinks(&self) -> Vec<NvLink> {
        let values = &self.truth.values;
        (0..self.gpu.preset.nvlinks)
            .map(|link| {
                let active = f64::from(link) < values.nvlinks_active;
                let is_last = active && f64::from(link) + 1.0 >= values.nvlinks_active;
                let errors = if is_last { values.nvlink_errors as u64 } else { 0 };
                NvLink {
                    link,
                    active: self.read("nvmlDeviceGetNvLinkState", active),
                    remote_type: self.read(
                        "nvmlDeviceGetNvLinkRemoteDeviceType",
                        if self.gpu.preset.nvswitch { 2 } else { 0 },
                    ),
                    remote_pci: self.remote_pci(link),
                    replay_errors: self.read("nvmlDeviceGetNvLinkErrorCounter", 0),
                    recovery_errors: self.read("nvmlDeviceGetNvLinkErrorCounter", 0),
                    crc_errors: self.read("nvmlDeviceGetNvLinkErrorCounter", errors),
                }
            })
            .collect()
    }

    /// Behind a switch no address is known; without, the links are dealt out to the other linked GPUs in equal runs,
    /// as the stand-in for the driver does.
    fn remote_pci(&self, link: u32) -> Reading<Arc<str>> {
        if self.gpu.preset.nvswitch {
            return Err(Absence::NotSupported);
        }
        let linked = |peer: &&GpuRig| peer.index != self.gpu.index && peer.preset.nvlinks > 0;
        let peers: Vec<&GpuRig> = self.player.scenario.gpus().iter().filter(linked).collect();
        let turn = link as usize * peers.len() / self.gpu.preset.nvlinks.max(1) as usize;
        peers.get(turn).map(|peer| peer.pci.as_str().into()).ok_or(Absence::NotSupported)
    }

    pub(super) fn mig(&self, here: &[&ProcessRig]) -> Reading<Vec<MigInstance>> {
        let instances = self.gpu.mig.iter().map(|mig| MigInstance {
            gpu_instance: Ok(mig.gpu_instance),
            compute_instance: Ok(mig.compute_instance),
            uuid: Ok(crate::model::GpuId(mig.uuid.as_str().into())),
            profile: Ok(mig.profile.as_str().into()),
            memory_total: Ok(Bytes(mig.memory_total)),
            memory_used: Ok(Bytes(mig.memory_used)),
            sm: mig.sm.map(|sm| Percent(sm as f32)).ok_or(Absence::NotSupported),
            processes: Ok(here
                .iter()
                .filter(|process| process.gpu_instance == Some(mig.gpu_instance))
                .map(|process| on_gpu(process))
                .collect()),
        });
        self.has(self.gpu.preset.mig, "nvmlDeviceGetMigMode", instances.collect())
    }
}
