//! What depends on the driver's version: field numbering, the layout of the process list, structure versions.

/// A driver version such as `580.159.04`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct DriverVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl DriverVersion {
    /// Parses `"580.159.04"`, `"535.98"`; `None` when it does not begin with two numbers.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part.get(..digits).and_then(|digits| digits.parse().ok())
        });
        let major = parts.next()??;
        let minor = parts.next()??;
        let patch = parts.next().flatten().unwrap_or(0);
        Some(Self { major, minor, patch })
    }

    const fn at_least(self, major: u32, minor: u32) -> bool {
        self.major > major || (self.major == major && self.minor >= minor)
    }

    /// Which function to ask for the process list. The 535 drivers before 535.104 either changed the structure
    /// of `…_v3` to 32 bytes (43.02 to 86.05) or left the symbol out (98); `…_v2` kept its 24 bytes throughout.
    pub(super) const fn process_list(self) -> ProcessListVersion {
        if self.major == 535 && !self.at_least(535, 104) {
            ProcessListVersion::V2
        } else {
            ProcessListVersion::V3
        }
    }

    /// Which numbers fields 251 to 273 have.
    pub(super) const fn numbering(self) -> Numbering {
        if self.at_least(580, 82) { Numbering::Cuda13Update1 } else { Numbering::Cuda12 }
    }
}

/// The function that lists processes; both fill 24-byte entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ProcessListVersion {
    /// `…RunningProcesses_v2`
    V2,
    /// `…RunningProcesses_v3`
    V3,
}

/// The two numberings of the field ids 251 to 273: the driver swapped two blocks at R580.82 (CUDA 13.0 U1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Numbering {
    /// Before R580.82.
    Cuda12,
    /// Since R580.82.
    Cuda13Update1,
}

impl Numbering {
    /// The number this driver gives to a field named by its number of today.
    pub(super) const fn of(self, field: u32) -> u32 {
        match (self, field) {
            (Self::Cuda12, 269..=273) => field - 18,
            (Self::Cuda12, 251..=268) => field + 5,
            _ => field,
        }
    }
}

/// The version word of a versioned structure (`NVML_STRUCT_VERSION` in `nvml.h`): its size in the low 24 bits.
pub(super) const fn struct_version<T>(version: u32) -> u32 {
    // A structure of 16 MiB or more cannot be passed at all; none comes near.
    size_of::<T>() as u32 | (version << 24)
}

/// A PCI address as the kernel writes it: `0000:3b:00.0`, lower case, four-digit domain, from NVML's
/// `00000000:3B:00.0` or `0000:3B:00.0`. `None` for anything else.
pub(super) fn pci_address(text: &str) -> Option<String> {
    let mut parts = text.split(':');
    let (domain, bus, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (device, function) = rest.split_once('.')?;
    let hex = |part: &str| u32::from_str_radix(part, 16).ok();
    let (domain, bus, device, function) = (hex(domain)?, hex(bus)?, hex(device)?, hex(function)?);
    let real = parts.next().is_none() && bus <= 0xff && device <= 0x1f && function <= 7;
    // All ones is NVML's "no such device", which it answers for links that end at a switch.
    (real && domain != u32::MAX).then(|| format!("{domain:04x}:{bus:02x}:{device:02x}.{function}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> DriverVersion {
        DriverVersion::parse(text).unwrap()
    }

    #[test]
    fn versions_parse_and_order() {
        assert!(version("535.86.05") < version("535.104.05"));
        assert!(version("535.98") < version("535.104.05"));
        assert!(version("550.54.14") > version("535.183.01"));
        assert_eq!(version("580.159.04\n"), DriverVersion { major: 580, minor: 159, patch: 4 });
        assert_eq!(version("570.86-beta"), DriverVersion { major: 570, minor: 86, patch: 0 });
        for bad in ["", "580", "x.1", "580."] {
            assert_eq!(DriverVersion::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_535_drivers_with_another_process_structure_are_asked_for_v2() {
        for driver in ["535.43.02", "535.54.03", "535.86.05", "535.98"] {
            assert_eq!(version(driver).process_list(), ProcessListVersion::V2, "{driver}");
        }
        for driver in ["525.147.05", "530.41.03", "535.104.05", "535.183.01", "545.23.06", "580.159.04"] {
            assert_eq!(version(driver).process_list(), ProcessListVersion::V3, "{driver}");
        }
    }

    #[test]
    fn fields_have_their_old_numbers_before_580_82() {
        for driver in ["575.57.08", "580.65.06", "580.81"] {
            let numbering = version(driver).numbering();
            let reasons: Vec<_> = [74, 76, 269, 270, 271].into_iter().map(|id| numbering.of(id)).collect();
            assert_eq!(reasons, [74, 76, 251, 252, 253], "{driver}");
        }
        for driver in ["580.82", "580.82.07", "580.159.04", "590.44.01"] {
            assert_eq!(version(driver).numbering().of(270), 270, "{driver}");
        }
    }

    #[test]
    fn the_two_numberings_are_one_to_one() {
        let mut old: Vec<_> = (240..300).map(|id| Numbering::Cuda12.of(id)).collect();
        old.sort_unstable();
        assert_eq!(old, (240..300).collect::<Vec<_>>());
    }

    #[test]
    fn the_version_word_is_size_and_version() {
        assert_eq!(struct_version::<[u8; 40]>(2), 0x0200_0028);
        assert_eq!(struct_version::<nvml_wrapper_sys::bindings::nvmlMemory_v2_t>(2), 0x0200_0028);
        assert_eq!(struct_version::<nvml_wrapper_sys::bindings::nvmlMarginTemperature_t>(1), 0x0100_0008);
    }

    #[test]
    fn addresses_read_like_the_kernels() {
        assert_eq!(pci_address("00000000:3B:00.0").as_deref(), Some("0000:3b:00.0"));
        assert_eq!(pci_address("0000:3b:00.0").as_deref(), Some("0000:3b:00.0"));
        assert_eq!(pci_address("00010000:C1:1F.7").as_deref(), Some("10000:c1:1f.7"));
        for bad in ["", "3b:00.0", "0000:3b:00", "0000:3b:20.0", "FFFFFFFF:FF:1F.7", "0000:3b:00.0:1"] {
            assert_eq!(pci_address(bad), None, "{bad:?}");
        }
    }
}
