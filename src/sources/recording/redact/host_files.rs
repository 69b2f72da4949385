//! Files of the host. Of what somebody wrote into a configuration, or named, only the words that the doctor's checks
//! are about are kept: a list of what may stay, since nobody can list what may not.

use super::Redactor;
use crate::model::{HostFile, HostFiles};
use std::sync::Arc;

/// Directories in which an administrator, or a program of theirs, chose the names.
const NAMED: [&str; 10] = [
    "/etc/cdi",
    "/var/run/cdi",
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
    "/etc/profile.d",
    "/tmp/nvidia-mps",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet/plugins",
];
/// Where configurations lie; what is below is somebody's text.
const CONFIGURATIONS: [&str; 5] =
    ["/etc/", "/var/run/cdi/", "/run/modprobe.d/", "/usr/lib/modprobe.d/", "/lib/modprobe.d/"];
/// The policy, and what it calls things: the checks compare it with labels.
const POLICY: &str = "/etc/selinux/";
/// Links that somebody may have set to a place of their own.
const LINKS: [&str; 2] = ["/usr/local/", "/etc/alternatives/"];
/// Ends of the files that are looked at.
const ENDS: [&str; 9] = [".yaml", ".yml", ".json", ".conf", ".toml", ".sh", ".sock", ".pid", ".log"];
/// Digits of a word that stays: a version has up to nine.
const DIGITS_AT_MOST: usize = 10;
/// Parts of the words that stay, without digits and in small letters: what the checks look for in these files, the
/// words of the formats, and the usual directories.
const WORDS: &str = "
    accept access alias all allow annotation args auto backend bash bin binaryname blacklist boot cache cap caps
    cdi cdiversion cgroup cgroupdriver cgroupfs cgroups char class cli compat compute config conf containerd
    containeredits containers container cri csv cuda cufile current cvd cvs debug debuglevel default deps dev device
    devicenodes devices disable dkms docker dockerd done drm dri driver dwords echo elif else enable env environment
    envvar esac etc exec experimental export extra false fbdev feature features fi file files firmware fs gds gid
    gnu gpu gpus graphics grpc hda hook hooks host hostpath id ids if ignore in include info install intel io iommu json
    kernel kind kmods kvm kubelet lab ldcache ldconfig ld lib libcuda libdir libnvidia library linux list ll load
    local log loglevel management ml mode modeset modified modprobe module modules mount mountpath mounts mps name native
    no none nouveau nvidia nvidiactl nvml nvswitch off on opt options opts order path pci peermem permissions plugin
    plugins post pre prefix prefixes privileged proc profile real register remove require requires resource rm root
    rule runc crun runtime runtimeargs runtimes sbin set sh share smi snd so softdep spec specs sys systemd
    systemdcgroup swarm test then tmp toml tools toolkit true type udev unset unused usr uvm v var vdpau version
    vfio vga video visible vulkan whitelist wl without x xhci yaml yml ctk com hcd host user value uuid serial pod
    argument setting aarch arm amd
";

pub(super) fn files(redactor: &mut Redactor, all: &mut HostFiles) {
    for file in &mut all.files {
        one(redactor, file);
    }
    // They are looked up by their path.
    all.files.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(pending) = &mut all.pending {
        path(redactor, pending);
    }
}

fn one(redactor: &mut Redactor, file: &mut HostFile) {
    let below = |places: &[&str]| places.iter().any(|place| file.path.starts_with(place));
    let configuration = below(&CONFIGURATIONS) && !file.path.starts_with(POLICY);
    let chosen = below(&LINKS);
    let named = NAMED.contains(&&*file.path);
    for (_, line) in file.lines.iter_mut().flatten() {
        *line = redactor.text(line);
        if configuration {
            *line = words(redactor, line);
        }
    }
    for each in file.names.iter_mut().flatten().filter(|_| named) {
        name(redactor, each);
    }
    if let Ok(link) = &mut file.link
        && chosen
    {
        *link = redactor.text(link);
        *link = words(redactor, link);
    }
    if let Ok(label) = &mut file.label {
        *label = redactor.contexts(label).into();
    }
    path(redactor, &mut file.path);
}

/// Renames the file of a path as its directory lists it.
fn path(redactor: &mut Redactor, path: &mut Arc<str>) {
    let Some((directory, own)) = path.rsplit_once('/').filter(|(directory, _)| NAMED.contains(directory))
    else {
        return;
    };
    let mut own: Arc<str> = own.into();
    name(redactor, &mut own);
    *path = format!("{directory}/{own}").into();
}

/// Replaces a name that tells more than what it is for. Its end stays, and that it begins with NVIDIA's name: the
/// checks go by both.
fn name(redactor: &mut Redactor, name: &mut Arc<str>) {
    let end = ENDS.iter().find(|end| name.ends_with(**end)).copied().unwrap_or_default();
    let mut stem: Arc<str> = name.strip_suffix(end).unwrap_or(name).into();
    if is_kept(&stem) {
        return;
    }
    let maker = if stem.starts_with("nvidia") { "nvidia-" } else { "" };
    redactor.replace("file", &mut stem);
    *name = format!("{maker}{stem}{end}").into();
}

/// Replaces the words of a text that are not kept, each the same throughout.
fn words(redactor: &mut Redactor, text: &str) -> Arc<str> {
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| in_word(c) == in_word(first);
        let (part, after) = rest.split_at(rest.find(|c| !same(c)).unwrap_or(rest.len()));
        if in_word(first) && !is_kept(part) {
            let mut word: Arc<str> = part.into();
            redactor.replace("setting", &mut word);
            out.push_str(&word);
        } else {
            out.push_str(part);
        }
        rest = after;
    }
    out.into()
}

/// Numbers, versions and identifiers of PCI devices, and what consists of known words.
fn is_kept(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let number = word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
    // Four numbers with dots between them are an address.
    if number && digits > 0 {
        return digits <= DIGITS_AT_MOST && word.matches('.').count() <= 2;
    }
    let hexadecimal = |word: &str| word.len() <= 6 && word.chars().all(|c| c.is_ascii_hexdigit() || c == 'x');
    if word.starts_with("NVreg_") || word.starts_with("0x") && hexadecimal(word) {
        return true;
    }
    let mut parts = word.split(|c: char| !c.is_alphabetic()).filter(|part| !part.is_empty());
    let known = |part: &str| {
        let small = part.to_lowercase();
        WORDS.split_whitespace().any(|word| word == small)
    };
    (digits <= DIGITS_AT_MOST && parts.all(known)) || word.len() == 4 && hexadecimal(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Absence, Reading};

    fn lines(texts: &[&str]) -> Reading<Vec<(u32, Arc<str>)>> {
        Ok((1..).zip(texts.iter().map(|text| Arc::from(*text))).collect())
    }

    fn redacted(path: &str, text: &str) -> String {
        let file = HostFile { lines: lines(&[text]), ..HostFile::new(path) };
        let mut all = HostFiles { files: vec![file], pending: None };
        files(&mut Redactor::default(), &mut all);
        all.files[0].value().unwrap().to_owned()
    }

    #[test]
    fn of_a_configuration_the_telling_words_stay() {
        let line = r#"{"runtimes":{"nvidia":{"path":"/usr/bin/nvidia-container-runtime"}},"default-runtime":"nvidia","insecure-registries":["registry.secret.corp:5000"],"proxies":{"http":"http://user:pa55@10.1.2.3:3128"}}"#;
        let shown = redacted("/etc/docker/daemon.json", line);
        for secret in ["registry.secret", "corp", "pa55", "10.1.2.3", "insecure", "http"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        for kept in [
            r#""runtimes":{"nvidia":{"path":"/usr/bin/nvidia-container-runtime"}}"#,
            r#""default-runtime":"nvidia""#,
        ] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
    }

    #[test]
    fn what_the_checks_look_for_stays_as_it_is() {
        for (path, line) in [
            ("/etc/cdi/nvidia.yaml", "    - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.127.05"),
            ("/etc/cdi/nvidia.yaml", "    - path: /dev/nvidia-uvm"),
            ("/etc/cdi/nvidia.yaml", "kind: nvidia.com/gpu"),
            ("/etc/cdi/nvidia.yaml", "cdiVersion: 0.5.0"),
            ("/etc/docker/daemon.json", r#"  "exec-opts": ["native.cgroupdriver=systemd"],"#),
            ("/etc/environment", "CUDA_VISIBLE_DEVICES=0,1"),
            ("/etc/profile.d/cuda.sh", "export LD_LIBRARY_PATH=/usr/local/cuda-12.4/compat:$LD_LIBRARY_PATH"),
            ("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2330,10de:22a3 disable_vga=1"),
            (
                "/etc/modprobe.d/nvidia.conf",
                "options nvidia NVreg_DeviceFileMode=0660 NVreg_DeviceFileGID=44",
            ),
            ("/etc/modprobe.d/blacklist-nouveau.conf", "blacklist nouveau"),
            ("/etc/nvidia-container-runtime/config.toml", "no-cgroups = false"),
            (
                "/etc/containerd/config.toml",
                r#"[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]"#,
            ),
            (
                "/etc/selinux/targeted/contexts/files/file_contexts",
                "/dev/nvidia.* -c system_u:object_r:acme_t:s0",
            ),
            ("/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.127.05"),
        ] {
            assert_eq!(redacted(path, line), line.trim(), "{path}");
        }
    }

    #[test]
    fn names_that_somebody_chose_are_the_same_in_directory_and_path() {
        let mut directory = HostFile::new("/etc/cdi");
        directory.names = Ok(vec!["alice-nvidia.yaml".into(), "nvidia.yaml".into()]);
        let specification = HostFile {
            lines: lines(&["kind: alice.example/gpu"]),
            ..HostFile::new("/etc/cdi/alice-nvidia.yaml")
        };
        let mut node = HostFile::new("/dev/nvidia0");
        node.label = Ok("alice_u:object_r:xserver_misc_device_t:s0".into());
        let cuda = HostFile { link: Ok("/home/alice/cuda-12.4".into()), ..HostFile::new("/usr/local/cuda") };
        let list = vec![node, directory, specification, HostFile::new("/etc/cdi/nvidia.yaml"), cuda];
        let mut all = HostFiles { files: list, pending: Some("/etc/cdi/alice-nvidia.yaml".into()) };
        files(&mut Redactor::default(), &mut all);
        assert!(!format!("{all:?}").contains("alice"), "{all:?}");
        let mut plugins = HostFile::new("/var/lib/kubelet/device-plugins");
        plugins.names = Ok(vec!["kubelet.sock".into(), "nvidia-acme.sock".into(), "nvidia-gpu.sock".into()]);
        let mut others = HostFiles { files: vec![plugins], pending: None };
        files(&mut Redactor::default(), &mut others);
        let names = others.files[0].names.clone().unwrap();
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["kubelet.sock", "nvidia-file1.sock", "nvidia-gpu.sock"]);
        let names = all.get("/etc/cdi").unwrap().names.clone().unwrap();
        assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["file1.yaml", "nvidia.yaml"]);
        assert_eq!(all.get("/etc/cdi/file1.yaml").unwrap().value(), Some("kind: setting1/gpu"));
        assert!(all.get("/etc/cdi/nvidia.yaml").is_some() && all.get("/usr/local/cuda").is_some());
        let label = all.get("/dev/nvidia0").unwrap().label.clone();
        assert!(
            label.as_ref().is_ok_and(|label| label.ends_with(":object_r:xserver_misc_device_t:s0")),
            "{label:?}"
        );
        assert_eq!(all.get("/etc/cdi").unwrap().lines, Err(Absence::NotRequested));
    }
}
