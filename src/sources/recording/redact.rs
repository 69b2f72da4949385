//! Replacing what tells a machine, its users and their work.

mod host_files;
mod storage;

use crate::model::{
    Container, GpuId, Header, Inventory, ProcessFacts, Reading, Record, Sample, SourceStatus, StuckCall,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is also looked for in free text. Arguments and values are not: `79` may be one, and an Xid.
const IN_TEXT: [&str; 5] = ["host", "user", "serial", "container", "pod"];
/// Shorter names are too likely to be a word of the text.
const SHORTEST: usize = 3;

/// What the kernel puts before the path of a control group, which names a container, a pod or a job.
const GROUPS: [&str; 3] = ["task_memcg=", "oom_memcg=", "cpuset="];
/// Users that the policies bring along.
const SELINUX_USERS: [&str; 8] =
    ["system_u", "unconfined_u", "user_u", "staff_u", "sysadm_u", "guest_u", "xguest_u", "root"];
/// This many hexadecimal digits name something: a container, a machine, an image.
const DIGITS_OF_AN_ID: usize = 32;

/// Replaces users (`root` stays), host names, boot ids, UUIDs, serial numbers, arguments, values of the
/// environment, cgroups, containers, pods, jobs and units by names that are the same throughout one recording
/// (`user1`, `host1`), also where they stand in the text of an event. Of configurations of the host the words stay that
/// the doctor's checks are about. Kept are PIDs, program names, PCI addresses,
/// versions and all measurements.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    known: BTreeMap<(&'static str, Arc<str>), Arc<str>>,
    counts: BTreeMap<&'static str, u32>,
}

impl Redactor {
    /// Replaces what there is to replace in one record.
    pub fn redact(&mut self, mut record: Record) -> Record {
        match &mut record {
            Record::Header(header) => self.header(header),
            Record::Inventory(inventory) => self.inventory(inventory),
            Record::Sample(sample) => self.sample(sample),
            Record::Event(event) => {
                if let Some(gpu) = &mut event.gpu {
                    self.gpu(gpu);
                }
                event.text = self.text(&event.text);
            }
            Record::CallStuck(call) => self.stuck(call),
            Record::Snapshots(batch) => storage::batch(self, batch),
            Record::Gap(_) | Record::Bye(_) => {}
        }
        record
    }

    fn header(&mut self, header: &mut Header) {
        self.replace("host", &mut header.host.hostname);
        self.replace("boot", &mut header.host.boot_id);
    }

    fn inventory(&mut self, inventory: &mut Inventory) {
        for gpu in &mut inventory.gpus {
            self.reading("uuid", &mut gpu.uuid);
            self.reading("serial", &mut gpu.serial);
        }
        for facts in &mut inventory.processes {
            self.facts(facts);
        }
        if let Some(problem) = &mut inventory.driver.problem {
            *problem = self.text(problem);
        }
    }

    fn facts(&mut self, facts: &mut ProcessFacts) {
        self.reading("user", &mut facts.user);
        self.reading("cgroup", &mut facts.cgroup);
        if let Ok(command) = &mut facts.command {
            for (index, argument) in command.iter_mut().enumerate() {
                if index == 0 {
                    // The program without the way to it, which may name a home.
                    *argument = argument.rsplit('/').next().unwrap_or_default().into();
                } else {
                    self.replace("argument", argument);
                }
            }
        }
        for (_, value) in facts.environment.iter_mut().flatten() {
            // CUDA_VISIBLE_DEVICES=0,1 tells nothing but what the recording shows anyway.
            if !value.chars().all(|c| c.is_ascii_digit() || c == ',') {
                self.replace("value", value);
            }
        }
        if let Some(Container { id, .. }) = &mut facts.container {
            self.replace("container", id);
        }
        for (kind, name) in
            [("pod", &mut facts.pod), ("job", &mut facts.slurm_job), ("unit", &mut facts.unit)]
        {
            if let Some(name) = name {
                self.replace(kind, name);
            }
        }
    }

    fn sample(&mut self, sample: &mut Sample) {
        for gpu in &mut sample.gpus {
            self.gpu(&mut gpu.id);
            if let Some(call) = &mut gpu.stuck {
                self.stuck(call);
            }
            if let Some(Ok(instances)) = gpu.mig.as_mut().map(|group| &mut group.value) {
                for instance in instances {
                    if let Ok(uuid) = &mut instance.uuid {
                        self.gpu(uuid);
                    }
                }
            }
        }
        if let Some(storage) = &mut sample.storage {
            storage::sample(self, storage);
        }
        if let Some(group) = &mut sample.host_files {
            host_files::files(self, &mut group.value);
        }
        for SourceStatus { reason, .. } in &mut sample.sources {
            *reason = self.text(reason);
        }
    }

    fn stuck(&mut self, call: &mut StuckCall) {
        if let Some(gpu) = &mut call.gpu {
            self.gpu(gpu);
        }
    }

    fn gpu(&mut self, GpuId(id): &mut GpuId) {
        // A PCI address stands in for a UUID that could not be read; it tells nothing.
        if id.starts_with("GPU-") || id.starts_with("MIG-") {
            self.replace("uuid", id);
        }
    }

    fn reading(&mut self, kind: &'static str, reading: &mut Reading<Arc<str>>) {
        if let Ok(text) = reading {
            self.replace(kind, text);
        }
    }

    pub(super) fn replace(&mut self, kind: &'static str, text: &mut Arc<str>) {
        if text.is_empty() || (kind == "user" && &**text == "root") {
            return;
        }
        let key = (kind, Arc::clone(text));
        if let Some(known) = self.known.get(&key) {
            *text = Arc::clone(known);
            return;
        }
        let number = self.counts.entry(kind).or_default();
        *number += 1;
        let name: Arc<str> = match kind {
            "uuid" => {
                let prefix = if text.starts_with("MIG-") { "MIG" } else { "GPU" };
                format!("{prefix}-00000000-0000-0000-0000-{number:012}").into()
            }
            _ => format!("{kind}{number}").into(),
        };
        self.known.insert(key, Arc::clone(&name));
        *text = name;
    }

    /// Replaces in free text what is known from elsewhere, UUIDs, and the serial number that the driver prints when a
    /// GPU falls off the bus.
    fn text(&mut self, text: &str) -> Arc<str> {
        let text = self.groups(&self.hosts(text));
        let text = self.contexts(&text);
        let mut out = String::with_capacity(text.len());
        let mut before = "";
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
            let length = match rest.find(|c: char| !word(c)) {
                Some(0) => first.len_utf8(),
                Some(length) => length,
                None => rest.len(),
            };
            let (token, after) = rest.split_at(length);
            if out.ends_with("/home/") {
                let mut user = Arc::from(token);
                self.replace("user", &mut user);
                out.push_str(&user);
            } else {
                out.push_str(&self.word(token, before));
            }
            if !token.chars().all(char::is_whitespace) {
                before = token;
            }
            rest = after;
        }
        out.into()
    }

    /// Host names with a domain are several words, and are looked for as a whole.
    fn hosts(&self, text: &str) -> String {
        let dotted = self.known.iter().filter(|((kind, name), _)| *kind == "host" && name.contains('.'));
        dotted.fold(text.to_owned(), |text, ((_, name), redacted)| text.replace(&**name, redacted))
    }

    /// Control groups in the kernel's lines about memory that ran out.
    fn groups(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, key)) = GROUPS.iter().filter_map(|key| Some((rest.find(key)?, key))).min() {
            let (before, group) = rest.split_at(at + key.len());
            let end = group.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(group.len());
            let (group, after) = group.split_at(end);
            out.push_str(before);
            if group == "/" {
                out.push_str(group);
            } else {
                let mut name = Arc::from(group);
                self.replace("cgroup", &mut name);
                out.push_str(&name);
            }
            rest = after;
        }
        out + rest
    }

    /// Users of SELinux in its contexts (`scontext=USER:ROLE:TYPE:LEVEL`), which may be named after people.
    fn contexts(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for token in text.split_inclusive(char::is_whitespace) {
            let at = token.rfind('=').map_or(0, |at| at + 1);
            let (before, context) = token.split_at(at);
            out.push_str(before);
            match context.split_once(':') {
                Some((user, rest))
                    if rest.split(':').next().is_some_and(|role| role.ends_with("_r"))
                        && !SELINUX_USERS.contains(&user) =>
                {
                    let mut user: Arc<str> = user.into();
                    self.replace("user", &mut user);
                    out.push_str(&user);
                    out.push(':');
                    out.push_str(rest);
                }
                _ => out.push_str(context),
            }
        }
        out
    }

    fn word(&mut self, word: &str, before: &str) -> Arc<str> {
        let mut name: Arc<str> = word.into();
        // "GPU serial number is 1650…"
        let serial = before == "is" && word.len() >= 8 && word.chars().all(|c| c.is_ascii_digit());
        if serial {
            self.replace("serial", &mut name);
        } else if is_uuid(word) {
            self.replace("uuid", &mut name);
        } else if word.len() >= DIGITS_OF_AN_ID && word.chars().all(|c| c.is_ascii_hexdigit()) {
            self.replace("container", &mut name);
        } else if word.len() >= SHORTEST {
            let known = IN_TEXT.iter().find_map(|kind| self.known.get(&(*kind, Arc::clone(&name))));
            name = known.map_or(name, Arc::clone);
        }
        name
    }
}

/// `GPU-` or `MIG-` and 8-4-4-4-12 hexadecimal digits.
fn is_uuid(word: &str) -> bool {
    let Some(digits) = word.strip_prefix("GPU-").or_else(|| word.strip_prefix("MIG-")) else { return false };
    digits.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && digits.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}
