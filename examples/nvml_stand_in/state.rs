//! The library's state: its scenario, the time since the start, the faults that a call runs into, and what was
//! set since.

use crate::code::{Answer, GPU_IS_LOST, INVALID_ARGUMENT, SUCCESS, UNINITIALIZED};
use crate::settings::Settings;
use kgtop::model::GpuState;
use kgtop::sources::scenario::{self, FaultKind, GpuRig, GpuTruth, MigRig, Scenario, Values};
use nvml_wrapper_sys::bindings::nvmlDevice_t;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A handle is a number that looks like a pointer; nobody but this library looks behind it.
const FIRST_HANDLE: usize = 0x5000_0000;
/// Handles of one GPU: its own, then those of its MIG instances.
const HANDLES_PER_GPU: usize = 64;

pub struct State {
    pub scenario: Scenario,
    start: Instant,
    settings: Vec<Mutex<Settings>>,
}

static STATE: OnceLock<State> = OnceLock::new();
static USERS: AtomicUsize = AtomicUsize::new(0);
/// Every call holds it shared; `block_library` takes it for good.
static LIBRARY: RwLock<()> = RwLock::new(());

/// The state, made at the first call.
pub fn state() -> &'static State {
    STATE.get_or_init(|| {
        let scenario = load_scenario();
        let settings = scenario.gpus().iter().map(|_| Mutex::new(Settings::default())).collect();
        State { scenario, start: start(), settings }
    })
}

/// Settings written into a copy of the library: `NAME=value` lines after the mark, up to the first zero byte. Tests
/// that load several copies into one process cannot tell them apart by the environment.
#[used]
static WRITTEN: [u8; 1024] = {
    let mark = b"\0kgtop-stand-in-settings\0";
    let mut bytes = [0; 1024];
    let mut index = 0;
    while index < mark.len() {
        bytes[index] = mark[index];
        index += 1;
    }
    bytes
};

/// A setting: what was written into this copy of the library, else the environment's.
fn setting(name: &str) -> Option<String> {
    // The bytes may have been changed in the file, which the compiler must not know better.
    let bytes = unsafe { std::ptr::read_volatile(&raw const WRITTEN) };
    let lines = bytes.splitn(3, |byte| *byte == 0).nth(2).unwrap_or_default();
    let end = lines.iter().position(|byte| *byte == 0).unwrap_or(lines.len());
    let lines = String::from_utf8_lossy(&lines[..end]);
    let written = lines.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| *key == name);
    written.map(|(_, value)| value.to_owned()).or_else(|| std::env::var(name).ok())
}

/// A scenario that cannot be read would otherwise look like a failing driver: say so and stop.
fn load_scenario() -> Scenario {
    let name = setting("KGTOP_STAND_IN").unwrap_or_else(|| "healthy-8xh100".into());
    let text = match scenario::embedded(&name) {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(&name).unwrap_or_else(|error| refuse(&format!("{name}: {error}"))),
    };
    Scenario::parse(&text, &name).unwrap_or_else(|error| refuse(&error.to_string()))
}

fn refuse(message: &str) -> ! {
    eprintln!("nvml stand-in: {message}");
    std::process::abort()
}

fn start() -> Instant {
    let now = Instant::now();
    let epoch = setting("KGTOP_STAND_IN_EPOCH").and_then(|text| text.parse::<f64>().ok());
    let since = epoch.and_then(|epoch| {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Duration::try_from_secs_f64(wall - epoch).ok()
    });
    since.and_then(|since| now.checked_sub(since)).unwrap_or(now)
}

impl State {
    /// Time since the scenario began.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// (major, minor) of the driver, for what changed between drivers.
    pub fn driver(&self) -> (u32, u32) {
        let mut parts = self.scenario.host().driver.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }
}

/// µs of the wall clock at a time of the scenario, as the driver stamps its sample buffers.
/// One reading of the wall clock serves for all, so that the same moment always has the same stamp.
pub fn stamp(t: Duration) -> u64 {
    static WALL_AT_START: OnceLock<u64> = OnceLock::new();
    let start = WALL_AT_START.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(state().now()).as_micros() as u64
    });
    start + t.as_micros() as u64
}

/// What a handle stands for, and the moment of the call.
pub struct Target {
    pub state: &'static State,
    pub gpu: &'static GpuRig,
    pub mig: Option<&'static MigRig>,
    pub t: Duration,
    /// The number that a scenario orders in place of the true one.
    ordered: Option<f64>,
}

impl Target {
    /// The numbers now, with what was set since the start.
    pub fn values(&self) -> Values {
        self.values_at(self.t)
    }

    pub fn values_at(&self, t: Duration) -> Values {
        self.settings(|settings| settings.apply(self.state.scenario.values_at(self.gpu, t)))
    }

    pub fn values_before(&self, t: Duration, age: Duration) -> Values {
        self.settings(|settings| settings.apply(self.state.scenario.values_before(self.gpu, t, age)))
    }

    pub fn truth(&self) -> GpuTruth {
        let truth = self.state.scenario.gpu_truth(self.gpu, self.t);
        GpuTruth { values: self.settings(|settings| settings.apply(truth.values)), ..truth }
    }

    pub fn settings<R>(&self, with: impl FnOnce(&mut Settings) -> R) -> R {
        let lock = &self.state.settings[self.gpu.index as usize];
        let mut settings = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = told_to_all() {
            settings.hear(self.gpu, &told);
        }
        with(&mut settings)
    }

    /// The number that is ordered for this call, else the true one.
    pub fn number(&self, truth: f64) -> f64 {
        self.ordered.unwrap_or(truth)
    }

    /// What the driver does not answer for a MIG instance or a GPU that is divided into them.
    pub fn whole_gpu_only(&self) -> Answer {
        if self.mig.is_some() { Err(INVALID_ARGUMENT) } else { Ok(()) }
    }
}

pub fn handle_of(index: u32, mig: Option<usize>) -> nvmlDevice_t {
    let slot = mig.map_or(0, |instance| instance + 1);
    (FIRST_HANDLE + (index as usize * HANDLES_PER_GPU + slot) * 16) as nvmlDevice_t
}

fn behind(device: nvmlDevice_t) -> Option<(&'static GpuRig, Option<&'static MigRig>)> {
    let number = (device as usize).checked_sub(FIRST_HANDLE)? / 16;
    let gpu = state().scenario.gpus().get(number / HANDLES_PER_GPU)?;
    match number % HANDLES_PER_GPU {
        0 => Some((gpu, None)),
        slot => Some((gpu, Some(gpu.mig.get(slot - 1)?))),
    }
}

/// The GPU of a second handle among a call's arguments.
pub fn gpu_behind(device: nvmlDevice_t) -> Option<&'static GpuRig> {
    behind(device).map(|(gpu, _)| gpu)
}

/// Runs into the fault that the scenario orders here, if any; gives the number of a `value` fault.
fn meet_fault(call: &'static str, gpu: Option<u32>) -> Result<Option<f64>, u32> {
    let state = state();
    match state.scenario.fault(call, gpu, state.now()).map(|fault| fault.kind) {
        None => Ok(None),
        Some(FaultKind::Value(value)) => Ok(Some(value)),
        Some(FaultKind::Error(code)) => Err(code),
        Some(FaultKind::Block) => for_ever(),
        Some(FaultKind::BlockLibrary) => {
            let _held = LIBRARY.write();
            for_ever()
        }
        Some(FaultKind::Crash) => {
            // A write to the zero page: what a driver library does when the module below it was replaced.
            unsafe { (16 as *mut u8).write_volatile(1) };
            std::process::abort()
        }
    }
}

fn for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

fn finish(answer: Answer) -> u32 {
    answer.err().unwrap_or(SUCCESS)
}

/// A call about no GPU.
pub fn on_system(call: &'static str, body: impl FnOnce(&'static State) -> Answer) -> u32 {
    if let Err(code) = meet_fault(call, None) {
        return code;
    }
    let _shared = LIBRARY.read();
    let is_free = ["nvmlInit", "nvmlErrorString", "nvmlSystemGet"].iter().any(|name| call.starts_with(name));
    if !is_free && USERS.load(Ordering::SeqCst) == 0 {
        return UNINITIALIZED;
    }
    finish(body(state()))
}

/// A call about a GPU or a MIG instance.
pub fn on_device(call: &'static str, device: nvmlDevice_t, body: impl FnOnce(&Target) -> Answer) -> u32 {
    if USERS.load(Ordering::SeqCst) == 0 {
        return UNINITIALIZED;
    }
    let Some((gpu, mig)) = behind(device) else { return INVALID_ARGUMENT };
    let ordered = match meet_fault(call, Some(gpu.index)) {
        Ok(ordered) => ordered,
        Err(code) => return code,
    };
    let _shared = LIBRARY.read();
    let state = state();
    let t = state.now();
    if let Err(code) = reach(state, gpu, t, call) {
        return code;
    }
    finish(body(&Target { state, gpu, mig, t, ordered }))
}

/// Whether the GPU can be reached. A sleeping one is woken by any call, which the log tells.
pub fn reach(state: &State, gpu: &GpuRig, t: Duration, call: &str) -> Answer {
    match state.scenario.state_of(gpu, t) {
        GpuState::Lost => Err(GPU_IS_LOST),
        GpuState::Asleep => {
            log(&format!("wake {} {call}", gpu.index));
            Ok(())
        }
        _ => Ok(()),
    }
}

pub fn begin() {
    USERS.fetch_add(1, Ordering::SeqCst);
}

pub fn end() -> Answer {
    USERS
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |users| users.checked_sub(1))
        .map(|_| ())
        .map_err(|_| UNINITIALIZED)
}

/// What every process that uses this library was told, where they share one driver as on a real machine.
fn told_to_all() -> Option<String> {
    setting("KGTOP_STAND_IN_SHARED")?;
    std::fs::read_to_string(setting("KGTOP_STAND_IN_LOG")?).ok()
}

/// Appends a line to the log of calls that change something.
pub fn log(line: &str) {
    let Some(path) = setting("KGTOP_STAND_IN_LOG") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    if let Ok(mut file) = file {
        // One write, so that lines of several threads do not mix.
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }
}

/// Defines calls about a GPU: the name, the name the body gives its target, and the other arguments.
macro_rules! device_calls {
    ($(fn $name:ident($target:ident $(, $arg:ident: $type:ty)*) $body:block)*) => {
        $(#[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            device: nvml_wrapper_sys::bindings::nvmlDevice_t
            $(, $arg: $type)*
        ) -> u32 {
            $crate::state::on_device(stringify!($name), device, |$target| $body)
        })*
    };
}

/// Defines calls about no GPU.
macro_rules! system_calls {
    ($(fn $name:ident($state:ident $(, $arg:ident: $type:ty)*) $body:block)*) => {
        $(#[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> u32 {
            $crate::state::on_system(stringify!($name), |$state| $body)
        })*
    };
}

pub(crate) use {device_calls, system_calls};
