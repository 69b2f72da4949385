use super::*;

fn event(line: &str) -> Event<'_> {
    match parse(line) {
        Some(Line::Event(event)) => event,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_mig_instance_stands_inside_the_parentheses() {
    let event = event("NVRM: Xid (PCI:0000:3b:00 GPU-I:03 GPU-CI:01): 31, pid=4711, name=a: b, c, MMU Fault");
    assert_eq!((event.gpu_instance, event.compute_instance), (Some(3), Some(1)));
    assert_eq!((event.process, event.message), (Some("a: b"), "c, MMU Fault"));
}

#[test]
fn an_unknown_process_of_an_old_driver_is_none() {
    let event =
        event("NVRM: Xid (PCI:0000:91:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.");
    assert_eq!((event.pid, event.process), (None, None));
    assert_eq!(event.message, "GPU has fallen off the bus.");
}

#[test]
fn the_cause_and_the_recommended_action_are_read() {
    let caused =
        event("NVRM: Xid (PCI:0000:3b:00): 45, pid=1, name=x, Ch 00000001 caused by previous Xid 149");
    assert_eq!((caused.caused_by, caused.message), (Some(149), "Ch 00000001"));
    let action = event(
        "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)",
    );
    assert_eq!(action.recovery_action, Some(4));
}

#[test]
fn links_are_read_in_each_form() {
    let link = |line| event(line).link;
    assert_eq!(
        link("NVRM: Xid (PCI:0000:3b:00): 136, NVLink: Link training failed for link 5(0x1,0x2)"),
        Some(5)
    );
    assert_eq!(
        link("NVRM: Xid (PCI:0000:3b:00): 149, NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x0 0x0)"),
        Some(1)
    );
    assert_eq!(link("NVRM: Xid (PCI:0000:3b:00): 144, SAW_MVB Nonfatal XC0 i0 Link -1 (0x0 0x1)"), None);
    assert_eq!(
        link("nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up"),
        Some(48)
    );
}

#[test]
fn a_name_with_parentheses_is_kept() {
    let killed = event("Out of memory: Killed process 12 (a (b)) total-vm:1kB, anon-rss:1kB");
    assert_eq!((killed.pid, killed.process), (Some(12), Some("a (b)")));
    for line in [
        "Out of memory: Killed process 99 ((sd-pam)) total-vm:1kB, anon-rss:1kB, UID:0 pgtables:1kB oom_score_adj:0",
        "Out of memory: Killed process 99 ((sd-pam)), UID 1000, total-vm:1kB, anon-rss:1kB",
    ] {
        assert_eq!(event(line).process, Some("(sd-pam)"), "{line}");
    }
    let hung = event("INFO: task kworker/u8:2:99 blocked for more than 241 seconds.");
    assert_eq!((hung.process, hung.pid), (Some("kworker/u8:2"), Some(99)));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(line in ".*", tail in ".*") {
        let _ = parse(&line);
        for start in ["NVRM: Xid (PCI:0000:3b:00", "NVRM: Xid (PCI:0000:3b:00): 149, ", "nvidia-nvswitch1: SXid (",
            "NVRM: GPU ", "Out of memory: Killed process ", "INFO: task ", "{", "EDAC MC", "nvidia 0000:3b:00.0: "] {
            let _ = parse(&format!("{start}{tail}"));
        }
    }
}
