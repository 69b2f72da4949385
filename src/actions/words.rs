//! A plan as words of the command line: the same change through `kgtop act`, with root's rights.

use super::change::Change;
use super::plan::{Plan, Target};

impl Plan {
    /// What follows `kgtop`: by UUID, or by PID and start, with the value the plan starts from. Root makes the plan anew, and refuses
    /// where that value is another one.
    #[must_use]
    pub fn act_words(&self) -> Vec<String> {
        let mut words = vec!["act".to_owned()];
        words.extend(match &self.target {
            Target::Gpu { .. } => gpu_words(&self.change),
            Target::Process { pid, .. } => process_words(&self.change, *pid),
        });
        words.extend(match &self.target {
            Target::Gpu { uuid, .. } => ["--gpu".to_owned(), uuid.clone()],
            // A PID may be another process's by the time a password was typed.
            Target::Process { start, .. } => ["--start".to_owned(), start.to_string()],
        });
        if let Some(expected) = &self.expected {
            words.extend(["--expect".to_owned(), expected.clone()]);
        }
        words
    }

    /// The same as a line for a shell, through sudo, by the absolute path of this program.
    #[must_use]
    pub fn sudo_line(&self, program: &str) -> String {
        let words = self.act_words();
        let mut line = format!("sudo {}", quoted(program));
        for word in &words {
            line.push(' ');
            line.push_str(&quoted(word));
        }
        line
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:,=%+@".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn gpu_words(change: &Change) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match change {
        Change::PowerLimit { milliwatts } => {
            words(&["power-limit", &(f64::from(*milliwatts) / 1_000.0).to_string()])
        }
        Change::LockClocks { domain, least, most } => {
            words(&["clocks", &format!("--{}", domain.name()), &format!("{least},{most}")])
        }
        Change::UnlockClocks { domain } => words(&["clocks", "--reset", domain.name()]),
        Change::Persistence { on } => words(&["persistence", if *on { "on" } else { "off" }]),
        Change::ComputeMode { mode } => words(&["compute-mode", mode.name()]),
        Change::ClearEcc { counters } => words(&["ecc-clear", counters.name()]),
        Change::DefaultApplicationClocks => words(&["clocks", "--reset", "applications"]),
        Change::MigCreate { profiles } => words(&["mig", "create", &profiles.join(",")]),
        Change::MigDestroy { instance: Some(number) } => {
            words(&["mig", "destroy", "--instance", &number.to_string()])
        }
        Change::MigDestroy { instance: None } => words(&["mig", "destroy"]),
        Change::Reset => words(&["reset"]),
        Change::LastResort { remedy } => words(&[remedy.name(), "--last-resort"]),
        Change::Signal { .. } | Change::Renice { .. } => Vec::new(),
    }
}

fn process_words(change: &Change, pid: u32) -> Vec<String> {
    match change {
        Change::Signal { name } => {
            vec!["signal".to_owned(), pid.to_string(), "--signal".to_owned(), name.clone()]
        }
        Change::Renice { nice } => vec!["renice".to_owned(), pid.to_string(), nice.to_string()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, HolderFacts, ProcessTarget, plan_process};
    use super::quoted;
    use crate::units::Mono;

    #[test]
    fn a_process_is_named_by_its_start_and_its_niceness_as_well() {
        let holder = HolderFacts { pid: 42, start: 7, ..HolderFacts::default() };
        let target = ProcessTarget { holder, visible: true, nice: Some(-3) };
        let words = |change| {
            plan_process(&target, &super::super::tests::host(), change, Mono(1)).act_words().join(" ")
        };
        let kill = Change::Signal { name: "KILL".into() };
        assert_eq!(words(kill), "act signal 42 --signal KILL --start 7");
        assert_eq!(words(Change::Renice { nice: 5 }), "act renice 42 5 --start 7 --expect -3");
    }

    #[test]
    fn a_shell_takes_every_word_as_it_is() {
        assert_eq!(quoted("0000:41:00.0"), "0000:41:00.0");
        assert_eq!(quoted("700 W"), "'700 W'");
        assert_eq!(quoted("a'b;c"), "'a'\\''b;c'");
        assert_eq!(quoted(""), "''");
    }
}
