use super::*;
use crate::units::Wall;
use std::cell::Cell;
use std::collections::BTreeSet;

thread_local! { static NOW: Cell<u64> = const { Cell::new(0) }; }

fn clock() -> Clock {
    Clock { mono: || Mono(NOW.get()), wall: || Wall(0) }
}

#[test]
fn names_are_unique_symbols() {
    let names: BTreeSet<_> = CallId::ALL.iter().map(|id| id.name()).collect();
    assert_eq!(names.len(), CallId::ALL.len());
    assert!(names.iter().all(|name| name.starts_with("nvml") && !name.contains(' ')));
}

#[test]
fn numbers_fit_the_slot_and_index_the_table() {
    assert!(CallId::ALL.len() < 255, "the call's number shares a word with the time");
    for (number, id) in CallId::ALL.iter().enumerate() {
        assert_eq!(*id as usize, number);
    }
}

#[test]
fn every_tier_of_the_table_has_calls() {
    let tiers: BTreeSet<_> = CallId::ALL.iter().map(|id| id.tier()).collect();
    let all = [
        Tier::Once,
        Tier::TenHertz,
        Tier::Interval,
        Tier::Buffers,
        Tier::Demand,
        Tier::Slow,
        Tier::Shown,
        Tier::Waits,
        Tier::Action,
    ];
    assert_eq!(tiers, all.into_iter().collect());
}

#[test]
fn dear_calls_are_in_no_fast_tier() {
    for id in CallId::ALL {
        let most = match id.tier() {
            Tier::TenHertz => 10,
            Tier::Interval => 100,
            Tier::Buffers | Tier::Demand => 2_500,
            Tier::Slow => 4_000,
            Tier::Once | Tier::Shown | Tier::Waits | Tier::Action => 50_000,
        };
        assert!(id.measured_us() <= most, "{} costs {} µs", id.name(), id.measured_us());
    }
    assert_eq!(CallId::PcieThroughput.tier(), Tier::Shown);
    assert_eq!(CallId::MaxClock.tier(), Tier::Once);
}

#[test]
fn the_slot_shows_the_running_call_and_its_entry() {
    NOW.set(5_000_000);
    let caller = Caller::new(clock());
    let slot = caller.slot();
    assert_eq!(slot.current(), None);
    assert_eq!(slot.thread_id(), None);
    let answer = caller.call(CallId::PowerUsage, || {
        assert_eq!(slot.current(), Some((CallId::PowerUsage, Mono(5_000_000))));
        NOW.set(5_000_300);
        7
    });
    assert_eq!(answer, 7);
    assert_eq!(slot.current(), None);
    assert!(slot.thread_id().is_some_and(|id| id > 0));
}

#[test]
fn the_first_and_the_last_call_are_told_apart_from_none() {
    NOW.set(0);
    let caller = Caller::new(clock());
    let slot = caller.slot();
    for id in [CallId::Init, CallId::PcieThroughput] {
        caller.call(id, || assert_eq!(slot.current(), Some((id, Mono(0)))));
    }
}

#[test]
fn latencies_add_up() {
    NOW.set(0);
    let caller = Caller::new(clock());
    for micros in [10, 30, 20] {
        caller.call(CallId::GpmMetrics, || NOW.set(NOW.get() + micros));
    }
    caller.call(CallId::Name, || NOW.set(NOW.get() + 5));
    let slot = caller.slot();
    assert_eq!(slot.latencies(), vec![(CallId::Name, 1, 5, 5), (CallId::GpmMetrics, 3, 60, 30)]);
    assert_eq!((slot.calls(), slot.call_ns()), (4, 65_000));
}
