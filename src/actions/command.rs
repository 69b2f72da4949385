//! The same with NVIDIA's or the system's own tools, by PCI address: an index is the order of one boot.

use super::change::Change;
use super::facts::GpuFacts;
use super::settings::{ClockDomain, Remedy};
use crate::model::known;

/// nvidia-smi's spelling of an address: `00000000:41:00.0`.
#[must_use]
pub fn smi_address(address: &str) -> String {
    match address.split_once(':') {
        Some((domain, rest)) => format!("{domain:0>8}:{}", rest.to_ascii_uppercase()),
        None => address.to_owned(),
    }
}

/// The arguments of nvidia-smi for each command of `change`, in order; empty where it is no business of nvidia-smi.
#[must_use]
pub fn smi_arguments(address: &str, change: &Change) -> Vec<Vec<String>> {
    let address = smi_address(address);
    let on_gpu = |arguments: &[&str]| {
        let mut all = vec!["-i".to_owned(), address.clone()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        all
    };
    let mig = |arguments: &[&str]| {
        let mut all = vec!["mig".to_owned()];
        all.extend(on_gpu(arguments));
        all
    };
    match change {
        Change::PowerLimit { milliwatts } if milliwatts.is_multiple_of(1_000) => {
            vec![on_gpu(&["-pl", &(milliwatts / 1_000).to_string()])]
        }
        Change::PowerLimit { milliwatts } => {
            vec![on_gpu(&["-pl", &format!("{:.3}", f64::from(*milliwatts) / 1_000.0)])]
        }
        Change::LockClocks { domain, least, most } => {
            let flag = if *domain == ClockDomain::Graphics { "-lgc" } else { "-lmc" };
            vec![on_gpu(&[flag, &format!("{least},{most}")])]
        }
        Change::UnlockClocks { domain: ClockDomain::Graphics } => vec![on_gpu(&["-rgc"])],
        Change::UnlockClocks { .. } => vec![on_gpu(&["-rmc"])],
        Change::Persistence { on } => vec![on_gpu(&["-pm", if *on { "1" } else { "0" }])],
        Change::ComputeMode { mode } => vec![on_gpu(&["-c", &mode.number().to_string()])],
        Change::ClearEcc { counters } => vec![on_gpu(&["-p", &counters.number().to_string()])],
        Change::DefaultApplicationClocks => vec![on_gpu(&["-rac"])],
        // With -C each GPU instance has the compute instance that fills it: without one nothing can use it.
        Change::MigCreate { profiles } => vec![mig(&["-cgi", &profiles.join(","), "-C"])],
        // Compute instances first: a GPU instance that has one is in use.
        Change::MigDestroy { instance: Some(number) } => {
            let number = number.to_string();
            vec![mig(&["-dci", "-gi", &number]), mig(&["-dgi", "-gi", &number])]
        }
        Change::MigDestroy { instance: None } => vec![mig(&["-dci"]), mig(&["-dgi"])],
        Change::Reset => vec![on_gpu(&["--gpu-reset"])],
        Change::LastResort { .. } | Change::Signal { .. } | Change::Renice { .. } => Vec::new(),
    }
}

/// The same change with nvidia-smi or through sysfs, in one line.
#[must_use]
pub fn gpu_command(address: &str, change: &Change) -> String {
    if let Change::LastResort { remedy } = change {
        return sysfs_writes(address, *remedy)
            .into_iter()
            .map(|write| format!("echo {} > {}", write.text, write.path))
            .collect::<Vec<_>>()
            .join(" && ");
    }
    let commands: Vec<String> = smi_arguments(address, change)
        .into_iter()
        .map(|arguments| format!("nvidia-smi {}", arguments.join(" ")))
        .collect();
    commands.join(" && ")
}

/// A line that is written to a file of sysfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysfsWrite {
    /// The file.
    pub path: String,
    /// What is written.
    pub text: String,
}

/// What a remedy writes, in order.
#[must_use]
pub fn sysfs_writes(address: &str, remedy: Remedy) -> Vec<SysfsWrite> {
    let write = |path: String, text: &str| SysfsWrite { path, text: text.to_owned() };
    match remedy {
        Remedy::PciRescan => vec![
            write(format!("/sys/bus/pci/devices/{address}/remove"), "1"),
            write("/sys/bus/pci/rescan".to_owned(), "1"),
        ],
        Remedy::DriverRebind => vec![
            write(format!("/sys/bus/pci/devices/{address}/driver/unbind"), address),
            write("/sys/bus/pci/drivers/nvidia/bind".to_owned(), address),
        ],
    }
}

/// The steps of a change that takes more than one; none where one call does it all.
pub(super) fn steps(gpu: &GpuFacts, address: &str, change: &Change) -> Vec<String> {
    let persistence = known(&gpu.persistence) == Some(true);
    let smi = |change: &Change| gpu_command(address, change);
    let mut steps = Vec::new();
    match change {
        Change::Reset | Change::LastResort { .. } => {
            steps.push("stop kgtop's own collector, which holds the GPU too".to_owned());
            if persistence {
                steps.push(smi(&Change::Persistence { on: false }));
            }
            match change {
                Change::LastResort { remedy } => steps.extend(
                    sysfs_writes(address, *remedy)
                        .into_iter()
                        .map(|write| format!("echo {} > {}", write.text, write.path)),
                ),
                _ => steps.push(smi(change)),
            }
            if persistence {
                steps.push(smi(&Change::Persistence { on: true }));
            }
            steps
                .push("start the collector, and compare the GPU's health with what it was before".to_owned());
        }
        Change::MigDestroy { .. } => {
            steps.extend(
                smi_arguments(address, change)
                    .into_iter()
                    .map(|arguments| format!("nvidia-smi {}", arguments.join(" "))),
            );
        }
        _ => {}
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "0000:41:00.0";

    #[test]
    fn no_command_of_nvidia_smi_goes_without_the_address() {
        for change in [
            Change::Reset,
            Change::MigCreate { profiles: vec!["19".into(), "3g.40gb".into()] },
            Change::MigDestroy { instance: None },
            Change::MigDestroy { instance: Some(3) },
            Change::DefaultApplicationClocks,
            Change::Persistence { on: false },
        ] {
            let commands = smi_arguments(ADDRESS, &change);
            assert!(!commands.is_empty(), "{change:?}");
            for command in commands {
                let at = command.iter().position(|word| word == "-i").unwrap();
                assert_eq!(command.get(at + 1).map(String::as_str), Some("00000000:41:00.0"), "{command:?}");
            }
        }
    }

    #[test]
    fn a_layout_is_made_and_destroyed_with_its_compute_instances() {
        let make = Change::MigCreate { profiles: vec!["19".into(), "9".into()] };
        assert_eq!(gpu_command(ADDRESS, &make), "nvidia-smi mig -i 00000000:41:00.0 -cgi 19,9 -C");
        assert_eq!(
            gpu_command(ADDRESS, &Change::MigDestroy { instance: Some(3) }),
            "nvidia-smi mig -i 00000000:41:00.0 -dci -gi 3 && nvidia-smi mig -i 00000000:41:00.0 -dgi -gi 3"
        );
    }

    #[test]
    fn the_last_resorts_are_two_lines_of_sysfs() {
        assert_eq!(
            gpu_command(ADDRESS, &Change::LastResort { remedy: Remedy::PciRescan }),
            "echo 1 > /sys/bus/pci/devices/0000:41:00.0/remove && echo 1 > /sys/bus/pci/rescan"
        );
        assert_eq!(
            gpu_command(ADDRESS, &Change::LastResort { remedy: Remedy::DriverRebind }),
            "echo 0000:41:00.0 > /sys/bus/pci/devices/0000:41:00.0/driver/unbind && \
             echo 0000:41:00.0 > /sys/bus/pci/drivers/nvidia/bind"
        );
    }
}
