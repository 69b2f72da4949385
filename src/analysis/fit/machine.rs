//! The GPUs that a model may go to.

use crate::analysis::topology::{Matrix, groups};
use crate::model::{Absence, GpuState, Reading, Snapshot};
use crate::units::Bytes;

/// A GPU and its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct FitGpu {
    /// Its number.
    pub index: u32,
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
            let live = gpu.live.as_ref().map(|live| &live.value);
            let memory = |reading: Option<&Reading<Bytes>>| match gpu.state {
                GpuState::Ok => reading.cloned().unwrap_or(Err(Absence::NotRequested)),
                GpuState::Lost => Err(Absence::Lost),
                GpuState::Asleep => Err(Absence::Asleep),
                _ => Err(Absence::failed(0, "the GPU does not answer")),
            };
            gpus.push(FitGpu {
                index: gpu.index().unwrap_or_default(),
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
