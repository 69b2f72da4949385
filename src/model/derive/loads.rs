//! Who loads which model, and how fast: from two distinct looks at a process.

use crate::model::{Absence, Grouped, ModelAccess, ModelLoad, ModelUse, ProcessKey, RateSource, Reading};
use crate::units::{BytesPerSecond, Mono, Percent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is remembered of the uses of models between samples.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadFold {
    last: BTreeMap<(ProcessKey, Arc<str>), ModelLoad>,
    view: Arc<Vec<ModelLoad>>,
}

impl LoadFold {
    /// Takes the uses of one sample; gives the view.
    pub(super) fn push(&mut self, uses: Option<Grouped<Vec<ModelUse>>>) -> Arc<Vec<ModelLoad>> {
        if let Some(uses) = uses {
            let mut last = std::mem::take(&mut self.last);
            let mut view = Vec::with_capacity(uses.value.len());
            for each in uses.value {
                let key = (each.key, Arc::clone(&each.path));
                let load = match last.remove(&key) {
                    // Handed over again, not looked at again.
                    Some(old) if old.usage.at >= each.at => old,
                    old => load(old.map(|old| old.usage), each),
                };
                view.push(load.clone());
                self.last.insert(key, load);
            }
            self.view = Arc::new(view);
        }
        Arc::clone(&self.view)
    }
}

fn load(before: Option<ModelUse>, usage: ModelUse) -> ModelLoad {
    let (rate, source) = before.map_or_else(
        || (Err(Absence::InsufficientHistory { seen_seconds: 0.0 }), RateSource::Position),
        |before| rate(&before, &usage),
    );
    let done = match usage.access {
        ModelAccess::Open => &usage.position,
        ModelAccess::Mapped => &usage.resident,
    };
    // Of a model in many files, of which the process has one now, nobody knows how many it has read before.
    let whole = usage.files_of_model.as_ref() == Ok(&usage.files);
    let part = |of: Absence| -> Reading<(u64, u64)> {
        let (done, size) = (done.clone()?, usage.size.clone()?);
        if whole && size.0 > 0 { Ok((done.0.min(size.0), size.0)) } else { Err(of) }
    };
    let part = part(Absence::NotSupported);
    let percent = part
        .clone()
        .and_then(|(done, size)| Percent::of(done as f64, size as f64).ok_or(Absence::NotSupported));
    let left = match (&part, &rate) {
        (Ok((done, size)), Ok(rate)) if rate.0 > 0.0 => {
            let seconds = (size - done) as f64 / rate.0;
            Duration::try_from_secs_f64(seconds).map_err(|_endless| Absence::NotSupported)
        }
        (Err(absence), _) | (_, Err(absence)) => Err(absence.clone()),
        _ => Err(Absence::NotSupported),
    };
    ModelLoad { usage, rate, source, done: percent, left }
}

/// How fast it reads: by what of the model it has reached, else by what the process reads in all. Direct and
/// positioned reads (`O_DIRECT`, `pread`) move no file position.
fn rate(before: &ModelUse, now: &ModelUse) -> (Reading<BytesPerSecond>, RateSource) {
    let seconds = before.at_since(now.at);
    let rose = |old: &Reading<crate::units::Bytes>, new: &Reading<crate::units::Bytes>| {
        new.as_ref().ok()?.0.checked_sub(old.as_ref().ok()?.0)
    };
    let per_second = |bytes: u64| BytesPerSecond::new(bytes as f64 / seconds).ok_or(Absence::NotSupported);
    let same_files = before.files == now.files && before.access == now.access;
    let reached = match now.access {
        ModelAccess::Open => rose(&before.position, &now.position),
        ModelAccess::Mapped => rose(&before.resident, &now.resident),
    };
    let of_access = match now.access {
        ModelAccess::Open => RateSource::Position,
        ModelAccess::Mapped => RateSource::Resident,
    };
    match (reached.filter(|_| same_files), rose(&before.read, &now.read)) {
        (Some(bytes), _) if bytes > 0 => (per_second(bytes), of_access),
        // What a mapping reads is no read of the process.
        (_, Some(bytes)) if now.access == ModelAccess::Open => (per_second(bytes), RateSource::Process),
        (Some(bytes), _) => (per_second(bytes), of_access),
        (None, _) => (Err(Absence::InsufficientHistory { seen_seconds: seconds as f32 }), of_access),
    }
}

impl ModelUse {
    /// Seconds from this look to a later one; never 0.
    fn at_since(&self, later: Mono) -> f64 {
        later.since(self.at).as_secs_f64().max(1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn usage(at: u64, access: ModelAccess, done: u64, read: u64) -> ModelUse {
        let done = Ok(Bytes(done));
        let none = || Err(Absence::NotRequested);
        let (position, resident) = match access {
            ModelAccess::Open => (done, none()),
            ModelAccess::Mapped => (none(), done),
        };
        ModelUse {
            key: ProcessKey { pid: 4_711, start: 1 },
            at: Mono(at * 1_000_000),
            path: "/models/a".into(),
            name: "a".into(),
            access,
            files: 1,
            files_of_model: Ok(1),
            size: Ok(Bytes(10_000)),
            position,
            resident,
            read: Ok(Bytes(read)),
            mount: Ok("rpool/ai/models".into()),
        }
    }

    fn push(fold: &mut LoadFold, at: u64, list: Vec<ModelUse>) -> Vec<ModelLoad> {
        fold.push(Some(Grouped { at: Mono(at * 1_000_000), value: list })).to_vec()
    }

    #[test]
    fn a_position_gives_rate_part_and_time_left() {
        let mut fold = LoadFold::default();
        let first = push(&mut fold, 1, vec![usage(1, ModelAccess::Open, 1_000, 0)]);
        assert!(first[0].rate.is_err());
        assert_eq!(first[0].done, Ok(Percent(10.0)));
        let second = push(&mut fold, 3, vec![usage(3, ModelAccess::Open, 5_000, 9_000)]);
        assert_eq!(
            (second[0].rate.clone(), second[0].source),
            (Ok(BytesPerSecond(2_000.0)), RateSource::Position)
        );
        assert_eq!(second[0].left, Ok(Duration::from_millis(2_500)));
        // Handed over again: the rate stays, and is no zero.
        let again = push(&mut fold, 4, vec![usage(3, ModelAccess::Open, 5_000, 9_000)]);
        assert_eq!(again[0].rate, Ok(BytesPerSecond(2_000.0)));
        assert!(push(&mut fold, 5, Vec::new()).is_empty());
        // A sample without the group keeps what was known.
        push(&mut fold, 6, vec![usage(6, ModelAccess::Open, 5_000, 9_000)]);
        assert_eq!(fold.push(None).len(), 1);
    }

    #[test]
    fn reads_that_move_no_position_give_the_rate_alone() {
        let mut fold = LoadFold::default();
        let part = |at, read| ModelUse { files_of_model: Ok(4), ..usage(at, ModelAccess::Open, 0, read) };
        push(&mut fold, 1, vec![part(1, 0)]);
        let load = push(&mut fold, 2, vec![part(2, 7_000)]).remove(0);
        assert_eq!((load.rate, load.source), (Ok(BytesPerSecond(7_000.0)), RateSource::Process));
        assert!(load.done.is_err() && load.left.is_err(), "one file of four says nothing of the whole");
    }

    #[test]
    fn a_mapping_that_grows_is_being_loaded_and_one_that_stands_is_not() {
        let mut fold = LoadFold::default();
        push(&mut fold, 0, vec![usage(0, ModelAccess::Mapped, 0, 0)]);
        let load = push(&mut fold, 10, vec![usage(10, ModelAccess::Mapped, 5_000, 0)]).remove(0);
        assert_eq!((load.rate, load.source), (Ok(BytesPerSecond(500.0)), RateSource::Resident));
        let load = push(&mut fold, 20, vec![usage(20, ModelAccess::Mapped, 5_000, 99_999)]).remove(0);
        assert_eq!(load.rate, Ok(BytesPerSecond(0.0)));
        assert!(!load.loading());
    }
}
