//! MIG instances: what the parent device does not tell while MIG is on (utilisation, processes) is asked of them.

use super::Device;
use super::call::{CallId, Caller};
use super::error::{Failure, code};
use super::gpm::{GpmState, Scope};
use super::health::mig_mode;
use super::live::read_memory;
use super::names::mig_profile;
use super::port::Port;
use super::processes::read_list;
use super::raw::RawDevice;
use super::value::real;
use crate::model::{Absence, GpuId, MigInstance, Reading};
use crate::units::{Mono, Percent};
use nvml_wrapper::Device as SafeDevice;
use std::collections::BTreeMap;
use std::sync::Arc;

/// More instances than a GPU can have (7 on each of the boards so far).
const MOST_INSTANCES: u32 = 64;
/// Processes that a first reading of an instance has room for.
const ROOM: usize = 32;

/// GPM samples of each GPU instance, by its id.
#[derive(Default)]
pub(super) struct MigState {
    gpm: BTreeMap<u32, GpmState>,
    layout: Option<Layout>,
}

/// Whether MIG is on, and the instances.
type Layout = (bool, Vec<Reading<GpuId>>);

impl Device {
    /// The instances of a device in MIG mode; none when the mode is off. Places without an instance are skipped.
    ///
    /// # Errors
    /// Not supported where the board knows no MIG.
    pub fn mig(&mut self, caller: &Caller) -> Reading<Vec<MigInstance>> {
        let (enabled, _) = mig_mode(&mut self.port, caller)?;
        if !enabled {
            return Ok(self.mig_is_off());
        }
        let count = self.port.safe(caller, CallId::MigCount, SafeDevice::mig_device_count).and_then(real)?;
        let now = caller.now();
        let mut shares = BTreeMap::new();
        let mut instances = Vec::new();
        for index in 0..count.min(MOST_INSTANCES) {
            let handle = self.port.attempt(caller, CallId::MigHandle, index, |handle| {
                Ok(handle.safe.mig_device_by_index(index)?)
            });
            match handle {
                Ok(device) => {
                    let port = self.port.instance(device);
                    instances.push(self.instance(port, caller, now, &mut shares));
                }
                // An empty place: not every profile fills all of them.
                Err(Failure::Code(code::NOT_FOUND | code::INVALID_ARGUMENT)) => {}
                Err(failure) if failure.is_lost() => return Err(Absence::Lost),
                Err(failure) if instances.is_empty() => return Err(Absence::from(&failure)),
                Err(_) => {}
            }
        }
        self.mig.gpm.retain(|instance, _| shares.contains_key(instance));
        self.laid_out((true, instances.iter().map(|instance| instance.uuid.clone()).collect()));
        Ok(instances)
    }

    /// The instances of a device whose mode was just read, and is off: the driver is not asked again.
    pub fn mig_is_off(&mut self) -> Vec<MigInstance> {
        self.mig.gpm.clear();
        self.laid_out((false, Vec::new()));
        Vec::new()
    }

    /// What the device answers depends on how it is divided.
    fn laid_out(&mut self, layout: Layout) {
        if self.mig.layout.as_ref().is_some_and(|before| *before != layout) {
            self.port.forget();
            self.gpm.restart();
        }
        self.mig.layout = Some(layout);
    }

    fn instance(
        &mut self,
        mut port: Port,
        caller: &Caller,
        now: Mono,
        shares: &mut BTreeMap<u32, Reading<Percent>>,
    ) -> MigInstance {
        let gpu_instance = port.raw(caller, CallId::GpuInstanceId, RawDevice::gpu_instance).and_then(real);
        let sm = match &gpu_instance {
            // Compute instances of one GPU instance share its sample.
            Ok(id) => shares.entry(*id).or_insert_with(|| self.sm_share(caller, *id, now)).clone(),
            Err(absence) => Err(absence.clone()),
        };
        let memory = read_memory(&mut port, caller);
        let (total, used) = match &memory {
            Ok(memory) => (Ok(memory.total), Ok(memory.used)),
            Err(absence) => (Err(absence.clone()), Err(absence.clone())),
        };
        let name = port.safe(caller, CallId::Name, SafeDevice::name);
        let mut room = ROOM;
        MigInstance {
            compute_instance: port
                .raw(caller, CallId::ComputeInstanceId, RawDevice::compute_instance)
                .and_then(real),
            uuid: port.safe(caller, CallId::Uuid, SafeDevice::uuid).map(|uuid| GpuId(Arc::from(uuid))),
            profile: name.and_then(|name| mig_profile(&name).map(Arc::from).ok_or(Absence::NotSupported)),
            memory_total: total,
            memory_used: used,
            sm,
            processes: read_list(&mut port, caller, &mut room),
            gpu_instance,
        }
    }

    /// SM activity of a GPU instance since the reading before, by a sample of the parent device.
    fn sm_share(&mut self, caller: &Caller, gpu_instance: u32, now: Mono) -> Reading<Percent> {
        let state = self.mig.gpm.entry(gpu_instance).or_default();
        state
            .read(&mut self.port, caller, Scope::Instance(gpu_instance), now)
            .map_or(Err(Absence::InsufficientHistory { seen_seconds: 0.0 }), |gpm| gpm.sm)
    }
}
