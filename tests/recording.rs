//! Recordings: what is written replays, damage costs what it hits, and a seek shows what straight play shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "support/doctor_tree.rs"]
mod doctor_tree;
#[path = "stream/rig.rs"]
mod rig;

use kgtop::model::*;
use kgtop::sources::recording::*;
use kgtop::stream;
use kgtop::units::*;
use rig::Rig;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

/// A sink with room for so many bytes.
struct Full {
    bytes: Vec<u8>,
    room: usize,
    cuts: bool,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RecordingSink for &mut Full {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        if !self.cuts {
            return Err(io::ErrorKind::NotSeekable.into());
        }
        self.bytes.truncate(length as usize);
        Ok(())
    }
}

fn roomy() -> Full {
    Full { bytes: Vec::new(), room: usize::MAX, cuts: true }
}

fn recorded(records: &[Record], redact: bool) -> Vec<u8> {
    let mut sink = roomy();
    let mut writer = RecordingWriter::new(&mut sink, Path::new("rec"), redact);
    for record in records {
        writer.write(record).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    sink.bytes
}

fn opened(bytes: Vec<u8>) -> RecordingReader {
    RecordingReader::from_data(Box::new(Cursor::new(bytes)), "rec").unwrap()
}

fn read(bytes: Vec<u8>) -> (Vec<Record>, Vec<Damage>) {
    let mut reader = opened(bytes);
    let records = std::iter::from_fn(|| reader.next_record()).collect();
    (records, reader.damage().to_vec())
}

fn text(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        stream::encode(record, &mut text);
    }
    text
}

fn samples(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record, Record::Sample(_))).count()
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_is_recorded_replays_and_each_block_stands_alone() {
    let records = Rig::new(2, 2).records(12);
    let bytes = recorded(&records, false);
    assert_eq!(read(bytes.clone()), (records.clone(), vec![]));
    let zcat = gunzip(&bytes);
    assert_eq!(zcat.matches("{\"kind\":\"header\"").count(), 3, "5 + 5 + 2 samples");
    assert_eq!(zcat.matches("{\"kind\":\"inventory\"").count(), 3);
    let span = opened(bytes.clone()).span();
    assert_eq!((span.samples, span.duration().as_secs_f64().round() as u64), (12, 11));
    assert_eq!(span.first_wall.0 / 1_000_000, rig::START_WALL / 1_000_000);
    // From any block on, everything needed is there.
    let mut reader = opened(bytes);
    reader.seek(reader.position_at(Rig::mono(7)));
    let rest: Vec<Record> = std::iter::from_fn(|| reader.next_record()).collect();
    assert!(matches!(rest[..3], [Record::Header(_), Record::Inventory(_), Record::Sample(_)]));
    assert_eq!(samples(&rest), 7);
}

#[test]
fn a_call_that_hangs_is_known_in_every_block_until_it_returns() {
    let mut records = Rig::new(1, 0).records(12);
    let mut call = StuckCall {
        gpu: None,
        call: "nvmlInit_v2".into(),
        since: Rig::mono(0),
        wait_channel: None,
        ended: false,
    };
    records.insert(3, Record::CallStuck(call.clone()));
    call.ended = true;
    records.insert(11, Record::CallStuck(call));
    let bytes = recorded(&records, false);
    assert_eq!(
        gunzip(&bytes).matches("\"ended\":false").count(),
        2,
        "once as it came, once at a block's start"
    );
    let mut deriver = Deriver::new();
    let (read, _) = read(bytes);
    let stuck: Vec<usize> =
        read.into_iter().filter_map(|record| deriver.push(record)).map(|shown| shown.stuck.len()).collect();
    assert_eq!(stuck, [0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
}

#[test]
fn plain_and_foreign_streams_replay_too() {
    let records = Rig::new(4, 4).records(120);
    let plain = text(&records);
    let (got, damage) = read(plain.clone().into_bytes());
    assert!(damage.is_empty());
    assert_eq!(got, records);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(plain.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(read(gzip.clone()).0, records);
    for bytes in [plain.into_bytes(), gzip.clone()] {
        let mut reader = opened(bytes);
        assert_eq!(reader.span().samples, 120);
        reader.seek(reader.position_at(Rig::mono(100)));
        let first = std::iter::from_fn(|| reader.next_record()).find_map(|record| match record {
            Record::Sample(sample) => Some(sample.sequence),
            _ => None,
        });
        assert!(first.is_some_and(|first| first > 1 && first <= 101), "{first:?}");
        reader.seek(reader.position_at(Rig::mono(0)));
        assert_eq!(reader.next_record().as_ref(), Some(&records[0]));
    }
    let (got, damage) = read(gzip[..gzip.len() * 2 / 3].to_vec());
    assert!(samples(&got) > 20 && samples(&got) < 120);
    assert!(damage[0].to_string().contains("cut off"), "{damage:?}");
}

#[test]
fn a_recording_cut_at_any_byte_replays_up_to_the_cut() {
    let records = Rig::new(1, 0).records(7);
    let bytes = recorded(&records, false);
    let mut most = 0;
    for cut in 0..bytes.len() {
        match RecordingReader::from_data(Box::new(Cursor::new(bytes[..cut].to_vec())), "rec") {
            Err(RecordingError::NotARecording { name, why }) => {
                assert_eq!(most, 0, "{cut}: {why}");
                assert_eq!(name, "rec");
            }
            Err(other) => panic!("{cut}: {other}"),
            Ok(mut reader) => {
                let got: Vec<Record> = std::iter::from_fn(|| reader.next_record()).collect();
                assert_eq!(got, records[..got.len()], "{cut}");
                assert!(samples(&got) >= most, "{cut}");
                most = samples(&got);
                let between_blocks = most.is_multiple_of(5) && reader.damage().is_empty();
                let told = reader.damage().iter().any(|damage| damage.why.contains("cut off"));
                assert!(between_blocks || told, "{cut}: {:?}", reader.damage());
                assert_eq!(reader.span().samples as usize, most, "{cut}");
            }
        }
    }
    assert!(most >= 5);
}

#[test]
fn a_plain_recording_cut_at_any_byte_replays_up_to_the_cut() {
    let records = Rig::new(1, 0).records(2);
    let bytes = text(&records).into_bytes();
    for cut in 1..bytes.len() {
        if let Ok(mut reader) =
            RecordingReader::from_data(Box::new(Cursor::new(bytes[..cut].to_vec())), "rec")
        {
            let got: Vec<Record> = std::iter::from_fn(|| reader.next_record()).collect();
            assert_eq!(got, records[..got.len()], "{cut}");
            let line_end = bytes[cut - 1] == b'\n' || bytes[cut] == b'\n';
            let place = bytes[..cut].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let told = reader.damage().first().map(|damage| damage.offset as usize);
            assert_eq!(told, (!line_end).then_some(place), "{cut}");
        }
    }
}

#[test]
fn a_flipped_bit_costs_its_block_and_is_told() {
    let records = Rig::new(1, 1).records(15);
    let bytes = recorded(&records, false);
    let second = bytes.windows(4).skip(1).position(|window| window == [0x1f, 0x8b, 8, 4]).unwrap() + 1;
    let mut broken = bytes;
    broken[second + 400] ^= 0x10;
    let (got, damage) = read(broken);
    let numbers: Vec<u64> = got
        .iter()
        .filter_map(|record| match record {
            Record::Sample(sample) => Some(sample.sequence),
            _ => None,
        })
        .collect();
    assert!(numbers.starts_with(&[1, 2, 3, 4, 5]) && numbers.ends_with(&[11, 12, 13, 14, 15]), "{numbers:?}");
    assert_eq!(damage[0].offset, second as u64);
    let told = damage[0].to_string();
    assert!(told.contains(&format!("byte {second}, after 2026-05-12T08:00:0")), "{told}");
}

#[test]
fn a_full_disk_keeps_what_was_saved_and_says_so() {
    let records = Rig::new(2, 2).records(30);
    let whole = recorded(&records, false).len();
    for (room, cuts) in [(whole / 2, true), (whole / 2, false), (10, true), (0, false)] {
        let mut sink = Full { bytes: Vec::new(), room, cuts };
        let mut writer = RecordingWriter::new(&mut sink, Path::new("/data/run.kgtop"), false);
        let error = records.iter().find_map(|record| writer.write(record).err()).unwrap().to_string();
        let saved = writer.saved();
        drop(writer);
        assert!(error.starts_with("/data/run.kgtop: "), "{error}");
        let samples_saved = saved.span.samples as usize;
        if samples_saved == 0 {
            assert!(error.ends_with("nothing was saved"), "{error}");
            continue;
        }
        assert!(error.contains(&format!("{samples_saved} samples over")), "{error}");
        assert_eq!(
            cuts,
            sink.bytes.len() as u64 == saved.bytes,
            "no piece of a block stays where it can be cut"
        );
        let (got, damage) = read(sink.bytes);
        assert!(samples(&got) >= samples_saved);
        assert_eq!(got, records[..got.len()]);
        assert_eq!(damage.is_empty(), cuts);
    }
}

#[test]
fn space_that_is_made_is_used() {
    let records = Rig::new(1, 0).records(30);
    let mut sink = roomy();
    sink.room = recorded(&records, false).len() / 2;
    let mut writer = RecordingWriter::new(&mut sink, Path::new("rec"), false);
    let failed = records.iter().position(|record| writer.write(record).is_err()).unwrap();
    drop(writer);
    // The sink is lent anew with more room, as a disk would have it.
    sink.room = usize::MAX;
    let before = samples(&read(sink.bytes.clone()).0);
    let mut writer = RecordingWriter::new(&mut sink, Path::new("rec"), false);
    for record in records[..2].iter().chain(&records[failed + 1..]) {
        writer.write(record).unwrap();
    }
    writer.flush().unwrap();
    drop(writer);
    let (got, damage) = read(sink.bytes);
    assert_eq!(samples(&got), before + samples(&records[failed + 1..]));
    assert!(damage.is_empty());
}

#[test]
fn a_real_file_is_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.kgtop");
    let mut writer = RecordingWriter::create(&path, false).unwrap();
    for record in Rig::new(1, 0).records(5) {
        writer.write(&record).unwrap();
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Not flushed by hand: five samples at a second each are a block.
    assert_eq!(RecordingReader::open(&path).unwrap().span().samples, 5);
    let again = RecordingWriter::create(&path, false).unwrap_err();
    assert!(matches!(again, RecordingError::Exists(_)));
    assert!(again.to_string().contains("run.kgtop: exists already"));
    let mut full = RecordingWriter::create(Path::new("/dev/full"), false).unwrap();
    let error = Rig::new(1, 0).records(6).iter().find_map(|record| full.write(record).err()).unwrap();
    assert!(error.to_string().starts_with("/dev/full: No space left on device"), "{error}");
    let missing = RecordingWriter::create(&folder.path().join("no/such"), false).unwrap_err();
    assert!(missing.to_string().contains("no/such: "), "{missing}");
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let refuse = |bytes: &[u8]| {
        RecordingReader::from_data(Box::new(Cursor::new(bytes.to_vec())), "x.bin").unwrap_err().to_string()
    };
    assert_eq!(refuse(b""), "x.bin: no kgtop recording: it is empty");
    assert!(refuse(b"\x7fELF\x02\x01").starts_with("x.bin: no kgtop recording: line 1 (byte 0): "));
    assert!(refuse(b"{\"hello\":1}\n").contains("no \"kind\""));
    let newer = refuse(b"{\"kind\":\"header\",\"format\":2,\"kgtop\":\"3.0.0\"}\n");
    assert!(
        newer.contains("x.bin: this stream has format version 2") && newer.contains("kgtop 3.0.0"),
        "{newer}"
    );
    let missing = RecordingReader::open(Path::new("/no/such/file")).unwrap_err();
    assert!(missing.to_string().starts_with("/no/such/file: "));
}

#[test]
fn a_redacted_recording_names_nobody_and_stays_consistent() {
    let mut records = Rig::new(2, 2).records(2);
    let uuid = Rig::id(1).0;
    records.push(Record::Event(RawEvent {
        at: Rig::mono(2),
        wall: Wall(rig::START_WALL),
        source: EventSource::Kmsg,
        priority: Some(3),
        facility: Some(0),
        gpu: Some(Rig::id(1)),
        text: format!("NVRM: rig07: Xid 79, GPU {uuid} of alice; GPU serial number is 1650923041700.").into(),
    }));
    let (got, _) = read(recorded(&records, true));
    let shown = text(&got);
    let secrets = [
        "rig07",
        "alice",
        "train.py",
        "--rank",
        "5a3b1c00",
        "1650923041",
        "job_4711",
        "4711.0",
        "1f6a2f5c",
        "/home",
    ];
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret}");
    }
    let Some(Record::Inventory(inventory)) = got.get(1) else { panic!() };
    let Some(Record::Sample(sample)) = got.get(2) else { panic!() };
    let Some(Record::Event(event)) = got.last() else { panic!() };
    assert_eq!(inventory.gpus[1].id(), sample.gpus[1].id);
    assert_ne!(sample.gpus[0].id, sample.gpus[1].id);
    assert_eq!(event.gpu.as_ref(), Some(&sample.gpus[1].id));
    assert_eq!(
        &*event.text,
        format!("NVRM: host1: Xid 79, GPU {} of user1; GPU serial number is serial1.", sample.gpus[1].id)
    );
    // Measurements stay.
    assert_eq!(inventory.processes[0].name, Ok("python3".into()));
    assert_eq!(sample.gpus[0].live.as_ref().unwrap().value.power_limit, Ok(Watts(700.0)));
}

#[test]
fn the_kernels_lines_are_redacted_too() {
    let mut redactor = Redactor::default();
    let mut header = Rig::header();
    header.host.hostname = "node7.cluster.example".into();
    let _ = redactor.redact(Record::Header(header));
    let mut redact = |text: &str| {
        let event = RawEvent {
            at: Rig::mono(2),
            wall: Wall(rig::START_WALL),
            source: EventSource::Kmsg,
            priority: None,
            facility: None,
            gpu: None,
            text: text.into(),
        };
        let Record::Event(event) = redactor.redact(Record::Event(event)) else { panic!() };
        event.text.to_string()
    };
    let container = "0123456789abcdef".repeat(4);
    assert_eq!(
        redact(&format!(
            "oom-kill:constraint=CONSTRAINT_MEMCG,cpuset=cri-containerd-{container}.scope,mems_allowed=0,\
             oom_memcg=/kubepods/podabc,task_memcg=/kubepods/podabc/{container},task=python,pid=7,uid=0"
        )),
        "oom-kill:constraint=CONSTRAINT_MEMCG,cpuset=cgroup1,mems_allowed=0,oom_memcg=cgroup2,\
         task_memcg=cgroup3,task=python,pid=7,uid=0"
    );
    assert_eq!(redact("cpuset=/,mems_allowed=0"), "cpuset=/,mems_allowed=0");
    assert_eq!(
        redact(&format!("docker: {container} on node7.cluster.example")),
        "docker: container1 on host1"
    );
    assert_eq!(
        redact("/home/bob/run.sh[7]: segfault; /home/bob again"),
        "/home/user1/run.sh[7]: segfault; /home/user1 again"
    );
    assert_eq!(redact("NVRM: Xid (PCI:0000:3b:00): 79, pid=7"), "NVRM: Xid (PCI:0000:3b:00): 79, pid=7");
}

fn shown(snapshot: &Snapshot) -> String {
    // Debug shows all of it, NaN included.
    format!("{snapshot:?}")
}

#[test]
fn a_seek_shows_what_straight_play_shows() {
    let goals = [1_099_usize, 3, 900, 0, 1_000, 1_001, 399, 400, 905, 1_098];
    let mut records = Rig::new(2, 2).records(1_100);
    // A GPU that was lost and a collector that was restarted must show after a seek too.
    if let Record::Sample(sample) = &mut records[400] {
        sample.gpus[1].state = GpuState::Lost;
    }
    let mut restarted = Rig::header();
    restarted.collector_pid += 1;
    records.insert(700, Record::Header(restarted));
    let bytes = recorded(&records, false);
    let mut deriver = Deriver::new();
    let mut straight = Vec::new();
    for record in records {
        let Some(snapshot) = deriver.push(record) else { continue };
        let history = deriver.history(&Rig::id(0)).unwrap();
        let looked_at = goals.contains(&straight.len());
        straight.push((
            snapshot.mono,
            if looked_at { shown(&snapshot) } else { String::new() },
            if looked_at { history.over(Metric::Power, 0, 100_000) } else { Bucket::EMPTY },
        ));
    }
    let mut cursor = ReplayCursor::new(opened(bytes));
    for index in goals {
        let (mono, expected, history) = &straight[index];
        let mut fold =
            if index % 2 == 0 { cursor.seek_to(*mono) } else { cursor.seek(Target::Sample(index as u64)) };
        let snapshot = std::iter::from_fn(|| cursor.next()).find_map(|record| fold.push(record)).unwrap();
        assert_eq!(&shown(&snapshot), expected, "{index}");
        assert_eq!(fold.history(&Rig::id(0)).unwrap().over(Metric::Power, 0, 100_000), *history);
        assert_eq!(cursor.newest(), Some(*mono));
    }
    // Past the end is the end; a step back from there is one sample.
    let mut fold = cursor.seek_to(Mono(u64::MAX));
    assert_eq!(shown(&fold.push(cursor.next().unwrap()).unwrap()), straight[1_099].1);
    assert!(cursor.next().is_none());
    let mut fold = cursor.seek_by(-1);
    assert_eq!(shown(&fold.push(cursor.next().unwrap()).unwrap()), straight[1_098].1);
    let mut fold = cursor.seek_by(-5_000);
    assert_eq!(shown(&fold.push(cursor.next().unwrap()).unwrap()), straight[0].1);
    assert_eq!(cursor.elapsed().as_secs(), 0);
}

#[test]
fn seeking_into_damage_shows_the_last_sample_before_it() {
    let records = Rig::new(1, 0).records(10);
    let mut bytes = recorded(&records, false);
    let end = bytes.len();
    for byte in &mut bytes[end - 300..] {
        *byte = 0x55;
    }
    let mut cursor = ReplayCursor::new(opened(bytes));
    let mut fold = cursor.seek_to(Rig::mono(9));
    let snapshot = fold.push(cursor.next().unwrap()).unwrap();
    assert!(snapshot.sequence >= 5);
    assert!(!cursor.damage().is_empty());
}

#[test]
fn five_minutes_of_eight_gpus_stay_under_their_share_of_eight_mebibytes() {
    let records = Rig::new(8, 16).records(300);
    let bytes = recorded(&records, false);
    let bytes = bytes.len();
    println!("{bytes} bytes for 300 samples; {} a sample", bytes / 300);
    assert!(bytes * 12 < 8 << 20, "{} KiB an hour", bytes * 12 / 1_024);
}

/// What the doctor makes of files: check and outcome.
fn examined(files: &HostFiles, pci: &[PciDevice]) -> Vec<(String, String, String)> {
    let mut fold = Deriver::new();
    fold.push(Record::Inventory(Box::new(Inventory { pci: pci.to_vec(), ..Inventory::default() })));
    let host_files = Some(Grouped { at: Mono(1), value: files.clone() });
    let sample = Sample { host_files, mono: Mono(2), ..Sample::default() };
    let snapshot = fold.push(Record::Sample(Box::new(sample))).unwrap();
    let all = kgtop::analysis::doctor::examine_snapshot(&snapshot, &[]);
    all.iter()
        .map(|each| {
            (each.check.id.to_owned(), format!("{:?}", each.found.outcome), each.found.summary.clone())
        })
        .collect()
}

#[test]
fn the_doctor_says_the_same_of_a_redacted_machine() {
    let daemon = r#"{"runtimes":{"nvidia":{"path":"nvidia-container-runtime"}},"registry-mirrors":["https://registry.secret.corp:5000"],"user":"pa55"}"#;
    let denial = "type=AVC msg=audit(1767225600.000:10): avc:  denied  { open } for  pid=7 comm=\"python3\" \
                  path=\"/dev/nvidia0\" scontext=alice_u:system_r:container_t:s0 \
                  tcontext=system_u:object_r:xserver_misc_device_t:s0 tclass=chr_file permissive=0\n";
    let mut well = doctor_tree::Tree::healthy();
    well.file("/etc/docker/daemon.json", daemon);
    let mut sick = well.clone();
    sick.file(doctor_tree::AUDIT, denial).file(
        "/etc/cdi/alice-nvidia.yaml",
        "kind: nvidia.com/gpu\n- hostPath: /usr/lib64/libcuda.so.550.90.07\n",
    );
    for tree in [well, sick] {
        let directory = tree.write();
        let root = kgtop::sources::root::Root::open(directory.path()).unwrap();
        let pci = kgtop::sources::pci::scan(&root);
        let mut files = HostFiles::default();
        kgtop::sources::doctor::scan(&root, &mut |found| files = found);
        let host_files = Some(Grouped { at: Mono(1), value: files.clone() });
        let sample = Record::Sample(Box::new(Sample { host_files, ..Sample::default() }));
        let Record::Sample(sample) = Redactor::default().redact(sample) else { panic!() };
        let redacted = sample.host_files.unwrap().value;
        let text = format!("{redacted:?}");
        for secret in ["alice", "registry.secret", "corp", "pa55"] {
            assert!(!text.contains(secret), "{secret} is in the files");
        }
        assert_eq!(examined(&redacted, &pci), examined(&files, &pci));
    }
}
