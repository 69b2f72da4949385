use super::*;
use std::collections::BTreeSet;

#[test]
fn every_line_of_the_table_is_read_and_names_checks_that_exist() {
    assert_eq!(symptoms().len(), explain::rows());
    let known: BTreeSet<&str> = checks().map(|check| check.id).collect();
    let mut ids = BTreeSet::new();
    for symptom in symptoms() {
        assert!(ids.insert(symptom.id), "{} stands twice", symptom.id);
        for check in &symptom.checks {
            assert!(known.contains(check), "{}: {check}", symptom.id);
        }
    }
}

#[test]
fn checks_are_told_apart_and_stand_in_the_order_of_the_layers() {
    let all: Vec<&Check> = checks().collect();
    let ids: BTreeSet<&str> = all.iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), all.len());
    assert!(all.windows(2).all(|pair| pair[0].layer <= pair[1].layer), "out of order");
    for check in all {
        assert!(!check.symptom.is_empty() && !check.title.is_empty(), "{}", check.id);
        assert_eq!(Layer::from_name(check.layer.name()), Some(check.layer));
    }
}

#[test]
fn messages_lead_to_their_layer() {
    let cases = [
        ("No devices were found", "no_devices"),
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest \
             NVIDIA driver is installed and running.",
            "smi_no_driver",
        ),
        ("RuntimeError: CUDA error: no CUDA-capable device is detected", "no_cuda_device"),
        (
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
            "cuda_out_of_memory",
        ),
        ("Windows has stopped this device because it has reported problems. (Code 43)", "code_43"),
        (
            "vfio 0000:41:00.0: group 30 is not viable\nPlease ensure all devices within the iommu_group are bound",
            "vfio_group",
        ),
        ("device is not in a group assigned to a container", "vfio_group"),
        (
            "docker: Error response from daemon: could not select device driver \"\" with capabilities: [[gpu]].",
            "docker_no_driver",
        ),
        ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "pod_pending"),
        ("NVRM: Xid (PCI:0000:41:00): 79, GPU has fallen off the bus.", "fell_off"),
        (
            "type=AVC msg=audit(1.2:3): avc:  denied  { read write } for pid=1 path=\"/dev/nvidia0\"",
            "avc_nvidia",
        ),
        ("modprobe: ERROR: could not insert 'nvidia': Key was rejected by service", "key_rejected"),
        ("modprobe: ERROR: could not insert 'nvidia': No such device", "no_such_device"),
        ("Failed to initialize NVML: Driver/library version mismatch", "version_mismatch"),
        (
            "NVRM: API mismatch: the client has the version 550.127.05, but NVRM: this kernel module has the version \
             550.90.07.",
            "version_mismatch",
        ),
        ("CUDA driver version is insufficient for CUDA runtime version", "insufficient_driver"),
        ("misc/ibvwrap.cc:252 NCCL WARN Call to ibv_reg_mr failed", "nccl_memlock"),
        ("NCCL WARN Error while creating shared memory segment /dev/shm/nccl-x (size 9637888)", "nccl_shm"),
    ];
    for (message, id) in cases {
        let found = explain(message);
        assert_eq!(found.first().map(|symptom| symptom.id), Some(id), "{message}: {found:?}");
    }
    assert!(explain("the printer is out of paper").is_empty());
    assert!(explain("").is_empty());
}

#[test]
fn the_status_is_that_of_the_worst() {
    let tally = |passed, warned, failed, skipped| Tally { passed, warned, failed, skipped }.status();
    assert_eq!((tally(9, 0, 0, 1), tally(9, 1, 0, 1), tally(9, 1, 1, 1), tally(0, 0, 0, 9)), (0, 1, 2, 3));
    assert_eq!(tally(0, 0, 0, 0), 3);
}

#[test]
fn each_thing_gets_its_own_advice_and_the_same_is_said_once() {
    let of = |each: &[(&str, &str)]| {
        Found::fail("").advise_each(each.iter().map(|(about, advice)| ((*about).to_owned(), *advice))).advice
    };
    assert_eq!(of(&[("GPU 6", "Reset it."), ("GPU 4", "Reboot.")]), ["GPU 6: Reset it.", "GPU 4: Reboot."]);
    assert_eq!(
        of(&[("GPU 6", "Reset it."), ("GPU 4", "Reboot."), ("GPU 7", "Reset it."), ("GPU 6", "Reset it.")]),
        ["GPU 6, GPU 7: Reset it.", "GPU 4: Reboot."]
    );
    assert_eq!(of(&[("GPU 1", "Check fans."), ("GPU 2", "Check fans.")]), ["Check fans."]);
    assert_eq!(of(&[("", "Start it."), ("GPU 2", "")]), ["Start it."]);
}

#[test]
fn a_number_is_not_a_piece_of_another() {
    for message in ["HTTP error 431", "ERROR 4300 gone", "CUDA error 9990", "cuInit took 18024 us"] {
        assert!(explain(message).is_empty(), "{message}: {:?}", explain(message));
    }
    for (message, id) in [
        ("CUDA error 999", "error_999"),
        ("cuInit returned 802", "error_802"),
        ("Error 804: forward compatibility was attempted on non supported HW", "error_804"),
        ("(Code 43)", "code_43"),
    ] {
        assert_eq!(explain(message).first().map(|symptom| symptom.id), Some(id), "{message}");
    }
}

#[test]
fn the_symptom_of_each_check_leads_to_it() {
    let leads =
        |check: &&Check| explain(check.symptom).iter().any(|symptom| symptom.checks.contains(&check.id));
    let silent: Vec<&str> = checks().filter(|check| !leads(check)).map(|check| check.id).collect();
    // What is slow, or works for another user only, prints no message.
    let expected =
        ["pcie_link", "persistence", "sharing", "selinux_labels", "p2p_acs", "iommu_mode", "link_health"];
    assert_eq!(silent, expected);
}
