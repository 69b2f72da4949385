use super::*;
use crate::model::{Container, ProcessFacts};
use crate::units::Wall;
use std::path::Path;

pub(super) fn fixture(name: &str) -> Root {
    Root::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/roots").join(name)).unwrap()
}

fn facts(root: &str, pid: u32) -> ProcessFacts {
    let reader = FactsReader::new(fixture(root));
    let mut facts = reader.read_cheap(pid);
    reader.read_memory_backed(pid, &mut facts);
    facts
}

#[test]
fn the_host_is_known_by_its_pid_namespace() {
    assert_eq!(host_pids_visible(&fixture("docker-v2")), Ok(true));
    assert_eq!(host_pids_visible(&fixture("container")), Ok(false), "PID 2 is no kernel thread there");
    assert_eq!(
        host_pids_visible(&fixture("container-host-proc")),
        Ok(true),
        "the host's /proc in a container"
    );
    assert_eq!(host_pids_visible(&fixture("none")), Err(Absence::NotSupported));
}

#[test]
fn what_changes_comes_from_stat() {
    let mut reader = ProcessReader::new(fixture("docker-v2"));
    let [python, odd, gone] = reader.read(&[4711, 4900, 99]).try_into().unwrap();
    assert_eq!(python.key, ProcessKey { pid: 4711, start: 500_000 });
    assert_eq!(python.state, Ok('S'));
    assert_eq!(python.cpu_ns, Ok(20_000_000_000), "2000 ticks of 10 ms");
    assert_eq!(python.resident, Ok(Bytes(2_048 * 4_096)));
    assert_eq!((odd.state, odd.key.start), (Ok('R'), 700_000), "named \"a) b) R\"");
    assert_eq!((gone.key.start, gone.cpu_ns), (0, Err(Absence::NotSupported)));
}

#[test]
fn inside_a_container_a_local_process_is_never_taken_for_the_drivers() {
    let process = ProcessReader::new(fixture("container")).read(&[4711]).remove(0);
    assert_eq!((process.key.start, process.state), (0, Err(Absence::NotSupported)));
    let facts = facts("container", 4711);
    assert!(!facts.visible);
    assert_eq!(facts.name, Err(Absence::NotSupported));
    assert_eq!(facts.command, Err(Absence::NotSupported));
}

#[test]
fn a_training_job_in_docker() {
    let facts = facts("docker-v2", 4711);
    assert!(facts.visible);
    assert_eq!(facts.inner_pid, Some(42));
    assert_eq!(facts.user.as_deref(), Ok("ada"));
    assert_eq!(facts.name.as_deref(), Ok("python3"));
    let command = facts.command.unwrap().join("|");
    assert_eq!(command, "python3|train.py|--config|llama 70b.yaml|--hf-token|***|--max-tokens|4096");
    let environment: Vec<String> =
        facts.environment.unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected =
        ["CUDA_VISIBLE_DEVICES=0,1", "NCCL_DEBUG=INFO", "RANK=3", "WORLD_SIZE=8", "VLLM_API_KEY=***"];
    assert_eq!(environment, expected);
    assert_eq!(facts.container.unwrap().runtime.as_ref(), "docker");
    assert_eq!(facts.unit, None);
    assert_eq!(facts.parent, Ok(1));
    // 1,700,000,000 s of btime and 500,000 ticks of 10 ms.
    assert_eq!(facts.started, Ok(Wall(1_700_005_000_000_000)));
}

#[test]
fn podman_units_blanks_and_zombies() {
    let podman = facts("docker-v2", 4800);
    assert_eq!(podman.container.unwrap().runtime.as_ref(), "podman");
    assert_eq!(podman.user.as_deref(), Ok("4321"), "not in /etc/passwd");
    assert_eq!(podman.inner_pid, Some(7));
    let session = facts("docker-v2", 4900);
    assert_eq!(session.name.as_deref(), Ok("a) b) R"));
    assert_eq!(session.unit.as_deref(), Some("session-3.scope"));
    let path = "/user.slice/user-1000.slice/session-3.scope/my jobs/run 1";
    assert_eq!((session.cgroup.as_deref(), session.inner_pid), (Ok(path), None));
    let zombie = facts("docker-v2", 5000);
    assert_eq!((zombie.command, zombie.environment), (Ok(vec![]), Err(Absence::NotSupported)));
}

#[test]
fn kubernetes_and_slurm() {
    let triton = facts("kubernetes-v2", 9001);
    assert_eq!(triton.pod.as_deref(), Some("0f8fad5b-d9cb-469f-a165-70867728950e"));
    assert_eq!(triton.container.map(|container| container.runtime), Some("containerd".into()));
    let vllm = facts("kubernetes-v2", 9002);
    assert_eq!(vllm.container.map(|container| container.runtime), Some("cri-o".into()));
    assert_eq!(vllm.command.unwrap().last().unwrap().as_ref(), "--api-key=***");
    let slurm = facts("slurm-v1", 7001);
    assert_eq!(
        (slurm.slurm_job.as_deref(), slurm.unit.as_deref()),
        (Some("123456.0"), Some("slurmd.service"))
    );
    let docker: Option<Container> = facts("slurm-v1", 7002).container;
    assert_eq!(docker.map(|container| container.runtime), Some("docker".into()));
    assert_eq!(facts("slurm-v1", 7003).pod.as_deref(), Some("0f8fad5b-d9cb-469f-a165-70867728950e"));
}

#[test]
fn a_process_in_uninterruptible_sleep_is_not_asked() {
    // The fixture's cmdline hangs: asking would never return.
    let facts = facts("wedged", 200);
    let failed = Err(Absence::failed(0, "process is in uninterruptible sleep (D)"));
    assert_eq!(facts.command, failed);
    assert_eq!(facts.name.as_deref(), Ok("python3"), "what is cheap is still read");
}

#[test]
fn what_one_file_refuses_costs_only_its_own_reading() {
    let foreign = facts("wedged", 400);
    assert_eq!(foreign.environment, Err(Absence::NoPermission));
    assert_eq!(foreign.command.unwrap().len(), 2);
    let broken = facts("wedged", 500);
    assert!(matches!(broken.cgroup, Err(Absence::Failed { code: 5, .. })), "{:?}", broken.cgroup);
    assert_eq!(broken.command.unwrap().len(), 2);
}

#[test]
fn a_reused_pid_never_shows_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let process = directory.path().join("proc/7");
    std::fs::create_dir_all(&process).unwrap();
    std::fs::create_dir_all(directory.path().join("proc/self/ns")).unwrap();
    std::os::unix::fs::symlink(INITIAL_PID_NAMESPACE, directory.path().join("proc/self/ns/pid")).unwrap();
    let stat = |start: u32| {
        format!("7 (a) R 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {start} 1 1 1{}", " 0".repeat(27))
    };
    std::fs::write(process.join("stat"), stat(100)).unwrap();
    std::fs::write(process.join("cmdline"), "first").unwrap();
    let reader = FactsReader::new(Root::open(directory.path()).unwrap());
    let mut facts = reader.read_cheap(7);
    assert_eq!(facts.key.start, 100);
    std::fs::write(process.join("stat"), stat(200)).unwrap();
    std::fs::write(process.join("cmdline"), "second").unwrap();
    reader.read_memory_backed(7, &mut facts);
    assert_eq!(facts.command, Err(Absence::NotSupported));
    assert_eq!(reader.read_cheap(7).key.start, 200);
}

#[test]
fn this_process_reads_itself() {
    let pid = std::process::id();
    // In a container the live /proc is not the host's, and then nothing is shown.
    let visible = host_pids_visible(&Root::Live) == Ok(true);
    let process = ProcessReader::new(Root::Live).read(&[pid]).remove(0);
    assert_eq!(process.key.start > 0, visible);
    let reader = FactsReader::new(Root::Live);
    let mut facts = reader.read_cheap(pid);
    reader.read_memory_backed(pid, &mut facts);
    assert_eq!((facts.visible, facts.command.is_ok()), (visible, visible));
    assert_eq!(facts.key, process.key);
}
