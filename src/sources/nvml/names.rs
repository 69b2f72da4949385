//! Names of what NVML numbers. Read raw and named here: the wrapper refuses numbers newer than itself.

/// `nvmlDeviceArchitecture_t`.
pub(super) fn architecture(number: u32) -> Option<String> {
    let name = match number {
        2 => "Kepler",
        3 => "Maxwell",
        4 => "Pascal",
        5 => "Volta",
        6 => "Turing",
        7 => "Ampere",
        8 => "Ada",
        9 => "Hopper",
        10 => "Blackwell",
        u32::MAX => return None,
        other => return Some(format!("architecture {other}")),
    };
    Some(name.to_owned())
}

/// `nvmlBrandType_t`.
pub(super) fn brand(number: u32) -> Option<String> {
    let name = match number {
        0 | u32::MAX => return None,
        1 => "Quadro",
        2 => "Tesla",
        3 => "NVS",
        4 => "GRID",
        5 => "GeForce",
        6 => "Titan",
        7 => "NVIDIA vApps",
        8 => "NVIDIA vPC",
        9 => "NVIDIA vCS",
        10 => "NVIDIA vWS",
        11 => "NVIDIA Cloud Gaming",
        12 => "Quadro RTX",
        13 => "NVIDIA RTX",
        14 => "NVIDIA",
        15 => "GeForce RTX",
        16 => "Titan RTX",
        other => return Some(format!("brand {other}")),
    };
    Some(name.to_owned())
}

/// NVLink generation in tenths from `nvmlDeviceGetNvLinkVersion`, which answers an enum and no generation.
pub(super) const fn nvlink_tenths(version: u32) -> Option<u32> {
    Some(match version {
        1 => 10,
        2 => 20,
        3 => 22,
        4 => 30,
        5 => 31,
        6 => 40,
        7 => 50,
        8 => 60,
        _ => return None,
    })
}

/// The profile in the name of a MIG device: `1g.18gb` of `NVIDIA H200 MIG 1g.18gb`.
pub(super) fn mig_profile(name: &str) -> Option<&str> {
    name.rsplit_once("MIG ").map(|(_, profile)| profile.trim()).filter(|profile| !profile.is_empty())
}

/// The set bits of an NVML mask as the kernel writes a list of CPUs: `0-31,64-95`. `None` for an empty mask.
pub(super) fn bit_list(words: &[u64]) -> Option<String> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for bit in set_bits(words) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == bit => *last = bit,
            _ => ranges.push((bit, bit)),
        }
    }
    let text: Vec<_> = ranges
        .into_iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    (!text.is_empty()).then(|| text.join(","))
}

/// The only set bit of a mask.
pub(super) fn only_bit(words: &[u64]) -> Option<u32> {
    let mut bits = set_bits(words);
    let first = bits.next()?;
    if bits.next().is_some() { None } else { u32::try_from(first).ok() }
}

fn set_bits(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(index, word)| {
        (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_newer_than_this_table_keep_their_number() {
        assert_eq!(architecture(9).as_deref(), Some("Hopper"));
        assert_eq!(architecture(12).as_deref(), Some("architecture 12"));
        assert_eq!(architecture(u32::MAX), None);
        assert_eq!(brand(14).as_deref(), Some("NVIDIA"));
        assert_eq!(brand(0), None);
    }

    #[test]
    fn nvlink_versions_are_an_enum() {
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 7, 8].map(nvlink_tenths),
            [Some(10), Some(20), Some(22), Some(30), Some(31), Some(40), Some(50), Some(60)]
        );
        assert_eq!([0, 9, u32::MAX].map(nvlink_tenths), [None; 3]);
    }

    #[test]
    fn profiles_stand_at_the_end_of_the_name() {
        assert_eq!(mig_profile("NVIDIA A100-SXM4-40GB MIG 1g.5gb"), Some("1g.5gb"));
        assert_eq!(mig_profile("NVIDIA H100 80GB HBM3 MIG 1c.2g.20gb+me"), Some("1c.2g.20gb+me"));
        assert_eq!(mig_profile("NVIDIA H200"), None);
    }

    #[test]
    fn masks_print_as_ranges() {
        assert_eq!(bit_list(&[0xffff_ffff]).as_deref(), Some("0-31"));
        assert_eq!(bit_list(&[1 << 63, 1 | 1 << 5]).as_deref(), Some("63-64,69"));
        assert_eq!(bit_list(&[0, 0]), None);
        assert_eq!(only_bit(&[0, 2]), Some(65));
        assert_eq!(only_bit(&[3]), None);
        assert_eq!(only_bit(&[]), None);
    }
}
