//! Parsers of `/proc/PID/stat` and `/proc/PID/status`.

use procfs::prelude::FromRead;

/// What is used of `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) state: char,
    pub(super) parent: u32,
    /// `PF_*` flags.
    pub(super) flags: u32,
    /// User and system time, in clock ticks.
    pub(super) cpu_ticks: u64,
    /// Start, in clock ticks since boot.
    pub(super) start: u64,
    /// Resident pages.
    pub(super) resident_pages: u64,
}

impl Stat {
    /// `None` for what is no such line. The name is between the first `(` and the last `)`: it may itself hold
    /// blanks and parentheses.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim();
        // The parser slices around the parentheses without a look: only well-formed lines may reach it.
        let (pid, rest) = text.split_once(" (")?;
        let (_, rest) = rest.rsplit_once(") ")?;
        let well_formed = pid.parse::<i32>().is_ok() && !rest.is_empty() && !rest.contains(')');
        well_formed.then_some(())?;
        let stat = procfs::process::Stat::from_read(text.as_bytes()).ok()?;
        Some(Self {
            pid: u32::try_from(stat.pid).ok()?,
            state: stat.state,
            parent: u32::try_from(stat.ppid).ok()?,
            flags: stat.flags,
            cpu_ticks: stat.utime.saturating_add(stat.stime),
            start: stat.starttime,
            resident_pages: stat.rss,
            name: stat.comm,
        })
    }
}

/// What is used of `/proc/PID/status`. Read by hand: the file holds many lines that some kernels leave out, and two
/// of them count here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Effective user: the one the process acts as.
    pub(super) uid: Option<u32>,
    /// Its PID in each PID namespace from that of this `/proc` inwards.
    pub(super) pids: Vec<u32>,
}

impl Status {
    pub(super) fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let mut numbers = value.split_ascii_whitespace().map_while(|number| number.parse::<u32>().ok());
            match key {
                // Real, effective, saved, file system.
                "Uid" => status.uid = numbers.nth(1),
                "NSpid" => status.pids = numbers.collect(),
                _ => {}
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REST: &str = "S 1 4711 4711 0 -1 4194560 100 0 7 0 1500 500 0 0 20 0 64 0 987654 68719476736 2048 18446744073709551615 1 1 0 0 0 0 0 16781312 134235392 0 0 0 17 3 0 0 0 0 0 0 0 0 0 0 0 0 0";

    #[test]
    fn names_may_hold_blanks_and_parentheses() {
        for name in ["python3", "a) b) R", "(sd-pam)", "tmux: server", ")", "", " (", "x) R 9 ("] {
            let stat = Stat::parse(format!("4711 ({name}) {REST}\n").as_bytes()).unwrap();
            assert_eq!((stat.name.as_str(), stat.state, stat.parent), (name, 'S', 1));
            assert_eq!((stat.pid, stat.cpu_ticks, stat.start), (4711, 2000, 987_654));
            assert_eq!(stat.resident_pages, 2048);
        }
    }

    #[test]
    fn what_is_no_stat_line_is_none() {
        for text in [
            "",
            "(",
            ")",
            ")(",
            "1 (",
            "1 ()",
            "1 () ",
            "1 (a)",
            "1 (a) ",
            "1 (a) S",
            "(a) S 1",
            "x (a) S 1 1",
        ] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn status_gives_the_effective_user_and_the_pids_inwards() {
        let text = "Name:\tpython3\nUid:\t1000\t1001\t1000\t1000\nNSpid:\t4711\t12\nVmRSS:\t  12 kB\n";
        assert_eq!(Status::parse(text), Status { uid: Some(1001), pids: vec![4711, 12] });
        assert_eq!(Status::parse("Uid:\tx\nNSpid\n"), Status::default());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Stat::parse(&bytes);
            Status::parse(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn no_damaged_line_panics(cut in 0..300_usize, name in "\\PC{0,20}", at in 0..40_usize, junk in "[ ()0-9a-z\u{e9}-]{0,6}") {
            let mut line = format!("4711 ({name}) {REST}");
            if line.is_char_boundary(at) {
                line.insert_str(at, &junk);
            }
            let bytes = line.as_bytes();
            let _ = Stat::parse(&bytes[..cut.min(bytes.len())]);
        }
    }
}
