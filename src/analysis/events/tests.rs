use super::*;

fn raw(seconds: f64, text: &str) -> RawEvent {
    RawEvent {
        at: Mono((seconds * 1e6) as u64),
        wall: Wall((seconds * 1e6) as i64 + 1_700_000_000_000_000),
        source: EventSource::Kmsg,
        priority: Some(3),
        facility: Some(0),
        gpu: None,
        text: text.into(),
    }
}

fn log(lines: &[(f64, &str)]) -> EventLog {
    let mut log = EventLog::default();
    for (seconds, text) in lines {
        log.push(&raw(*seconds, text), None);
    }
    log
}

fn xid(rest: &str) -> String {
    format!("NVRM: Xid (PCI:0000:3b:00): {rest}")
}

fn codes(log: &EventLog) -> Vec<(Option<u32>, u32)> {
    log.incidents().map(|incident| (incident.code, incident.count)).collect()
}

#[test]
fn thirty_lines_of_one_fault_are_one_incident_with_a_count() {
    let line = xid("13, pid=4711, name=python3, Graphics SM Warp Exception on (GPC 9, TPC 5, SM 0)");
    let lines: Vec<(f64, &str)> = (0..30).map(|n| (100.0 + f64::from(n) * 0.001, line.as_str())).collect();
    assert_eq!(codes(&log(&lines)), [(Some(13), 30)]);
    let other = xid("13, pid=99, name=other, Graphics SM Warp Exception on (GPC 9, TPC 5, SM 0)");
    assert_eq!(codes(&log(&[(100.0, &line), (100.1, &other)])).len(), 2, "two processes, two incidents");
    assert_eq!(codes(&log(&[(100.0, &line), (200.0, &line)])).len(), 2, "again later is another one");
}

#[test]
fn cleanup_is_a_consequence_of_the_xid_before_it_and_alone_an_incident() {
    let (fault, cleanup) = (xid("31, pid=1, name=x, MMU Fault"), xid("43, pid=1, name=x, Ch 00000008"));
    let folded = log(&[(100.0, &fault), (100.1, &cleanup), (100.2, &cleanup)]);
    assert_eq!(codes(&folded), [(Some(31), 1)]);
    let incident = folded.incidents().next().unwrap();
    assert_eq!(incident.consequences, BTreeMap::from([(43, 2)]));
    assert_eq!(incident.raw.len(), 3, "its lines are kept");
    assert_eq!(codes(&log(&[(100.0, &cleanup)])), [(Some(43), 1)]);
    let elsewhere = "NVRM: Xid (PCI:0000:86:00): 45, pid=1, name=x, Ch 00000008";
    assert_eq!(codes(&log(&[(100.0, &fault), (100.1, elsewhere)])).len(), 2, "another GPU's is its own");
}

#[test]
fn what_one_application_did_ends_no_other_one() {
    let (other, own) = (xid("43, pid=4712, name=y, Ch 00000008"), xid("43, pid=4711, name=x, Ch 00000009"));
    let fault = xid("31, pid=4711, name=x, MMU Fault");
    let told = log(&[(100.0, &fault), (100.1, &other), (100.2, &own)]);
    let codes_and_pids: Vec<_> = told.incidents().map(|incident| (incident.code, incident.pid)).collect();
    assert_eq!(codes_and_pids, [(Some(31), Some(4711)), (Some(43), Some(4712))]);
    assert_eq!(told.incidents().next().unwrap().consequences, BTreeMap::from([(43, 1)]));
    // A fault of the GPU ends whoever is on it, and an unknown process is taken for the one that is known.
    let gpu = xid("119, pid=4711, name=x, Timeout after 6s of waiting for RPC response");
    assert_eq!(codes(&log(&[(100.0, &gpu), (100.1, &other)])).len(), 1);
    let unknown = xid("43, pid='<unknown>', name=<unknown>, Ch 00000008");
    assert_eq!(codes(&log(&[(100.0, &fault), (100.1, &unknown)])).len(), 1);
}

#[test]
fn a_named_cause_wins_over_the_nearest_one() {
    let lines = [
        (100.0, xid("149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x02100000 0x0)")),
        (100.1, xid("31, pid=1, name=x, MMU Fault")),
        (100.2, xid("45, pid=1, name=x, Ch 00000001 caused by previous Xid 149")),
    ];
    let lines: Vec<(f64, &str)> = lines.iter().map(|(at, line)| (*at, line.as_str())).collect();
    let log = log(&lines);
    let consequences: Vec<_> = log.incidents().map(|incident| incident.consequences.len()).collect();
    assert_eq!(consequences, [1, 0]);
}

#[test]
fn the_recommended_action_becomes_the_advice_in_either_order() {
    let fault = xid("119, pid=1, name=x, Timeout after 6s of waiting for RPC response from GPU4 GSP!");
    let action = xid("154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)");
    for lines in [[(100.0, &fault), (100.5, &action)], [(100.0, &action), (100.5, &fault)]] {
        let lines = lines.map(|(at, line)| (at, line.as_str()));
        let log = log(&lines);
        assert_eq!(codes(&log), [(Some(119), 1)]);
        let incident = log.incidents().next().unwrap();
        assert_eq!(incident.recovery_action, Some(2));
        assert!(incident.advice.starts_with("The driver recommends: node reboot."), "{}", incident.advice);
        assert_eq!(incident.raw.len(), 2);
    }
}

#[test]
fn off_the_bus_is_one_incident_with_and_without_its_xid() {
    let (bus, xid79) =
        ("NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.", xid("79, GPU has fallen off the bus."));
    assert_eq!(codes(&log(&[(100.0, &xid79), (100.1, bus)])), [(Some(79), 1)]);
    assert_eq!(codes(&log(&[(100.0, bus), (100.1, &xid79)])), [(Some(79), 1)]);
    let probe = log(&[
        (1.0, "NVRM: The NVIDIA GPU 0000:3b:00.0"),
        (1.0, "NVRM: (PCI ID: 10de:2330) installed in this system has"),
        (1.0, "NVRM: fallen off the bus and is not responding to commands."),
    ]);
    let incident = probe.incidents().next().unwrap();
    assert_eq!((incident.kind, incident.severity), (Kind::OffBus, Severity::Critical));
    assert_eq!(incident.pci, PciAddress::parse("0000:3b:00.0"));
    assert_eq!(incident.raw.len(), 3);
}

#[test]
fn what_user_space_wrote_is_marked_and_joins_nothing() {
    let line = xid("79, GPU has fallen off the bus.");
    let mut log = log(&[(100.0, &line)]);
    log.push(&RawEvent { facility: Some(1), ..raw(100.1, &line) }, None);
    let incidents: Vec<_> = log.incidents().collect();
    assert_eq!(incidents.len(), 2);
    assert_eq!((incidents[0].count, incidents[0].user_space), (1, false));
    assert_eq!((incidents[1].severity, incidents[1].user_space), (Severity::Info, true));
}

#[test]
fn an_event_set_and_the_log_tell_one_fault_once() {
    let mut log = EventLog::default();
    let id = GpuId("GPU-1".into());
    log.push(&raw(1.0, "NVRM: GPU at PCI:0000:3b:00: GPU-1"), None);
    log.push(&raw(100.0, &xid("79, GPU has fallen off the bus.")), None);
    let told = RawEvent { source: EventSource::Nvml, gpu: Some(id), ..raw(100.1, "Xid 79") };
    log.push(&told, None);
    assert_eq!(codes(&log), [(Some(79), 1)]);
}

#[test]
fn actions_are_told_once_and_each_for_itself() {
    let act = |seconds: f64, text: &str| RawEvent { source: EventSource::Action, ..raw(seconds, text) };
    let mut log = EventLog::default();
    log.push(&act(100.0, "power limit: done"), None);
    log.push(&act(100.1, "power limit: done"), None);
    log.restarted();
    log.push(&act(100.0, "power limit: done"), None);
    log.push(&act(200.0, "GPU reset: done"), None);
    let told: Vec<_> = log.incidents().map(|incident| (incident.kind, incident.count)).collect();
    assert_eq!(told, [(Kind::Action, 1); 3]);
}

#[test]
fn a_log_that_is_read_anew_is_not_told_twice() {
    let (old, new) = (xid("79, GPU has fallen off the bus."), xid("62, halted"));
    let mut log = log(&[(100.0, &old)]);
    log.restarted();
    log.push(&raw(100.0, &old), None);
    log.push(&raw(200.0, &new), None);
    assert_eq!(codes(&log), [(Some(79), 1), (Some(62), 1)]);
}

#[test]
fn a_flood_is_bounded() {
    let mut log = EventLog::default();
    for n in 0..5_000_u32 {
        let line = format!("INFO: task python3:{n} blocked for more than 120 seconds.");
        log.push(&raw(f64::from(n) + 1.0, &line), None);
    }
    assert_eq!(log.incidents().len(), INCIDENTS_AT_MOST);
    let line = xid("119, pid=1, name=x, Timeout");
    for n in 0..500 {
        log.push(&raw(6_000.0 + f64::from(n), &line), None);
    }
    let incident = log.incidents().last().unwrap();
    assert_eq!((incident.raw.len(), incident.raw_left_out), (RAW_AT_MOST, 436));
}

#[test]
fn advice_names_the_gpu_that_the_line_is_about() {
    let advice = |text: &str| log(&[(100.0, text)]).incidents().next().unwrap().advice.clone();
    for text in [
        xid("46, GPU stopped processing"),
        xid("154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"),
    ] {
        let advice = advice(&text);
        assert!(advice.contains("kgtop act reset --gpu 0000:3b:00.0"), "{text}: {advice}");
    }
    // Without a GPU the word stays that says what is to be filled in.
    assert!(crate::analysis::xid::xid(46).unwrap().advice.contains("--gpu ADDRESS"));
}
