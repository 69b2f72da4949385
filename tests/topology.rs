//! The matrix of machines that are made up in sysfs, with and without the driver's word.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by a panic"
)]

#[path = "support/sysfs.rs"]
mod sysfs;

use kgtop::analysis::Severity;
use kgtop::analysis::topology::{Matrix, PathClass, advice, groups, unfit, way};
use kgtop::model::{
    Absence, Deriver, GpuId, GpuInfo, GpuPair, GpuSample, GpuState, Grouped, HostProcess, Inventory, Live,
    NvLink, ProcessFacts, ProcessKey, ProcessKind, ProcessOnGpu, Record, Sample, Snapshot, Topology,
};
use kgtop::sources::root::Root;
use kgtop::sources::topology::scan;
use kgtop::units::{Bytes, Mono, Wall};

fn topology(text: &str) -> Topology {
    let directory = tempfile::tempdir().unwrap();
    sysfs::build(directory.path(), text);
    scan(&Root::open(directory.path()).unwrap())
}

/// A process: its PID, the places of its GPUs, its environment.
type Job = (u32, Vec<usize>, Vec<(&'static str, &'static str)>);

/// A machine as the driver and sysfs tell it.
struct Machine {
    topology: Option<Topology>,
    gpus: Vec<GpuInfo>,
    links: Vec<Vec<NvLink>>,
    jobs: Vec<Job>,
    /// GPUs that do not answer, and those for which the driver asks for something.
    lost: Vec<usize>,
    asking: Vec<(usize, u32)>,
}

impl Machine {
    fn of(text: &str) -> Self {
        let topology = topology(text);
        let gpus = topology
            .devices
            .iter()
            .filter(|device| device.kind == kgtop::model::BusKind::Gpu)
            .enumerate()
            .map(|(index, device)| GpuInfo {
                uuid: Ok(format!("GPU-{index}").into()),
                index: Ok(index as u32),
                name: Ok("NVIDIA H100".into()),
                pci_bus_id: Ok(device.address.clone()),
                cpu_affinity: device.local_cpus.clone(),
                numa_node: device.numa_node.clone(),
                ..GpuInfo::default()
            })
            .collect();
        Self {
            topology: Some(topology),
            gpus,
            links: Vec::new(),
            jobs: Vec::new(),
            lost: Vec::new(),
            asking: Vec::new(),
        }
    }

    fn switched(mut self, links: u32) -> Self {
        for gpu in &mut self.gpus {
            gpu.nvlinks = Ok(links);
            gpu.nvswitch_links = Ok(links);
        }
        self
    }

    fn snapshot(&self) -> Snapshot {
        let at = Mono(1_000_000);
        let facts = self.jobs.iter().map(|(pid, _, environment)| ProcessFacts {
            key: ProcessKey { pid: *pid, start: 1 },
            visible: true,
            inner_pid: None,
            parent: Ok(1),
            user: Ok("alice".into()),
            name: Ok("python".into()),
            command: Ok(vec!["python".into()]),
            environment: Ok(environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()),
            cgroup: Ok("/".into()),
            container: None,
            pod: None,
            slurm_job: None,
            unit: None,
            started: Ok(Wall(0)),
        });
        let mut deriver = Deriver::new();
        deriver.push(Record::Inventory(Box::new(Inventory {
            gpus: self.gpus.clone(),
            processes: facts.collect(),
            topology: self.topology.clone().map(Box::new),
            ..Inventory::default()
        })));
        let gpus = self.gpus.iter().enumerate().map(|(index, info)| {
            let state = if self.lost.contains(&index) { GpuState::Lost } else { GpuState::Ok };
            let mut gpu = GpuSample::new(info.id(), state);
            let asked = self.asking.iter().find(|(gpu, _)| *gpu == index).map_or(0, |(_, action)| *action);
            gpu.live = Some(Grouped { at, value: Live { recovery_action: Ok(asked), ..Live::default() } });
            gpu.nvlinks = self.links.get(index).map(|links| Grouped { at, value: links.clone() });
            let mine = self.jobs.iter().filter(|(_, gpus, _)| gpus.contains(&index));
            let list = mine.map(|(pid, ..)| ProcessOnGpu {
                pid: *pid,
                kind: ProcessKind::Compute,
                memory: Ok(Bytes(1 << 30)),
                gpu_instance: None,
                compute_instance: None,
            });
            gpu.processes = Some(Grouped { at, value: Ok(list.collect()) });
            gpu
        });
        let hosts = self.jobs.iter().map(|(pid, ..)| HostProcess {
            key: ProcessKey { pid: *pid, start: 1 },
            state: Ok('S'),
            cpu_ns: Ok(0),
            resident: Ok(Bytes(0)),
        });
        let sample = Sample {
            sequence: 1,
            mono: at,
            wall: Wall(0),
            gpus: gpus.collect(),
            processes: Some(Grouped { at, value: hosts.collect() }),
            ..Sample::default()
        };
        deriver.push(Record::Sample(Box::new(sample))).unwrap()
    }

    fn matrix(&self) -> Matrix {
        Matrix::new(&self.snapshot())
    }

    fn said(&self) -> Vec<(Severity, String)> {
        let snapshot = self.snapshot();
        advice(&snapshot, &Matrix::new(&snapshot)).into_iter().map(|a| (a.severity, a.text)).collect()
    }
}

/// The matrix as nvidia-smi lays it out.
fn table(matrix: &Matrix) -> String {
    let places = 0..matrix.devices.len();
    let rows = places.clone().map(|row| {
        let cells: Vec<String> = places.clone().map(|column| matrix.cell(row, column).to_string()).collect();
        format!("{} {}", matrix.devices[row].label, cells.join(" "))
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn expect(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn two_h200_in_a_guest_as_recorded() {
    let mut machine = Machine::of(sysfs::H200_GUEST).switched(18);
    for gpu in &mut machine.gpus {
        // What the driver answered there: sysfs names no node, its memory affinity does.
        gpu.numa_node = Ok(0);
    }
    machine.topology.as_mut().unwrap().pairs.push(GpuPair {
        a: "0000:00:06.0".into(),
        b: "0000:00:07.0".into(),
        ancestor: Ok(30),
        p2p_read: Ok(0),
        p2p_write: Ok(0),
        p2p_nvlink: Ok(0),
        p2p_atomics: Ok(0),
        p2p_pci: Ok(0),
    });
    let matrix = machine.matrix();
    assert_eq!(table(&matrix), "GPU0 X NV18\nGPU1 NV18 X");
    for device in &matrix.devices {
        assert_eq!(device.cpu_affinity.as_deref(), Ok("0-31"));
        assert_eq!(device.numa_affinity, Ok(0));
        assert_eq!(device.gpu_numa, None);
    }
    let snapshot = machine.snapshot();
    let told = snapshot.inventory.topology.as_deref().unwrap();
    let address = |place: usize| matrix.devices[place].address.as_deref().unwrap();
    for (one, other) in [(0, 1), (1, 0)] {
        // All of them 0, which is OK (nvmlGpuP2PStatus_t).
        let pair = told.pair(address(one), address(other)).unwrap();
        assert_eq!(pair.ancestor, Ok(30));
        assert_eq!((&pair.p2p_read, &pair.p2p_write, &pair.p2p_nvlink), (&Ok(0), &Ok(0), &Ok(0)));
        assert_eq!((&pair.p2p_atomics, &pair.p2p_pci), (&Ok(0), &Ok(0)));
    }
    // Without NVLink it would be what NVML's level says.
    let plain = Machine::of(sysfs::H200_GUEST);
    assert_eq!(table(&plain.matrix()), "GPU0 X PHB\nGPU1 PHB X");
}

#[test]
fn eight_gpus_behind_switches_with_nics_and_drives() {
    let machine = Machine::of(sysfs::HGX);
    let expected = expect(
        "GPU0 X PIX NODE NODE SYS SYS SYS SYS PIX PIX NODE NODE SYS SYS SYS SYS PIX SYS
         GPU1 PIX X NODE NODE SYS SYS SYS SYS PIX PIX NODE NODE SYS SYS SYS SYS PIX SYS
         GPU2 NODE NODE X PIX SYS SYS SYS SYS NODE NODE PIX PIX SYS SYS SYS SYS NODE SYS
         GPU3 NODE NODE PIX X SYS SYS SYS SYS NODE NODE PIX PIX SYS SYS SYS SYS NODE SYS
         GPU4 SYS SYS SYS SYS X PIX NODE NODE SYS SYS SYS SYS PIX PIX NODE NODE SYS NODE
         GPU5 SYS SYS SYS SYS PIX X NODE NODE SYS SYS SYS SYS PIX PIX NODE NODE SYS NODE
         GPU6 SYS SYS SYS SYS NODE NODE X PIX SYS SYS SYS SYS NODE NODE PIX PIX SYS PIX
         GPU7 SYS SYS SYS SYS NODE NODE PIX X SYS SYS SYS SYS NODE NODE PIX PIX SYS PIX
         NIC0 PIX PIX NODE NODE SYS SYS SYS SYS X PIX NODE NODE SYS SYS SYS SYS PIX SYS
         NIC1 PIX PIX NODE NODE SYS SYS SYS SYS PIX X NODE NODE SYS SYS SYS SYS PIX SYS
         NIC2 NODE NODE PIX PIX SYS SYS SYS SYS NODE NODE X PIX SYS SYS SYS SYS NODE SYS
         NIC3 NODE NODE PIX PIX SYS SYS SYS SYS NODE NODE PIX X SYS SYS SYS SYS NODE SYS
         NIC4 SYS SYS SYS SYS PIX PIX NODE NODE SYS SYS SYS SYS X PIX NODE NODE SYS NODE
         NIC5 SYS SYS SYS SYS PIX PIX NODE NODE SYS SYS SYS SYS PIX X NODE NODE SYS NODE
         NIC6 SYS SYS SYS SYS NODE NODE PIX PIX SYS SYS SYS SYS NODE NODE X PIX SYS PIX
         NIC7 SYS SYS SYS SYS NODE NODE PIX PIX SYS SYS SYS SYS NODE NODE PIX X SYS PIX
         nvme0 PIX PIX NODE NODE SYS SYS SYS SYS PIX PIX NODE NODE SYS SYS SYS SYS X SYS
         nvme1 SYS SYS SYS SYS NODE NODE PIX PIX SYS SYS SYS SYS NODE NODE PIX PIX SYS X",
    );
    assert_eq!(table(&machine.matrix()), expected);
    // NVLink stands in place of the PCIe class between GPUs, and nowhere else.
    let linked = table(&machine.switched(18).matrix());
    assert!(linked.starts_with("GPU0 X NV18 NV18 NV18 NV18 NV18 NV18 NV18 PIX PIX NODE"), "{linked}");
}

#[test]
fn cards_at_switches_and_root_ports() {
    let machine = Machine::of(sysfs::PCIE);
    let expected = expect(
        "GPU0 X PIX PXB PHB NODE
         GPU1 PIX X PXB PHB NODE
         GPU2 PXB PXB X PHB NODE
         GPU3 PHB PHB PHB X NODE
         GPU4 NODE NODE NODE NODE X",
    );
    assert_eq!(table(&machine.matrix()), expected);
}

#[test]
fn no_driver_is_needed() {
    let mut machine = Machine::of(sysfs::PCIE);
    machine.gpus.clear();
    let matrix = machine.matrix();
    assert!(matrix.by_bus);
    assert!(table(&matrix).starts_with("GPU0 X PIX PXB PHB NODE"));
    assert_eq!(matrix.devices[0].cpu_affinity.as_deref(), Ok("0-63"));
}

#[test]
fn gpus_that_the_control_group_hides_are_counted_not_listed() {
    let mut machine = Machine::of(sysfs::HGX).switched(18);
    machine.gpus.drain(2..);
    let matrix = machine.matrix();
    assert_eq!(matrix.gpus().count(), 2);
    assert_eq!(matrix.hidden, 6);
    assert!(machine.said().iter().any(|(_, text)| text.starts_with("6 more GPUs on the bus")));
}

#[test]
fn the_way_names_its_bridges() {
    let topology = topology(sysfs::HGX);
    let device = |address| topology.device(address).unwrap();
    let found = way(&topology, device("0000:18:00.0"), device("0000:1c:00.0")).unwrap();
    assert_eq!(found.class, PathClass::Pix);
    assert_eq!(found.up, ["0000:17:00.0".into()]);
    assert_eq!(found.shared.as_deref(), Some("0000:16:00.0"));
    assert_eq!(found.down, ["0000:17:02.0".into()]);
    let far = way(&topology, device("0000:18:00.0"), device("0000:bc:00.0")).unwrap();
    assert_eq!((far.class, far.shared), (PathClass::Sys, None));
    assert_eq!(far.up.len() + far.down.len(), 6);
}

#[test]
fn without_nodes_nothing_is_guessed() {
    let text = "node 0 0-31\n node 1 32-63\n gpu - pci0000:00/0000:00:06.0 -1 0-31\n gpu - pci0000:80/0000:80:06.0 -1 0-31";
    assert_eq!(table(&Machine::of(text).matrix()), "GPU0 X ?\nGPU1 ? X");
    let one = text.replace("node 1 32-63\n", "");
    assert_eq!(table(&Machine::of(&one).matrix()), "GPU0 X NODE\nGPU1 NODE X");
}

fn bridged() -> Machine {
    // Two pairs, each with an NVLink bridge of twelve links; one link of the second pair is down.
    let mut machine = Machine::of(sysfs::HGX);
    machine.gpus.drain(4..);
    let kept: Vec<_> = machine.gpus.iter().map(|gpu| gpu.pci_bus_id.clone().unwrap()).collect();
    machine.topology.as_mut().unwrap().devices.retain(|device| kept.contains(&device.address));
    let addresses: Vec<_> = machine.gpus.iter().map(|gpu| gpu.pci_bus_id.clone().unwrap()).collect();
    for (index, gpu) in machine.gpus.iter_mut().enumerate() {
        gpu.nvlinks = Ok(12);
        gpu.nvswitch_links = Err(Absence::NotSupported);
        let peer = addresses[index ^ 1].to_ascii_uppercase();
        machine.links.push(
            (0..12)
                .map(|link| NvLink {
                    link,
                    active: Ok(index < 2 || link > 0),
                    remote_type: Ok(0),
                    remote_pci: Ok(peer.as_str().into()),
                    replay_errors: Ok(0),
                    recovery_errors: Ok(0),
                    crc_errors: Ok(0),
                })
                .collect(),
        );
    }
    machine
}

#[test]
fn without_a_switch_the_links_that_lead_to_the_peer_are_counted() {
    let machine = bridged();
    let matrix = machine.matrix();
    assert_eq!(matrix.cell(0, 1).to_string(), "NV12");
    assert_eq!(matrix.cell(2, 3).to_string(), "NV11");
    assert_eq!(matrix.cell(0, 2).to_string(), "NODE");
    assert_eq!(groups(&matrix), [vec![0, 1], vec![2, 3]]);
    let said = machine.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.starts_with("Tensor parallel within GPU 0-1 and within GPU 2-3"), "{said:?}");
}

#[test]
fn links_that_were_not_read_yet_are_no_statement() {
    let mut machine = bridged();
    machine.links.clear();
    assert_eq!(machine.matrix().cell(0, 1).to_string(), "?");
    assert!(machine.said().is_empty());
}

#[test]
fn a_job_across_bridges_is_told_and_its_twin_is_not() {
    let mut machine = bridged();
    machine.jobs.push((500, vec![1, 2], vec![("CUDA_VISIBLE_DEVICES", "1,2")]));
    let said = machine.said();
    assert_eq!(said[0].0, Severity::Warning);
    assert!(said[0].1.contains("straddles NODE (GPU1–GPU2"), "{said:?}");
    assert!(said[0].1.contains("NVLink joins GPU 0-1"), "{said:?}");
    machine.jobs[0].1 = vec![2, 3];
    machine.jobs[0].2 = vec![("CUDA_VISIBLE_DEVICES", "GPU-2,GPU-3")];
    assert!(machine.said().iter().all(|(severity, _)| *severity == Severity::Info));
}

#[test]
fn settings_of_nccl() {
    let mut machine = Machine::of(sysfs::HGX).switched(18);
    machine.jobs.push((500, vec![0, 1], vec![("NCCL_P2P_DISABLE", "1"), ("NCCL_IB_DISABLE", "1")]));
    let said = machine.said();
    assert!(said[0].1.contains("NCCL_P2P_DISABLE"), "{said:?}");
    assert_eq!(said[0].0, Severity::Warning);
    assert!(said.iter().any(|(_, text)| text.contains("NCCL_IB_DISABLE")), "{said:?}");
    machine.jobs[0].2 = vec![("NCCL_P2P_DISABLE", "0"), ("NCCL_P2P_LEVEL", "NVL")];
    let said = machine.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.starts_with("Tensor parallel over all 8 GPUs"), "{said:?}");
}

#[test]
fn nothing_is_recommended_on_a_gpu_that_is_lost_or_asks_for_a_reset() {
    let mut machine = Machine::of(sysfs::HGX).switched(18);
    let said = machine.said();
    // CUDA takes no ranges.
    assert!(said[0].1.contains("(CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7)"), "{said:?}");
    machine.lost.push(2);
    machine.asking.push((6, 4));
    let said = machine.said();
    assert!(said[0].1.starts_with("Tensor parallel over GPU 0-1,3-5,7: "), "{said:?}");
    assert!(said[0].1.contains("(CUDA_VISIBLE_DEVICES=0,1,3,4,5,7)"), "{said:?}");
    assert!(
        said[0].1.ends_with("Left out: GPU 2 (lost), GPU 6 (the driver asks for drain and reset)."),
        "{said:?}"
    );
    let snapshot = machine.snapshot();
    let matrix = Matrix::new(&snapshot);
    let bad = matrix.gpus().filter(|gpu| unfit(&snapshot, &matrix.devices[*gpu]).is_some());
    assert_eq!(bad.collect::<Vec<_>>(), [2, 6]);
    // Nor does a job go there that stands badly: only the pair that works is nearer.
    let mut machine = bridged();
    machine.lost.push(0);
    machine.jobs.push((500, vec![1, 2], vec![("CUDA_VISIBLE_DEVICES", "1,2")]));
    let said = machine.said();
    assert!(said[0].1.contains("NVLink joins GPU 2-3"), "{said:?}");
}

#[test]
fn a_gpu_without_an_address_is_unknown_and_hides_nothing() {
    let mut machine = Machine::of(sysfs::HGX).switched(18);
    machine.gpus[3].pci_bus_id = Err(Absence::Lost);
    let matrix = machine.matrix();
    assert_eq!(matrix.cell(0, 3).to_string(), "?");
    assert_eq!(matrix.place_of(&GpuId("GPU-3".into())), Some(3));
}
