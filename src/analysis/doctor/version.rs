//! Versions, as drivers and toolkits write them.

/// The numbers of `580.159.04`; none where it is no version.
pub(super) fn numbers(text: &str) -> Vec<u32> {
    text.trim().split('.').map_while(|part| part.parse().ok()).collect()
}

/// The version behind `.so.` in the name of a library: `580.159.04` of `libcuda.so.580.159.04`.
pub(super) fn of_library(name: &str) -> Option<&str> {
    let after = name.rsplit_once(".so.")?.1;
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(after.len());
    let version = after.get(..end)?.trim_end_matches('.');
    // `libcuda.so.1` is a name, not a version.
    version.contains('.').then_some(version)
}

/// Major and minor of the toolkit in `cuda-12.6`.
pub(super) fn of_toolkit(directory: &str) -> Option<(u32, u32)> {
    let numbers = numbers(directory.strip_prefix("cuda-")?);
    Some((*numbers.first()?, numbers.get(1).copied().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_names() {
        assert_eq!(of_library("libcuda.so.580.159.04"), Some("580.159.04"));
        assert_eq!(of_library("      hostPath: /usr/lib64/libcuda.so.550.127.05\""), Some("550.127.05"));
        assert_eq!(of_library("libcuda.so.1"), None);
        assert_eq!(of_toolkit("cuda-12.6"), Some((12, 6)));
        assert_eq!(of_toolkit("cuda"), None);
        assert_eq!(numbers("580.159.04"), [580, 159, 4]);
    }
}
