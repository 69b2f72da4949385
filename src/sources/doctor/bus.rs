//! NVIDIA devices on the PCI bus, what is bound to them, and who shares their IOMMU groups.

use super::gather::Gather;
use std::collections::BTreeSet;

const DEVICES: &str = "/sys/bus/pci/devices";
const GROUPS: &str = "/sys/kernel/iommu_groups";
const NVIDIA: &str = "0x10de";
/// Display controllers and bridges other than PCI ones, which NVSwitches are.
const CLASSES: [&str; 2] = ["0x03", "0x0680"];
/// ACS extended capability (PCI Express base specification, 7.7.11): its id, and where its control register is.
const ACS: u16 = 0x000d;
const ACS_CONTROL: usize = 6;
/// Extended capabilities begin here; before it is what anybody may read.
const EXTENDED: usize = 0x100;
const CONFIG_SPACE: usize = 4_096;

pub(super) fn read(gather: &mut Gather<'_>) {
    let root = gather.root;
    let value = |address: &str, file: &str| root.read_value(&format!("{DEVICES}/{address}/{file}"));
    let ours = |address: &str| {
        value(address, "vendor").is_ok_and(|vendor| vendor.eq_ignore_ascii_case(NVIDIA))
            && value(address, "class").is_ok_and(|class| CLASSES.iter().any(|known| class.starts_with(known)))
    };
    let addresses = gather.names(DEVICES, ours);
    let mut groups = BTreeSet::new();
    let mut bridges = BTreeSet::new();
    for address in &addresses {
        device(gather, address);
        groups.extend(group_of(gather, address));
        bridges.extend(bridges_above(gather, address));
    }
    gather.names(GROUPS, |_| true);
    for group in groups {
        gather.text(&format!("{GROUPS}/{group}/type"));
        for member in gather.names(&format!("{GROUPS}/{group}/devices"), |_| true) {
            if !addresses.contains(&member) {
                device(gather, &member);
            }
        }
    }
    for bridge in bridges {
        access_control(gather, &bridge);
    }
    let words = |line: &str| relevant_words(line);
    let command_line = root.read_to_string("/proc/cmdline", 4_096);
    gather.put_lines("/proc/cmdline", command_line.map(|line| vec![(1, words(&line).into())]));
}

fn device(gather: &mut Gather<'_>, address: &str) {
    for file in ["vendor", "class"] {
        gather.text(&format!("{DEVICES}/{address}/{file}"));
    }
    gather.link(&format!("{DEVICES}/{address}/driver"));
}

fn group_of(gather: &mut Gather<'_>, address: &str) -> Option<String> {
    let link = gather.link(&format!("{DEVICES}/{address}/iommu_group"))?;
    link.rsplit('/').next().map(str::to_owned)
}

/// Addresses of the bridges on the way to a device, which its real path in sysfs names.
fn bridges_above(gather: &Gather<'_>, address: &str) -> Vec<String> {
    let path = gather.root.read_link(&format!("{DEVICES}/{address}")).unwrap_or_default();
    let is_address = |part: &&str| part.len() >= 12 && part.matches(':').count() == 2 && part.contains('.');
    let mut addresses: Vec<String> = path.split('/').filter(is_address).map(str::to_owned).collect();
    addresses.pop();
    addresses
}

/// The ACS control register of a bridge as `ACSCtl 0x001d`; the kernel gives it to root alone.
fn access_control(gather: &mut Gather<'_>, bridge: &str) {
    let path = format!("{DEVICES}/{bridge}/config");
    let register = gather.root.read(&path, CONFIG_SPACE).and_then(|config| {
        if config.len() <= EXTENDED {
            return Err(crate::model::Absence::NoPermission);
        }
        acs_control(&config).ok_or(crate::model::Absence::NotSupported)
    });
    gather.put_lines(&path, register.map(|control| vec![(1, format!("ACSCtl {control:#06x}").into())]));
}

/// The ACS control register in a whole configuration space.
fn acs_control(config: &[u8]) -> Option<u16> {
    let word = |at: usize| Some(u16::from_le_bytes(config.get(at..at + 2)?.try_into().ok()?));
    let mut at = EXTENDED;
    // As many capabilities as fit at most: a list that runs in a circle ends.
    for _ in 0..(CONFIG_SPACE - EXTENDED) / 8 {
        if word(at)? == ACS {
            return word(at + ACS_CONTROL);
        }
        at = usize::from(word(at + 2)? >> 4);
        if at < EXTENDED {
            return None;
        }
    }
    None
}

/// The words of the kernel's command line that concern GPUs: the rest is nobody's business.
fn relevant_words(line: &str) -> String {
    let known = ["nouveau", "nvidia", "vfio", "iommu", "blacklist", "pcie_acs_override", "lockdown", "pci="];
    let words = line.split_ascii_whitespace().filter(|word| known.iter().any(|known| word.contains(known)));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_is_found_behind_other_capabilities() {
        let mut config = vec![0_u8; CONFIG_SPACE];
        config[0x100..0x104].copy_from_slice(&[0x01, 0x00, 0x01, 0x15]); // AER, next at 0x150
        config[0x150..0x154].copy_from_slice(&[0x0d, 0x00, 0x01, 0x00]);
        config[0x156..0x158].copy_from_slice(&[0x1d, 0x00]);
        assert_eq!(acs_control(&config), Some(0x1d));
        config[0x150] = 0x19;
        assert_eq!(acs_control(&config), None);
        config[0x102..0x104].copy_from_slice(&[0x01, 0x10]); // a circle
        assert_eq!(acs_control(&config), None);
        assert_eq!(acs_control(&[]), None);
    }

    #[test]
    fn of_the_command_line_only_what_concerns_gpus_is_kept() {
        let line = "BOOT_IMAGE=/vmlinuz root=UUID=1 ro intel_iommu=on iommu=pt token=secret rd.driver.blacklist=nouveau";
        assert_eq!(relevant_words(line), "intel_iommu=on iommu=pt rd.driver.blacklist=nouveau");
    }
}
