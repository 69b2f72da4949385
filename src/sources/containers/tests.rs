use super::*;
use proptest::prelude::*;

const ID: &str = "3f4e1a90b7c25d68e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8";
const POD: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const POD_: &str = "0f8fad5b_d9cb_469f_a165_70867728950e";

/// The facts of a path as text: `runtime/id | pod | job | unit`, ids shortened, `-` for none.
fn facts(path: &str) -> String {
    let path = path.replace("POD_", POD_).replace("POD", POD).replace("ID", ID);
    said(&parse_cgroup(&format!("0::{path}\n")))
}

fn said(facts: &CgroupFacts) -> String {
    let container =
        facts.container.as_ref().map(|container| format!("{}/{}", container.runtime, container.id));
    let text = |part: &Option<Arc<str>>| part.as_deref().unwrap_or("-").to_owned();
    let all = format!(
        "{} | {} | {} | {}",
        container.as_deref().unwrap_or("-"),
        text(&facts.pod),
        text(&facts.slurm_job),
        text(&facts.unit)
    );
    all.replace(ID, "ID").replace(POD, "POD")
}

#[test]
fn every_runtime_and_driver() {
    let cases = [
        ("/", "- | - | - | -"),
        ("/system.slice/docker-ID.scope", "docker/ID | - | - | -"),
        ("/docker/ID", "docker/ID | - | - | -"),
        ("/ecs/1234abcd/ID", "container/ID | - | - | -"),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "podman/ID | - | - | user@1000.service",
        ),
        ("/machine.slice/libpod-ID.scope", "podman/ID | - | - | -"),
        ("/libpod_parent/libpod-ID", "podman/ID | - | - | -"),
        ("/system.slice/web.service/libpod-payload-ID", "podman/ID | - | - | web.service"),
        ("/machine.slice/libpod-conmon-ID.scope", "- | - | - | libpod-conmon-ID.scope"),
        ("/system.slice/nerdctl-ID.scope", "containerd/ID | - | - | -"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podPOD_.slice/cri-containerd-ID.scope",
            "containerd/ID | POD | - | -",
        ),
        ("/kubepods.slice/kubepods-podPOD_.slice/crio-ID.scope", "cri-o/ID | POD | - | -"),
        ("/kubepods.slice/kubepods-podPOD_.slice/crio-conmon-ID.scope", "- | POD | - | crio-conmon-ID.scope"),
        ("/kubepods/burstable/podPOD/ID", "kubernetes/ID | POD | - | -"),
        ("/kubepods/podPOD/crio-ID", "cri-o/ID | POD | - | -"),
        (
            "/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/ID",
            "kubernetes/ID | 0123456789abcdef0123456789abcdef | - | -",
        ),
        (
            "/system.slice/containerd.service/kubepods-burstable-podPOD_.slice:cri-containerd:ID",
            "containerd/ID | POD | - | containerd.service",
        ),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podPOD_.slice/cri-containerd-ID.scope",
            "containerd/ID | POD | - | -",
        ),
        ("/lxc/101/ns/system.slice/ollama.service", "lxc/101 | - | - | ollama.service"),
        ("/lxc.payload.box one", "lxc/box one | - | - | -"),
        ("/lxc.payload/box/init.scope", "lxc/box | - | - | init.scope"),
        ("/lxc.monitor.box", "- | - | - | -"),
        ("/machine.slice/systemd-nspawn@build\\x2d1.service/payload", "systemd-nspawn/build-1 | - | - | -"),
        ("/machine.slice/machine-build.scope", "systemd-nspawn/build | - | - | -"),
        (
            "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
            "- | - | - | machine-qemu\\x2d1\\x2dvm.scope",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-term\\x2dx-1.scope",
            "- | - | - | app-gnome-term\\x2dx-1.scope",
        ),
        ("/user.slice/user-1000.slice/session-3.scope/my jobs/run 1", "- | - | - | session-3.scope"),
        ("/system.slice/system-ollama.slice/ollama@0.service", "- | - | - | ollama@0.service"),
        ("/../../system.slice/ollama.service", "- | - | - | ollama.service"),
        ("/.service/pod/podx/job_1/step_0", "- | - | - | -"),
    ];
    for (path, expected) in cases {
        assert_eq!(facts(path), expected, "{path}");
    }
}

#[test]
fn slurm_of_both_versions() {
    for (path, job) in [
        ("/slurm/uid_1000/job_123/step_0/task_0", "123.0"),
        ("/slurm_node7/uid_1000/job_123/step_batch", "123.batch"),
        ("/slurm/uid_1000/job_123", "123"),
        ("/system.slice/slurmstepd.scope/job_77/step_extern/user/task_special", "77.extern"),
        ("/system.slice/node7_slurmstepd.scope/job_77/step_0/user/task_3", "77.0"),
    ] {
        let parsed = parse_cgroup(&format!("0::{path}\n"));
        assert_eq!(parsed.slurm_job.as_deref(), Some(job), "{path}");
    }
}

#[test]
fn version_1_joins_what_its_hierarchies_say() {
    let text = "12:devices:/slurm/uid_1000/job_9/step_0/task_3\n11:cpu,cpuacct:/\n1:name=systemd:/system.slice/slurmd.service\n";
    let parsed = parse_cgroup(text);
    assert_eq!(parsed.path.as_ref(), "/system.slice/slurmd.service");
    assert_eq!(said(&parsed), "- | - | 9.0 | slurmd.service");
    // The hybrid layout: version 2 is there and empty.
    let hybrid = format!("0::/\n4:memory:/docker/{ID}\n");
    let parsed = parse_cgroup(&hybrid);
    assert_eq!(said(&parsed), "docker/ID | - | - | -");
    assert_eq!(parsed.path.as_ref(), format!("/docker/{ID}"));
}

#[test]
fn of_nested_containers_the_innermost_counts() {
    let inner = ID.replacen('3', "b", 1);
    let parsed = parse_cgroup(&format!("0::/system.slice/docker-{ID}.scope/docker/{inner}\n"));
    assert_eq!(parsed.container.unwrap().id.as_ref(), inner);
    let parsed = parse_cgroup(&format!(
        "0::/docker/{ID}/kubelet/kubepods/pod{POD}/{inner}/system.slice/app.service\n"
    ));
    assert_eq!((parsed.pod.as_deref(), parsed.unit.as_deref()), (Some(POD), Some("app.service")));
    assert_eq!(parsed.container.unwrap().id.as_ref(), inner);
}

#[test]
fn what_is_no_cgroup_file_gives_nothing() {
    for text in ["", "\n\n", "0::", "0:/", "garbage", "::::", "1:name=systemd:relative"] {
        assert_eq!(parse_cgroup(text), CgroupFacts::default(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", path in "([0-9]{1,2}:[a-z=,]{0,9}:)?(/(docker-|pod|kubepods-pod|machine-|lxc|slurm|job_|step_|\\\\x|[a-f0-9_.é-]{0,40}|\\.scope|\\.service|\\.slice|:cri-containerd:){0,4}){0,6}") {
        let _ = parse_cgroup(&text);
        let _ = parse_cgroup(&path);
        let _ = unescape(&text);
    }
}
