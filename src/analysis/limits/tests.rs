use super::*;
use crate::model::{
    Absence, Band, ClockEvents, Deriver, Fast, GpuInfo, GpuSample, GpuState, Grouped, Inventory, Live,
    Record, Sample,
};
use crate::units::{Megahertz, Mono, Wall};

fn gpu(events: ClockEvents, change: impl FnOnce(&mut GpuInfo, &mut Fast, &mut Live)) -> Gpu {
    let at = Mono(5_000_000);
    let mut info = GpuInfo {
        uuid: Ok("GPU-1".into()),
        supported_clock_events: Ok(0x1ff),
        max_sm_clock: Ok(Megahertz(1_980)),
        default_power_limit: Ok(Watts(700.0)),
        min_power_limit: Ok(Watts(200.0)),
        ..GpuInfo::default()
    };
    let band = |mean| Ok(Band { min: mean, mean, max: mean });
    let mut fast = Fast {
        power: band(690.0),
        sm_clock: band(1_620.0),
        utilization: band(98.0),
        clock_events: Ok(events),
        ..Fast::default()
    };
    let mut live = Live {
        power_limit: Ok(Watts(700.0)),
        temperature: Ok(Celsius(60.0)),
        memory_temperature: Ok(Celsius(70.0)),
        ..Live::default()
    };
    change(&mut info, &mut fast, &mut live);
    let mut sample = GpuSample::new(info.id(), GpuState::Ok);
    sample.fast = Some(Grouped { at, value: fast });
    sample.live = Some(Grouped { at, value: live });
    let mut deriver = Deriver::new();
    deriver.push(Record::Inventory(Box::new(Inventory { gpus: vec![info], ..Inventory::default() })));
    let sample = Sample { sequence: 1, mono: at, wall: Wall(0), gpus: vec![sample], ..Sample::default() };
    deriver.push(Record::Sample(Box::new(sample))).unwrap().gpus.remove(0)
}

const fn mask(bits: u64) -> ClockEvents {
    ClockEvents { last: bits, any: bits, all: bits }
}

#[test]
fn bits_outside_the_supported_mask_are_unknown_not_false() {
    let held = gpu(ClockEvents { last: 4, any: 0x24, all: 4 }, |_, _, _| {});
    let states = reasons(&held);
    let holds = |name: &str| states.iter().find(|state| state.reason.name == name).unwrap().holds;
    assert_eq!(holds("sw_power_cap"), Holds::Yes);
    assert_eq!(holds("sw_thermal_slowdown"), Holds::Partly);
    assert_eq!(holds("hw_thermal_slowdown"), Holds::No);
    assert_eq!(holds("board_limit"), Holds::Unknown);
    assert_eq!(states.last().unwrap().holds, Holds::Unknown);
    // A bit that is set is set, whatever the mask says.
    let odd = gpu(mask(0x200), |_, _, _| {});
    let state = reasons(&odd).into_iter().find(|state| state.reason.name == "board_limit").unwrap().holds;
    assert_eq!(state, Holds::Yes);
    let unread = gpu(mask(0), |_, fast, _| fast.clock_events = Err(Absence::NoPermission));
    assert!(reasons(&unread).iter().all(|state| state.holds == Holds::Unknown));
}

#[test]
fn a_power_cap_alone_is_information() {
    let capped = gpu(mask(SW_POWER_CAP), |_, _, _| {});
    assert!(advice(&capped).iter().all(|(severity, _)| *severity == Severity::Info));
    let hot = gpu(mask(SW_POWER_CAP | 0x40), |_, _, _| {});
    assert_eq!(advice(&hot).first().unwrap().0, Severity::Critical);
    assert_eq!(explained(&capped).unwrap(), "held by sw_power_cap (normal under load)");
    assert_eq!(power_headroom(&capped), Some(Watts(10.0)));
}

#[test]
fn low_clocks_that_nothing_explains_are_told_and_those_of_an_idle_gpu_are_not() {
    let locked = gpu(mask(0), |_, _, _| {});
    assert!(advice(&locked).iter().any(|(_, text)| text.contains("locked clocks")));
    let idle = gpu(mask(0), |_, fast, _| fast.utilization = Ok(Band::default()));
    assert!(advice(&idle).is_empty());
    let full = gpu(mask(0), |_, fast, _| fast.sm_clock = Ok(Band { min: 1e3, mean: 1_980.0, max: 2e3 }));
    assert!(advice(&full).is_empty());
}

#[test]
fn a_lowered_cap_names_its_price() {
    let lowered = gpu(mask(SW_POWER_CAP), |_, _, live| live.power_limit = Ok(Watts(560.0)));
    let said = advice(&lowered);
    assert!(said[0].1.contains("80 % of its default") && said[0].1.contains("3 to 5 %"), "{said:?}");
}

#[test]
fn thresholds_in_both_forms() {
    let both = gpu(mask(0), |info, _, live| {
        info.thresholds = Ok(Thresholds {
            slowdown: Ok(Celsius(89.0)),
            slowdown_limit: Ok(Celsius(-2.0)),
            memory_max: Ok(Celsius(95.0)),
            gpu_max_limit: Ok(Celsius(0.0)),
            ..Thresholds::default()
        });
        live.temperature_margin = Ok(Celsius(27.0));
    });
    let left: Vec<_> = thresholds(&both).iter().map(|state| (state.name, state.left)).collect();
    // By the margin where there is one: 27 degrees to 0, and the slowdown acts at −2.
    assert_eq!(
        left,
        [("max operating", Some(27.0)), ("memory max", Some(25.0)), ("HW slowdown", Some(29.0))]
    );
    let old = gpu(mask(0), |info, _, _| {
        info.thresholds = Ok(Thresholds { shutdown: Ok(Celsius(96.0)), ..Thresholds::default() });
    });
    assert_eq!(thresholds(&old).first().unwrap().left, Some(36.0));
}

#[test]
fn a_lane_tells_nothing_read_from_nothing_wrong() {
    let mut history = History::default();
    history.add_clock_events(Mono(10_000_000), mask(4));
    history.add_clock_events(Mono(11_000_000), mask(0));
    assert_eq!(lane(&history, 4, 10, 11), Lane::Full);
    assert_eq!(lane(&history, 4, 10, 12), Lane::Part);
    assert_eq!(lane(&history, 4, 11, 12), Lane::Clear);
    assert_eq!(lane(&history, 4, 12, 20), Lane::Empty);
}
