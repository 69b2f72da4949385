//! Advice that names the GPU that it is about. Without one `nvidia-smi` acts on every GPU of the machine (its manual,
//! "-i, --id": a reset resets all of them), so no command that is told here may be without.

/// Stands for the PCI address in advice that is written once for every GPU: an index is the order of one boot.
const ADDRESS: &str = "ADDRESS";

/// Advice about the GPU at `address`; where that is not known, the word stays for the reader to fill in.
#[must_use]
pub(super) fn about(advice: &str, address: Option<&str>) -> String {
    address.map_or_else(|| advice.to_owned(), |address| advice.replace(ADDRESS, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// Options by which nvidia-smi changes something (its manual, "DEVICE MODIFICATION OPTIONS" and "mig").
    const CHANGES: [&str; 28] = [
        "-r",
        "--gpu-reset",
        "-pm",
        "--persistence-mode",
        "-pl",
        "--power-limit",
        "-mig",
        "--multi-instance-gpu",
        "-rgc",
        "--reset-gpu-clocks",
        "-lgc",
        "--lock-gpu-clocks",
        "-rmc",
        "--reset-memory-clocks",
        "-lmc",
        "-rac",
        "--reset-applications-clocks",
        "-ac",
        "-c",
        "--compute-mode",
        "-e",
        "--ecc-config",
        "-p",
        "--reset-ecc-errors",
        "-cgi",
        "-dgi",
        "-cci",
        "-dci",
    ];

    /// Commands of a line that change something and name no GPU.
    fn careless(line: &str) -> Vec<&str> {
        line.match_indices("nvidia-smi")
            .filter_map(|(at, _)| line.get(at + "nvidia-smi".len()..))
            .map(|rest| {
                let end = [" && ", ";", ")", "`", "\"", " or ", " and "]
                    .iter()
                    .filter_map(|end| rest.find(end))
                    .min();
                rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
            })
            .filter(|command| {
                let mut words = command.split([' ', ',', '.', '\\', '\'']);
                let queries = words.clone().any(|word| word == "nvlink");
                let names = words.clone().any(|word| matches!(word, "-i" | "--id"));
                !queries && !names && words.any(|word| CHANGES.contains(&word))
            })
            .collect()
    }

    fn texts(directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                texts(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "tsv") {
                found.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
            }
        }
    }

    #[test]
    fn no_command_acts_on_every_gpu() {
        assert_eq!(careless("reset it (nvidia-smi -r); then").len(), 1);
        assert_eq!(careless("mig: nvidia-smi mig -cgi 19 -C, or nvidia-smi -mig 0").len(), 2);
        assert!(
            careless("nvidia-smi -i ADDRESS -r bus; nvidia-smi nvlink -e; nvidia-smi -q -d CLOCK").is_empty()
        );
        let mut all = Vec::new();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        texts(&here.join("src"), &mut all);
        texts(&here.join("assets"), &mut all);
        assert!(all.len() > 100, "{} files", all.len());
        for (path, text) in all.iter().filter(|(path, _)| !path.ends_with("analysis/advice.rs")) {
            for (number, line) in (1..).zip(text.lines()) {
                let comment = line.trim_start().starts_with("//");
                let found = if comment { Vec::new() } else { careless(line) };
                assert!(found.is_empty(), "{path}:{number}: nvidia-smi{found:?} names no GPU");
            }
        }
    }

    #[test]
    fn the_address_is_put_where_it_is_known() {
        let advice = "Reset it (kgtop act reset --gpu ADDRESS).";
        assert_eq!(about(advice, Some("0000:41:00.0")), "Reset it (kgtop act reset --gpu 0000:41:00.0).");
        assert_eq!(about(advice, None), advice);
    }
}
