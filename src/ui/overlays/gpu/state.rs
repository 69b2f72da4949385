//! What a GPU is and how it is: links, errors and repairs, modes, identity.

use super::sheet::{Sheet, cell};
use crate::analysis::names;
use crate::model::{Absence, Gpu, GpuState, NvLink, Reading, read};

pub(super) fn links(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    let (live, info) = (gpu, &gpu.info);
    let generation = |reading: &Reading<u32>| reading.clone().map(|number| format!("generation {number}"));
    let lanes = |reading: &Reading<u32>| reading.clone().map(|lanes| format!("×{lanes}"));
    sheet.row(
        "PCIe",
        [
            cell(&generation(&read::live(live, |live| &live.pcie_generation)), ""),
            cell(&lanes(&read::live(live, |live| &live.pcie_width)), "now"),
            cell(&generation(&info.max_pcie_generation), ""),
            cell(&lanes(&info.max_pcie_width), "at most in this slot"),
            cell(&generation(&info.gpu_max_pcie_generation), "of the GPU itself"),
        ],
    );
    sheet.row(
        "",
        [
            cell(&gpu.rates.pcie_rx, "to the GPU"),
            cell(&gpu.rates.pcie_tx, "from it"),
            cell(&read::health(gpu, |health| &health.pcie_replays), "replays"),
        ],
    );
    let version = info.nvlink_version.clone().map(|tenths| format!("{}.{}", tenths / 10, tenths % 10));
    sheet.row(
        "NVLink",
        [
            cell(&read::active_links(gpu), "up"),
            cell(&info.nvlinks, "links"),
            cell(&version, "version"),
            cell(&info.nvswitch_links, "to a switch"),
            cell(&read::health(gpu, |health| &health.nvlink_errors), "errors"),
        ],
    );
    sheet.row("", [cell(&gpu.rates.nvlink_rx, "to the GPU"), cell(&gpu.rates.nvlink_tx, "from it")]);
    for link in gpu.nvlinks.iter().flat_map(|group| &group.value).filter(|link| troubled(link)) {
        let up = link.active.clone().map(|up| if up { "up" } else { "DOWN" });
        sheet.row(
            &format!("  link {}", link.link),
            [
                cell(&up, ""),
                cell(&link.replay_errors, "replay"),
                cell(&link.recovery_errors, "recovery"),
                cell(&link.crc_errors, "CRC errors"),
                cell(&link.remote_pci, "at the other end"),
            ],
        );
    }
    sheet.row(
        "fabric",
        [
            cell(
                &named(read::health(gpu, |health| &health.fabric_state), names::fabric_state),
                "registration",
            ),
            cell(&read::health(gpu, |health| &health.fabric_status), "status"),
            cell(&named(read::health(gpu, |health| &health.fabric_health), names::fabric_health), "health"),
        ],
    );
}

/// Whether a link is down, or has counted errors: the others are not worth a line.
fn troubled(link: &NvLink) -> bool {
    let counted = [&link.replay_errors, &link.recovery_errors, &link.crc_errors];
    link.active == Ok(false) || counted.into_iter().any(|errors| errors.as_ref().is_ok_and(|n| *n > 0))
}

fn named(number: Reading<u32>, name: fn(u32) -> String) -> Reading<String> {
    number.map(|number| name(number).replace('_', " "))
}

pub(super) fn errors(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    sheet.row(
        "ECC",
        [
            cell(&on(&read::health(gpu, |health| &health.ecc_enabled)), "now"),
            cell(&on(&read::health(gpu, |health| &health.ecc_pending)), "after a reset"),
            cell(
                &yes(&read::health(gpu, |health| &health.sram_threshold_exceeded)),
                "SRAM threshold exceeded",
            ),
        ],
    );
    sheet.row(
        "  since load",
        [
            cell(&read::health(gpu, |health| &health.ecc_corrected_volatile), "corrected"),
            cell(&read::health(gpu, |health| &health.ecc_uncorrected_volatile), "uncorrected"),
        ],
    );
    sheet.row(
        "  in its life",
        [
            cell(&read::health(gpu, |health| &health.ecc_corrected_aggregate), "corrected"),
            cell(&read::health(gpu, |health| &health.ecc_uncorrected_aggregate), "uncorrected"),
        ],
    );
    sheet.row(
        "rows remapped",
        [
            cell(&read::health(gpu, |health| &health.remapped_corrected), "for corrected"),
            cell(&read::health(gpu, |health| &health.remapped_uncorrected), "for uncorrected errors"),
            cell(&yes(&read::health(gpu, |health| &health.remap_pending)), "remap pending"),
            cell(&yes(&read::health(gpu, |health| &health.remap_failed)), "remap failed"),
        ],
    );
    let banks = read::health(gpu, |health| &health.remap_banks);
    let bank = |place: usize| banks.clone().map(|banks| banks.get(place).copied().unwrap_or_default());
    sheet.row(
        "  spare rows",
        [
            cell(&bank(0), "banks with all"),
            cell(&bank(1), "many"),
            cell(&bank(2), "some"),
            cell(&bank(3), "few"),
            cell(&bank(4), "none"),
        ],
    );
    sheet.row(
        "pages retired",
        [
            cell(&read::health(gpu, |health| &health.retired_single), "single-bit"),
            cell(&read::health(gpu, |health| &health.retired_double), "double-bit"),
            cell(&yes(&read::health(gpu, |health| &health.retired_pending)), "retirement pending"),
        ],
    );
}

fn on(reading: &Reading<bool>) -> Reading<&'static str> {
    reading.clone().map(|on| if on { "on" } else { "off" })
}

fn yes(reading: &Reading<bool>) -> Reading<&'static str> {
    reading.clone().map(|yes| if yes { "YES" } else { "no" })
}

pub(super) fn modes(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    sheet.row(
        "modes",
        [
            cell(&on(&read::health(gpu, |health| &health.persistence)), "persistence"),
            cell(&on(&read::health(gpu, |health| &health.mig)), "MIG"),
            cell(&on(&read::health(gpu, |health| &health.mig_pending)), "MIG after a reset"),
            cell(
                &named(read::health(gpu, |health| &health.compute_mode), names::compute_mode),
                "compute mode",
            ),
        ],
    );
    // The last word of a GPU that is gone is no word on how to bring it back.
    let asked = match gpu.state {
        GpuState::Lost => Err(Absence::Lost),
        _ => read::live(gpu, |live| &live.recovery_action),
    };
    sheet.row("recovery", [cell(&named(asked, names::recovery_action), "is what the driver asks for")]);
}

pub(super) fn identity(sheet: &mut Sheet, gpu: &Gpu) {
    sheet.gap();
    let info = &gpu.info;
    sheet.row(
        "product",
        [
            cell(&info.name, ""),
            cell(&info.brand, "brand"),
            cell(&info.architecture, ""),
            cell(&info.compute_capability, "compute capability"),
        ],
    );
    sheet.row("UUID", [cell(&info.uuid, "")]);
    sheet.row("board", [cell(&info.serial, "serial"), cell(&info.board_part, "part")]);
    sheet.row(
        "firmware",
        [cell(&info.vbios, "VBIOS"), cell(&info.inforom, "InfoROM"), cell(&info.gsp, "GSP")],
    );
    let device = info.pci_device_id.clone().map(|id| format!("{:04x}:{:04x}", id & 0xffff, id >> 16));
    let node = info.minor.clone().map(|minor| format!("/dev/nvidia{minor}"));
    sheet.row(
        "place",
        [
            cell(&info.pci_bus_id, "PCI address"),
            cell(&device, "PCI id"),
            cell(&node, ""),
            cell(&info.module_id, "module"),
            cell(&info.numa_node, "NUMA node"),
            cell(&info.cpu_affinity, "CPUs near"),
        ],
    );
    sheet.row(
        "",
        [
            cell(&yes(&info.display_attached), "display attached"),
            cell(&named(info.virtualization.clone(), names::virtualization), "virtualisation"),
            cell(&yes(&info.memory_shared_with_cpu), "memory shared with the CPU"),
        ],
    );
}
