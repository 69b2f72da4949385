//! MIG instances, and what can be made of a GPU.

use crate::model::{MigInstance, Reading};

/// A MIG instance.
#[derive(Clone, Debug, PartialEq)]
pub struct MigFacts {
    /// Number of the GPU instance.
    pub instance: Reading<u32>,
    /// Profile as nvidia-smi names it.
    pub profile: Reading<String>,
    /// PIDs of its processes; absent where the driver does not tell.
    pub processes: Reading<Vec<u32>>,
}

impl MigFacts {
    pub(super) fn of(instance: &MigInstance) -> Self {
        Self {
            instance: instance.gpu_instance.clone(),
            profile: instance.profile.as_ref().map(ToString::to_string).map_err(Clone::clone),
            processes: instance
                .processes
                .as_ref()
                .map(|list| list.iter().map(|entry| entry.pid).collect())
                .map_err(Clone::clone),
        }
    }

    /// Profile and number: `1g.18gb (7)`.
    #[must_use]
    pub fn name(&self) -> String {
        let number = self.instance.as_ref().map_or_else(|_| "?".to_owned(), ToString::to_string);
        format!("{} ({number})", self.profile.as_deref().unwrap_or("unknown profile"))
    }
}

/// A profile of which instances can be made.
#[derive(Clone, Debug, PartialEq)]
pub struct MigProfile {
    /// The driver's number.
    pub id: u32,
    /// Name as nvidia-smi has it: `1g.18gb`.
    pub name: String,
    /// Framebuffer of an instance, MiB.
    pub memory_mib: u64,
    /// How many of them the GPU can hold.
    pub most: u32,
    /// How many more can be made beside what is there.
    pub free: Reading<u32>,
}

impl MigProfile {
    /// Whether the text means this profile: its number or its name.
    #[must_use]
    pub fn is_called(&self, text: &str) -> bool {
        self.id.to_string() == text || self.name == text
    }
}
