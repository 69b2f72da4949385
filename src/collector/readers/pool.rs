//! Which thread reads which GPU.

use crate::units::Mono;
use std::time::Duration;

/// A thread that is in one GPU for so long keeps that one only. The longest round of a GPU takes some 55 ms: 40 for the
/// states and errors of 18 links (two H200), 10 for the slow groups, 5 for all else.
pub(crate) const RELIEVE_AFTER: Duration = Duration::from_millis(80);
/// A GPU that was read apart goes back to the others when it has been prompt for so long.
const PROMPT_FOR: Duration = Duration::from_secs(60);

/// Items, each the task of one thread. Threads are numbered from 1.
pub(super) struct Pool<T> {
    places: Vec<Place<T>>,
    /// The thread that reads all that nobody else has.
    lead: u64,
    /// The newest thread.
    newest: u64,
}

struct Place<T> {
    /// Whose task it is.
    thread: u64,
    /// The item, while nobody has it.
    item: Option<T>,
    /// When it was taken last.
    taken: Mono,
    /// When it was given back late last.
    late: Option<Mono>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { places: Vec::new(), lead: 0, newest: 0 }
    }
}

impl<T> Pool<T> {
    /// Adds an item to the lead's task; gives the lead's number if it is to be started.
    pub(super) fn add(&mut self, item: T) -> Option<u64> {
        let first = self.newest == 0;
        if first {
            (self.lead, self.newest) = (1, 1);
        }
        self.places.push(Place { thread: self.lead, item: Some(item), taken: Mono(0), late: None });
        first.then_some(self.lead)
    }

    /// Takes the first item of `thread`'s task at place `from` or behind it, which nobody else has now.
    pub(super) fn take(&mut self, from: usize, thread: u64, now: Mono) -> Option<(usize, T)> {
        let behind = self.places.iter_mut().enumerate().skip(from);
        behind.filter(|(_, place)| place.thread == thread).find_map(|(number, place)| {
            let item = place.item.take()?;
            place.taken = now;
            Some((number, item))
        })
    }

    /// Gives the item of a place back.
    pub(super) fn give_back(&mut self, place: usize, item: T, now: Mono) {
        let lead = self.lead;
        let Some(place) = self.places.get_mut(place) else { return };
        place.item = Some(item);
        if now.since(place.taken) >= RELIEVE_AFTER {
            place.late = Some(now);
        } else if place.late.is_none_or(|late| now.since(late) >= PROMPT_FOR) {
            place.thread = lead;
        }
    }

    /// Whether `thread` has anything to do, or may get it.
    pub(super) fn needs(&self, thread: u64) -> bool {
        thread == self.lead || self.places.iter().any(|place| place.thread == thread)
    }

    /// Leaves threads that are in one item for too long alone with it, and hands the others of their task to new
    /// ones. Gives the old and the new of each, which are to be started.
    pub(super) fn relieve(&mut self, now: Mono) -> Vec<(u64, u64)> {
        let stuck = |place: &&Place<T>| place.item.is_none() && now.since(place.taken) >= RELIEVE_AFTER;
        let threads: Vec<u64> = self.places.iter().filter(stuck).map(|place| place.thread).collect();
        let mut relieved = Vec::new();
        for thread in threads {
            if self.places.iter().filter(|place| place.thread == thread).count() > 1 {
                self.newest += 1;
                self.hand_over(thread, self.newest);
                relieved.push((thread, self.newest));
            }
        }
        relieved
    }

    /// Makes what nobody has of `old`'s task `new`'s.
    pub(super) fn hand_over(&mut self, old: u64, new: u64) {
        for place in self.places.iter_mut().filter(|place| place.thread == old && place.item.is_some()) {
            place.thread = new;
        }
        if self.lead == old {
            self.lead = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Mono {
        Mono(1_000_000 + ms * 1_000)
    }

    fn pool_of(items: &[&'static str]) -> Pool<&'static str> {
        let mut pool = Pool::default();
        for (number, item) in items.iter().enumerate() {
            assert_eq!(pool.add(*item), (number == 0).then_some(1), "the first one needs a thread");
        }
        pool
    }

    /// What `thread` reads in one go, each item promptly.
    fn reads(pool: &mut Pool<&'static str>, thread: u64, now: Mono) -> Vec<&'static str> {
        let (mut from, mut read) = (0, Vec::new());
        while let Some((place, item)) = pool.take(from, thread, now) {
            read.push(item);
            pool.give_back(place, item, now);
            from = place + 1;
        }
        read
    }

    #[test]
    fn the_lead_reads_all_in_turn() {
        let mut pool = pool_of(&["a", "b", "c"]);
        assert_eq!(reads(&mut pool, 1, ms(0)), ["a", "b", "c"]);
        assert_eq!(pool.relieve(ms(10_000)), [], "nobody is stuck who has given back");
    }

    #[test]
    fn the_others_of_one_that_does_not_answer_get_a_thread_of_their_own() {
        let mut pool = pool_of(&["a", "b", "c"]);
        let (place, stuck) = pool.take(1, 1, ms(0)).unwrap();
        assert_eq!(stuck, "b");
        assert_eq!(pool.relieve(ms(79)), [], "not before its time");
        assert_eq!(pool.relieve(ms(80)), [(1, 2)]);
        assert_eq!(pool.relieve(ms(10_000)), [], "once");
        assert_eq!(reads(&mut pool, 2, ms(90)), ["a", "c"]);
        pool.add("d");
        assert_eq!(reads(&mut pool, 2, ms(100)), ["a", "c", "d"], "what comes later is the new lead's");
        // It answers after all: read apart, until it has been prompt for a minute.
        pool.give_back(place, stuck, ms(5_000));
        assert!(pool.needs(1));
        assert_eq!(reads(&mut pool, 1, ms(6_000)), ["b"]);
        assert_eq!(reads(&mut pool, 1, ms(65_001)), ["b"]);
        assert!(!pool.needs(1), "the thread ends");
        assert_eq!(reads(&mut pool, 2, ms(65_100)), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_library_that_blocks_takes_one_thread_after_the_other_and_none_twice() {
        let mut pool = pool_of(&["a", "b", "c"]);
        assert_eq!(pool.take(0, 1, ms(0)).unwrap().1, "a");
        assert_eq!(pool.relieve(ms(100)), [(1, 2)]);
        assert_eq!(pool.take(0, 2, ms(100)).unwrap().1, "b");
        assert_eq!(pool.relieve(ms(200)), [(2, 3)]);
        assert_eq!(pool.take(0, 3, ms(200)).unwrap().1, "c");
        assert_eq!(pool.relieve(ms(60_000)), [], "nothing is left to be handed over");
        assert!(pool.needs(3));
    }

    #[test]
    fn where_no_thread_can_be_started_they_wait() {
        let mut pool = pool_of(&["a", "b"]);
        let (place, stuck) = pool.take(0, 1, ms(0)).unwrap();
        assert_eq!(pool.relieve(ms(100)), [(1, 2)]);
        pool.hand_over(2, 1);
        pool.give_back(place, stuck, ms(9_000));
        assert_eq!(reads(&mut pool, 1, ms(9_100)), ["a", "b"]);
        assert!(!pool.needs(2));
    }
}
