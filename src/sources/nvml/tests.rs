use super::*;
use crate::model::{Gpm, Live};
use crate::units::{Clock, Mono, Wall};

fn caller() -> Caller {
    Caller::new(Clock { mono: || Mono(0), wall: || Wall(0) })
}

fn unopened(code: u32) -> Device {
    let reason = Failure::Code(code);
    let absence = Absence::from(&reason);
    Device::unopened(Port::refused(DriverVersion::parse("580.159.04"), reason), 3, &absence)
}

#[test]
fn a_lost_gpu_is_lost_in_every_group_and_no_call_is_made() {
    let caller = caller();
    let mut device = unopened(15);
    assert!(device.is_lost());
    assert_eq!(device.live(&caller), Live::absent(&Absence::Lost));
    assert_eq!(device.gpm(&caller, Mono(0)), Some(Gpm::absent(&Absence::Lost)));
    assert_eq!(device.process_list(&caller), Err(Absence::Lost));
    assert_eq!(device.process_utilization(&caller), Err(Absence::Lost));
    assert_eq!(device.mig(&caller), Err(Absence::Lost));
    assert_eq!(device.nvlinks(&caller), vec![]);
    assert_eq!(device.health(&caller).ecc_uncorrected_volatile, Err(Absence::Lost));
    assert_eq!(device.counters(&caller, true).pcie_tx, Err(Absence::Lost));
    assert_eq!(device.buffers(&caller, true, false).power, Err(Absence::Lost));
    assert_eq!(device.buffers(&caller, true, false).utilization, Err(Absence::NotRequested));
    assert_eq!(caller.slot().calls(), 0);
}

#[test]
fn a_gpu_without_identity_is_known_by_its_place_then_by_its_address() {
    let caller = caller();
    let mut device = unopened(15);
    assert_eq!(device.id().to_string(), "nvml:3");
    device.suppose_address("0000:3b:00.0".into());
    assert_eq!(device.id().to_string(), "0000:3b:00.0");
    let info = device.info(&caller);
    assert_eq!((info.index.clone(), info.id()), (Ok(3), device.id()));
    assert_eq!((info.name, info.nvlink_version), (Err(Absence::Lost), Err(Absence::Lost)));
}

#[test]
fn a_gpu_that_may_not_be_opened_is_not_lost() {
    let caller = caller();
    let mut device = unopened(4);
    assert!(!device.is_lost());
    assert_eq!(device.refusal(), None);
    assert_eq!(device.live(&caller).temperature, Err(Absence::NoPermission));
    assert_eq!(device.fast_read(&caller).power, Err(Absence::NoPermission));
}

#[test]
fn a_gpu_refused_for_another_reason_says_which() {
    let mut device = unopened(999);
    assert!(device.is_lost());
    assert_eq!(device.refusal(), Some(999));
    assert_eq!(device.live(&caller()).temperature, Err(Absence::failed(999, "UNKNOWN")));
}

#[test]
fn the_cuda_version_reads_like_nvidias() {
    assert_eq!(cuda_version(13_000), "13.0");
    assert_eq!(cuda_version(12_080), "12.8");
}

#[test]
fn no_gpu_is_explained() {
    assert_eq!(no_gpu(&Ok(8)), None);
    assert!(no_gpu(&Ok(0)).is_some_and(|text| text.contains("lspci")));
    assert!(no_gpu(&Err(Absence::failed(999, "UNKNOWN"))).is_some_and(|text| text.contains("UNKNOWN (999)")));
}
