use super::*;

fn calendar() -> Calendar {
    // 2026-11-24T12:00:00Z
    Calendar { zone: TimeZone::UTC, now: Wall(1_795_521_600_000_000) }
}

fn text(line: &str) -> (String, bool) {
    let split = split(line.as_bytes());
    (String::from_utf8_lossy(split.text).into_owned(), split.user_space)
}

#[test]
fn every_stamp_leaves_the_message() {
    for line in [
        "[ 1234.567890] NVRM: hello",
        "[ 1234.567890][  T512] NVRM: hello",
        "<4>[ 1234.567890] NVRM: hello\r",
        "[Tue Nov 24 04:45:11 2026] NVRM: hello",
        "Nov 24 04:45:11 rig-07 kernel: NVRM: hello",
        "Nov  4 04:45:11.123456 rig-07 kernel: NVRM: hello",
        "Nov 24 04:45:11 rig-07 kernel: [ 1234.567890] NVRM: hello",
        "2026-11-24T04:45:11+0000 rig-07 kernel: NVRM: hello",
        "2026-11-24T04:45:11.123456+00:00 rig-07 kernel: [1234.567890] NVRM: hello",
        "2026-11-24T04:45:11,123456+00:00 NVRM: hello",
        "Tue 2026-11-24 04:45:11 UTC rig-07 kernel: NVRM: hello",
        "[ 1234.567890] rig-07 kernel: NVRM: hello",
        "4,1234,1234567890,-;NVRM: hello",
        "[  +0.000003] NVRM: hello",
        "[Nov24 10:00] NVRM: hello",
        "kern  :err   : [ 1234.567890] NVRM: hello",
        "kern  :warn  : [Tue Nov 24 04:45:11 2026] NVRM: hello",
        "kern  :info  : [  +0.000003] NVRM: hello",
        "kern  :debug : NVRM: hello",
        "NVRM: hello",
    ] {
        assert_eq!(text(line), ("NVRM: hello".to_owned(), false), "{line}");
    }
}

#[test]
fn what_a_program_wrote_is_told_from_the_kernel() {
    for line in [
        "Nov 24 04:45:11 rig-07 trainer[512]: NVRM: hello",
        "2026-11-24T04:45:11+00:00 rig-07 logger: NVRM: hello",
        "[ 1234.567890] rig-07 trainer[512]: NVRM: hello",
        "user  :notice: [ 1234.567890] NVRM: hello",
        "local0:info  : [ 1234.567890] NVRM: hello",
    ] {
        assert_eq!(text(line), ("NVRM: hello".to_owned(), true), "{line}");
    }
}

#[test]
fn a_level_by_its_name_is_a_priority() {
    assert_eq!(split(b"kern  :crit  : [    1.000000] text").priority, Some(&b"2"[..]));
    for other in ["kern  :loud  : [ 1.0] text", "nvme nvme0: err: text", "kern:err:text"] {
        let split = split(other.as_bytes());
        assert_eq!((split.priority, split.text), (None, other.as_bytes()), "{other}");
    }
}

#[test]
fn stamps_are_times() {
    let calendar = calendar();
    let expected = "2026-11-24T04:45:11Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
    for stamp in [
        "Tue Nov 24 04:45:11 2026",
        "Nov 24 04:45:11",
        "2026-11-24T04:45:11+0000",
        "2026-11-24T04:45:11,000000+00:00",
        "2026-11-24T04:45:11.000000Z",
        "Tue 2026-11-24 04:45:11 UTC",
    ] {
        assert_eq!(wall(stamp.as_bytes(), &calendar), Some(Wall(expected)), "{stamp}");
    }
    let last_year = wall(b"Dec 24 04:45:11", &calendar).unwrap();
    assert!(last_year.0 < expected, "a stamp without a year is never in the future");
    assert_eq!(mono(b"1234.567890"), Some(Mono(1_234_567_890)));
    assert_eq!(mono(b"99999999999999999999.0"), None);
}
