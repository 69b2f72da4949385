//! The stream's format: what is written is read back, and nothing that is read can break the reader.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "stream/arbitrary.rs"]
mod arbitrary;

use arbitrary::{Arbitrary, Bytewise};
use kgtop::model::*;
use kgtop::stream::{self, DecodeError};
use kgtop::units::*;
use proptest::prelude::*;

fn encoded(record: &Record) -> String {
    let mut line = String::new();
    stream::encode(record, &mut line);
    line
}

proptest! {
    #[test]
    fn every_record_survives(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let record = Record::arbitrary(&mut Bytewise::new(&bytes));
        let line = encoded(&record);
        prop_assert!(line.ends_with('\n') && !line.trim_end().contains('\n'));
        prop_assert_eq!(stream::decode(&line), Ok(Some(record)));
    }

    #[test]
    fn no_text_breaks_the_decoder(text in ".*") {
        let _ = stream::decode(&text);
    }

    #[test]
    fn no_change_of_a_byte_breaks_the_decoder(
        bytes in prop::collection::vec(any::<u8>(), 0..1_500),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut line = encoded(&Record::arbitrary(&mut Bytewise::new(&bytes))).into_bytes();
        let at = at.index(line.len());
        line[at] = to;
        if let Ok(Some(record)) = stream::decode(&String::from_utf8_lossy(&line)) {
            // Whatever was understood is again a record.
            prop_assert!(stream::decode(&encoded(&record)).is_ok());
        }
    }
}

#[test]
fn version_1_decodes_and_encodes_to_the_same_bytes_for_ever() {
    // Members that came later stand in files of their own: the bytes of the first never change.
    let golden = concat!(
        include_str!("golden/v1.jsonl"),
        include_str!("golden/v1-host-files.jsonl"),
        include_str!("golden/v1-storage.jsonl"),
        include_str!("golden/v1-models.jsonl"),
        include_str!("golden/v1-refusal.jsonl"),
        include_str!("golden/v1-model-parts.jsonl"),
    );
    let mut kinds = std::collections::BTreeSet::new();
    for (number, line) in golden.split_inclusive('\n').enumerate() {
        let record = stream::decode(line).unwrap().unwrap();
        kinds.insert(line.split('"').nth(3));
        assert_eq!(encoded(&record), line, "line {}", number + 1);
    }
    assert_eq!(kinds.len(), 8, "{kinds:?}");
    for (object, members) in stream::objects() {
        for member in members {
            assert!(golden.contains(&format!("\"{member}\":")), "{object}.{member} is in no golden line");
        }
    }
}

#[test]
fn every_member_is_documented() {
    let documentation = include_str!("../docs/stream-format.md");
    for (object, members) in stream::objects() {
        for member in members {
            assert!(documentation.contains(&format!("`{member}`")), "{object}.{member} is not documented");
        }
    }
    for kind in [
        "header",
        "inventory",
        "sample",
        "event",
        "call_stuck",
        "gap",
        "bye",
        "demand",
        "snapshots",
        "list_snapshots",
    ] {
        assert!(documentation.contains(&format!("`{kind}`")), "{kind} is not documented");
    }
    for absence in [
        "not_supported",
        "no_permission",
        "not_requested",
        "asleep",
        "lost",
        "failed",
        "insufficient_history",
    ] {
        assert!(documentation.contains(&format!("`{absence}`")), "{absence} is not documented");
    }
}

fn decoded(line: &str) -> Record {
    stream::decode(line).unwrap().unwrap()
}

const SAMPLE: &str = r#"{"kind":"sample","sequence":1,"mono_us":2,"wall_us":3,"gpus":[{"id":"GPU-1","state":"ok","live":{"at_us":2,LIVE}}]}"#;

fn live(members: &str) -> Live {
    let Record::Sample(sample) = decoded(&SAMPLE.replace("LIVE", members)) else { panic!() };
    sample.gpus[0].live.clone().unwrap().value
}

#[test]
fn what_is_no_number_is_an_absent_reading_and_never_zero() {
    let not_a_number = Err(Absence::failed(0, "not a number"));
    for text in ["NaN", "nan", "null", "-Infinity", "1e999", "\"12\"", "[]", "true"] {
        let live = live(&format!("\"temperature_celsius\":{text},\"power_limit_watts\":700"));
        assert_eq!(live.temperature, not_a_number, "{text}");
        assert_eq!(live.power_limit, Ok(Watts(700.0)), "{text}");
    }
    for text in ["-1", "1.5", "5000000000", "NaN"] {
        let live = live(&format!("\"memory_clock_mhz\":{text}"));
        assert_eq!(live.memory_clock, Err(Absence::failed(0, "not a number")), "{text}");
    }
    // One that a writer was handed all the same is written as none.
    let mut sample = GpuSample::new(GpuId("GPU-1".into()), GpuState::Ok);
    let value = Live { temperature: Ok(Celsius(f32::NAN)), ..Live::default() };
    sample.live = Some(Grouped { at: Mono(1), value });
    let record = Record::Sample(Box::new(Sample { gpus: vec![sample], ..Sample::default() }));
    let Record::Sample(sample) = decoded(&encoded(&record)) else { panic!() };
    assert_eq!(sample.gpus[0].live.as_ref().unwrap().value.temperature, not_a_number);
}

#[test]
fn a_missing_member_was_not_requested_and_is_not_written() {
    let live = live("\"fan_percent\":{\"absent\":\"not_supported\"},\"from_the_future\":[{}]");
    assert_eq!(live.temperature, Err(Absence::NotRequested));
    assert_eq!(live.fan, Err(Absence::NotSupported));
    let mut gpu = GpuSample::new(GpuId("GPU-1".into()), GpuState::Ok);
    gpu.live = Some(Grouped { at: Mono(2), value: live });
    let sample = Sample { sequence: 1, mono: Mono(2), wall: Wall(3), gpus: vec![gpu], ..Sample::default() };
    let line = encoded(&Record::Sample(Box::new(sample)));
    assert!(line.contains(r#""live":{"at_us":2,"fan_percent":{"absent":"not_supported"}}"#), "{line}");
    assert!(!line.contains("temperature"), "{line}");
}

#[test]
fn reasons_travel_with_their_detail() {
    let read = |text: &str| live(&format!("\"fan_percent\":{text}")).fan;
    assert_eq!(
        read(r#"{"absent":"failed","code":999,"detail":"Unknown Error"}"#),
        Err(Absence::failed(999, "Unknown Error"))
    );
    assert_eq!(read(r#"{"absent":"no_permission","detail":"x"}"#), Err(Absence::NoPermission));
    assert_eq!(read(r#"{"absent":"on_holiday"}"#), Err(Absence::failed(0, "on_holiday")));
    assert_eq!(read(r#"{"absent":7}"#), Err(Absence::failed(0, "unknown reason")));
}

#[test]
fn a_newer_major_version_says_what_it_needs() {
    let line = r#"{"kind":"header","format":3,"kgtop":"4.1.0","nothing":"else"}"#;
    let error = stream::decode(line).unwrap_err();
    assert_eq!(error, DecodeError::NewerFormat { found: 3, written_by: "4.1.0".into() });
    let text = error.to_string();
    assert!(
        text.contains("format version 3") && text.contains("up to 1") && text.contains("kgtop 4.1.0"),
        "{text}"
    );
}

#[test]
fn unknown_kinds_are_skipped_and_broken_records_name_their_member() {
    assert_eq!(stream::decode(r#"{"kind":"weather","gpus":7}"#), Ok(None));
    assert_eq!(stream::decode("  \r\n"), Ok(None));
    assert!(matches!(stream::decode("[]"), Err(DecodeError::NotJson(_))));
    assert!(matches!(stream::decode(r#"{"kind":7}"#), Err(DecodeError::NotJson(_))));
    let error = stream::decode(r#"{"kind":"gap"}"#).unwrap_err();
    assert_eq!(error.to_string(), "gap record: \"missed\" is not there");
    let error = stream::decode(r#"{"kind":"bye","reason":"x","restart":"yes"}"#).unwrap_err();
    assert_eq!(error.to_string(), "bye record: \"restart\" is not true or false");
    let error = stream::decode(&SAMPLE.replace("LIVE", "\"x\":1").replace("\"ok\"", "7")).unwrap_err();
    assert!(error.to_string().contains("\"state\" is not one of ok stalled lost"), "{error}");
}

#[test]
fn a_state_of_a_newer_writer_costs_no_sample() {
    let mut sample = Sample::default();
    sample.gpus.push(GpuSample::new(GpuId("GPU-1".into()), GpuState::Lost));
    sample.gpus.push(GpuSample::new(GpuId("GPU-2".into()), GpuState::Ok));
    let source = SourceStatus { name: "nvml".into(), state: SourceState::Unavailable, reason: "why".into() };
    sample.sources.push(source.clone());
    let line = encoded(&Record::Sample(Box::new(sample)));
    let newer = line.replace("\"lost\"", "\"resetting\"").replace("\"unavailable\"", "\"throttled\"");
    assert_ne!(line, newer);
    let Record::Sample(read) = decoded(newer.trim_end()) else { panic!("no sample") };
    assert_eq!(read.gpus[0].state, GpuState::Unknown);
    assert_eq!(read.gpus[1].state, GpuState::Ok);
    assert_eq!(read.sources, [SourceStatus { state: SourceState::Degraded, ..source }]);
}

#[test]
fn the_reader_goes_on_over_bad_lines_and_tells_where_they_are() {
    let gap = "{\"kind\":\"gap\",\"missed\":7}\n";
    let mut bytes = Vec::new();
    for piece in [
        gap.as_bytes(),
        b"\xff\xfe\n",
        b"{\"kind\":\"new\"}\n",
        b"nonsense\n",
        gap.as_bytes(),
        b"{\"kind\":\"ga",
    ] {
        bytes.extend_from_slice(piece);
    }
    for size in [1, 3, 1_000] {
        let results: Vec<_> =
            stream::Reader::new(std::io::BufReader::with_capacity(size, bytes.as_slice())).collect();
        let told: Vec<String> = results
            .iter()
            .map(|result| match result {
                Ok(_) => "record".into(),
                Err(error) => error.to_string(),
            })
            .collect();
        assert_eq!(told[0], "record");
        assert_eq!(told[1], "line 2 (byte 26): not UTF-8");
        assert!(told[2].starts_with("line 4 (byte 44): not a JSON object"), "{}", told[2]);
        assert_eq!(told[3], "record");
        assert_eq!(told[4], "line 6 (byte 79): the last line is cut off after 11 bytes");
        assert_eq!(told.len(), 5, "{told:?}");
    }
}

#[test]
fn a_last_line_without_its_end_is_taken_if_it_is_whole() {
    let line = b"{\"kind\":\"gap\",\"missed\":7}";
    let results: Vec<_> = stream::Reader::new(&line[..]).collect();
    assert!(matches!(results[..], [Ok(Record::Gap(Gap { missed: 7 }))]));
}

#[test]
fn an_endless_line_costs_itself_and_no_memory() {
    let mut decoder = stream::Decoder::new();
    let piece = vec![b'x'; 1 << 20];
    let mut refused = 0;
    for _ in 0..40 {
        decoder.push(&piece);
        while let Some(result) = decoder.next_record() {
            assert!(matches!(result, Err(stream::ReadError::TooLong { .. })));
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    decoder.push(b"\n{\"kind\":\"gap\",\"missed\":7}\n");
    assert!(matches!(decoder.next_record(), Some(Ok(Record::Gap(_)))));
    assert_eq!(decoder.place(), stream::Place { line: 3, offset: (40 << 20) + 27 });
}
