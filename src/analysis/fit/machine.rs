//! The GPUs that a model may go to.

use crate::analysis::topology::{Matrix, groups};
use crate::model::{Absence, Gpu, GpuState, Reading, Snapshot, known, read};
use crate::units::Bytes;
use std::collections::BTreeSet;

/// A GPU, or a MIG instance of one, and its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct FitGpu {
    /// Its number.
    pub index: u32,
    /// Where it is a MIG instance: its id and profile, as `1 (3g.40gb)`. Such a one takes a model alone: there is no
    /// peer-to-peer between instances.
    pub instance: Option<String>,
    /// Its product name, or what was assumed.
    pub name: String,
    /// Memory that can be allocated now.
    pub free: Reading<Bytes>,
    /// Memory, all of it.
    pub total: Reading<Bytes>,
}

/// The GPUs and how they are joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// The GPUs.
    pub gpus: Vec<FitGpu>,
    /// Groups of at least two that NVLink joins each with each, by place in `gpus`.
    pub linked: Vec<Vec<usize>>,
    /// Made up on the command line: nothing is known of links and of what else is in memory.
    pub assumed: bool,
}

impl Machine {
    /// The GPUs of a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let matrix = Matrix::new(snapshot);
        let mut gpus = Vec::new();
        let mut places = Vec::new();
        for gpu in snapshot.gpus.iter().filter(|gpu| gpu.index().is_some()) {
            if let Some(instances) = divided(gpu) {
                places.extend(instances.iter().map(|_| None));
                gpus.extend(instances);
                continue;
            }
            let live = gpu.live.as_ref().map(|live| &live.value);
            let memory = |reading: Option<&Reading<Bytes>>| match gpu.state {
                GpuState::Ok => reading.cloned().unwrap_or(Err(Absence::NotRequested)),
                GpuState::Lost => Err(Absence::Lost),
                GpuState::Asleep => Err(Absence::Asleep),
                _ => Err(Absence::failed(0, "the GPU does not answer")),
            };
            gpus.push(FitGpu {
                index: gpu.index().unwrap_or_default(),
                instance: None,
                name: gpu.info.name.as_deref().unwrap_or("GPU").to_owned(),
                free: memory(live.map(|live| &live.memory_free)),
                total: memory(live.map(|live| &live.memory_total)),
            });
            places.push(matrix.place_of(&gpu.id));
        }
        let own = |place: usize| places.iter().position(|of| *of == Some(place));
        let linked = groups(&matrix)
            .into_iter()
            .map(|group| group.into_iter().filter_map(own).collect::<Vec<_>>())
            .filter(|group| group.len() > 1)
            .collect();
        Self { gpus, linked, assumed: false }
    }

    /// GPUs with that much free memory each, as somebody plans to buy them.
    #[must_use]
    pub fn assumed(memory: &[Bytes]) -> Self {
        let gpu = |(index, memory): (usize, &Bytes)| FitGpu {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            instance: None,
            name: "assumed".to_owned(),
            free: Ok(*memory),
            total: Ok(*memory),
        };
        Self { gpus: memory.iter().enumerate().map(gpu).collect(), linked: Vec::new(), assumed: true }
    }

    /// Keeps the GPUs of these numbers.
    pub fn keep(&mut self, indexes: &[u32]) {
        let kept: Vec<usize> = (0..self.gpus.len())
            .filter(|place| self.gpus.get(*place).is_some_and(|gpu| indexes.contains(&gpu.index)))
            .collect();
        self.gpus.retain(|gpu| indexes.contains(&gpu.index));
        for group in &mut self.linked {
            *group = group.iter().filter_map(|old| kept.iter().position(|place| place == old)).collect();
        }
        self.linked.retain(|group| group.len() > 1);
    }
}

/// The MIG instances in place of a GPU that is divided into them: no process can use the whole of it. `None` for one
/// that is not.
fn divided(gpu: &Gpu) -> Option<Vec<FitGpu>> {
    let on = read::health(gpu, |health| &health.mig) == Ok(true)
        || gpu.mig.as_ref().is_some_and(|group| group.value.as_ref().is_ok_and(|all| !all.is_empty()));
    if gpu.state != GpuState::Ok || !on {
        return None;
    }
    let of = |instance: Option<String>, free: Reading<Bytes>, total: Reading<Bytes>| FitGpu {
        index: gpu.index().unwrap_or_default(),
        instance,
        name: gpu.info.name.as_deref().unwrap_or("GPU").to_owned(),
        free,
        total,
    };
    let nothing = |absence: &Absence| vec![of(None, Err(absence.clone()), Err(absence.clone()))];
    let instances = match gpu.mig.as_ref().map(|group| &group.value) {
        Some(Ok(instances)) => instances,
        Some(Err(absence)) => return Some(nothing(absence)),
        None => return Some(nothing(&Absence::NotRequested)),
    };
    // Compute instances of one GPU instance share its memory.
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for instance in instances {
        let id = known(&instance.gpu_instance);
        if id.is_some_and(|id| !seen.insert(id)) {
            continue;
        }
        let id = id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        let profile = instance.profile.as_ref().map_or_else(|_| String::new(), |name| format!(" ({name})"));
        let free = match (&instance.memory_total, &instance.memory_used) {
            (Ok(total), Ok(used)) => Ok(total.saturating_sub(*used)),
            (Err(absence), _) | (_, Err(absence)) => Err(absence.clone()),
        };
        all.push(of(Some(format!("{id}{profile}")), free, instance.memory_total.clone()));
    }
    if all.is_empty() {
        return Some(nothing(&Absence::failed(0, "MIG mode is on, and there is no instance")));
    }
    Some(all)
}
