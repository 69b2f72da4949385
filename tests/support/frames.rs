//! A made-up machine, and what its screen looks like: records second by second, rendered frames as text, and the
//! same frames as a map of roles.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    reason = "a test that cannot go on says so by a panic"
)]

use kgtop::app::{Message, Mode, Settings, State, update};
use kgtop::model::{
    Absence, Band, ClockEvents, Container, Counters, Driver, Fast, Gpm, GpuId, GpuInfo, GpuSample, GpuState,
    Grouped, Header, Health, HostInfo, HostProcess, HostSample, Inventory, Live, MigInstance, NvLink,
    PciDevice, ProcessFacts, ProcessKey, ProcessKind, ProcessOnGpu, ProcessUtilization, Reading, Record,
    Sample, SourceState, SourceStatus, StuckCall, Thresholds,
};
use kgtop::ui::{Role, Theme, render};
use kgtop::units::{Bytes, BytesPerSecond, Celsius, Joules, Megahertz, Mono, Percent, Wall, Watts};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Modifier;
use std::fmt::Write as _;
use std::sync::Arc;

/// Seconds since boot at which the made-up stream begins.
pub const START: u64 = 86_400;
/// The same moment on the wall: 2026-08-20 12:00:00 UTC.
pub const START_WALL: i64 = 1_787_227_200;
const GIB: u64 = 1 << 30;

/// What the machine goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Healthy,
    Throttled,
    Lost,
    Stuck,
    NoPermission,
    NoDriver,
    Mig,
    /// Consumer cards without GPM, NVLink, ECC.
    Plain,
    Asleep,
    Idle,
}

impl Condition {
    pub const ALL: [Self; 10] = [
        Self::Healthy,
        Self::Throttled,
        Self::Lost,
        Self::Stuck,
        Self::NoPermission,
        Self::NoDriver,
        Self::Mig,
        Self::Plain,
        Self::Asleep,
        Self::Idle,
    ];
}

/// A made-up machine.
#[derive(Clone, Copy, Debug)]
pub struct Rig {
    pub gpus: u32,
    pub processes: u32,
    pub condition: Condition,
}

/// From which second on the condition holds.
const CHANGE: u64 = 200;

impl Rig {
    pub fn new(gpus: u32, processes: u32, condition: Condition) -> Self {
        Self { gpus, processes, condition }
    }

    pub fn id(index: u32) -> GpuId {
        GpuId(format!("GPU-{index:08x}-5eed-4a3b-8c1d-0123456789ab").into())
    }

    pub fn header(&self) -> Record {
        Record::Header(Header {
            format: 1,
            kgtop: "0.1.0".into(),
            host: HostInfo {
                hostname: "rig-07".into(),
                kernel: "6.8.0-60-generic".into(),
                boot_id: "11111111-2222-3333-4444-555555555555".into(),
                cpus: 128,
            },
            wall: Wall(START_WALL * 1_000_000),
            mono: Mono(START * 1_000_000),
            interval_seconds: 1.0,
            collector_pid: 4242,
        })
    }

    pub fn inventory(&self) -> Record {
        let no_driver = self.condition == Condition::NoDriver;
        let arc = |text: &str| -> Reading<Arc<str>> { Ok(text.into()) };
        let driver = if no_driver {
            Driver {
                module_version: Err(Absence::failed(2, "No such file or directory")),
                version: Err(Absence::failed(0, "libnvidia-ml.so.1 was not found")),
                nvml_version: Err(Absence::NotRequested),
                cuda_version: Err(Absence::NotRequested),
                problem: Some(
                    "The kernel module nvidia is not loaded. Load it (modprobe nvidia), and look at dmesg if \
                     that fails; nouveau holds the devices."
                        .into(),
                ),
            }
        } else {
            Driver {
                module_version: arc("580.82.07"),
                version: arc("580.82.07"),
                nvml_version: arc("13.580.82.07"),
                cuda_version: arc("13.0"),
                problem: None,
            }
        };
        let count = if no_driver { 0 } else { self.gpus };
        let pci = (0..self.gpus.max(1)).map(|index| PciDevice {
            address: format!("0000:{:02x}:00.0", 0x19 + index * 8).into(),
            id: "10de:2330".into(),
            driver: Some(if no_driver { "nouveau".into() } else { "nvidia".into() }),
            runtime_status: arc("active"),
            numa_node: Ok(index / 4),
            local_cpus: arc("0-63"),
            link_speed: Ok(320),
            max_link_speed: Ok(320),
            link_width: Ok(16),
            max_link_width: Ok(16),
        });
        Record::Inventory(Box::new(Inventory {
            host_pids_visible: Ok(true),
            driver,
            gpus: (0..count).map(|index| self.info(index)).collect(),
            pci: pci.collect(),
            processes: (0..self.processes).map(|n| self.facts(n)).collect(),
            topology: None,
        }))
    }

    fn plain(&self) -> bool {
        self.condition == Condition::Plain
    }

    fn info(&self, index: u32) -> GpuInfo {
        let arc = |text: String| -> Reading<Arc<str>> { Ok(text.into()) };
        let thresholds = Thresholds {
            slowdown: Ok(Celsius(90.0)),
            shutdown: Ok(Celsius(95.0)),
            gpu_max: Ok(Celsius(87.0)),
            ..Thresholds::default()
        };
        let plain = self.plain();
        GpuInfo {
            uuid: Ok(Self::id(index).0),
            index: Ok(index),
            name: arc(if plain { "NVIDIA GeForce RTX 4090" } else { "NVIDIA H100 80GB HBM3" }.into()),
            architecture: arc(if plain { "Ada" } else { "Hopper" }.into()),
            compute_capability: arc("9.0".into()),
            serial: if plain { Err(Absence::NotSupported) } else { arc(format!("16502230{index:05}")) },
            vbios: arc("96.00.74.00.01".into()),
            gsp: if plain { Err(Absence::NotSupported) } else { arc("580.82.07".into()) },
            pci_bus_id: arc(format!("0000:{:02x}:00.0", 0x19 + index * 8)),
            minor: Ok(index),
            module_id: if plain { Err(Absence::NotSupported) } else { Ok(index + 1) },
            numa_node: Ok(index / 4),
            cpu_affinity: arc(if index < 4 { "0-63" } else { "64-127" }.into()),
            max_sm_clock: Ok(Megahertz(1980)),
            max_memory_clock: Ok(Megahertz(2619)),
            // Without processes the rig still uses memory: nobody is to be blamed for it.
            memory_shared_with_cpu: Ok(self.processes == 0),
            min_power_limit: Ok(Watts(200.0)),
            max_power_limit: Ok(Watts(700.0)),
            default_power_limit: Ok(Watts(700.0)),
            thresholds: Ok(thresholds),
            supported_clock_events: Ok(0x1ff),
            max_pcie_generation: Ok(5),
            gpu_max_pcie_generation: Ok(5),
            max_pcie_width: Ok(16),
            nvlinks: if plain { Err(Absence::NotSupported) } else { Ok(18) },
            gpm: Ok(!plain),
            ..GpuInfo::default()
        }
    }

    fn key(n: u32) -> ProcessKey {
        ProcessKey { pid: 21_000 + n * 7, start: 5_000_000 + u64::from(n) }
    }

    fn facts(&self, n: u32) -> ProcessFacts {
        let key = Self::key(n);
        let arc = |text: &str| -> Reading<Arc<str>> { Ok(text.into()) };
        let visible = n % 11 != 10;
        let absent = || Err(Absence::NoPermission);
        let command: Vec<Arc<str>> = match n % 3 {
            0 => vec![
                "python".into(),
                "train.py".into(),
                "--config".into(),
                "llama-70b.yaml".into(),
                format!("--rank={n}").as_str().into(),
            ],
            1 => vec![
                "python3".into(),
                "-m".into(),
                "vllm.entrypoints.openai.api_server".into(),
                "--model".into(),
                "mistralai/Mixtral-8x7B".into(),
            ],
            _ => vec!["/usr/lib/xorg/Xorg".into(), ":0".into()],
        };
        ProcessFacts {
            key,
            visible,
            inner_pid: (n % 3 == 1).then_some(17),
            parent: Ok(if n.is_multiple_of(3) { 20_900 } else { 1 }),
            user: if visible {
                arc(["alice", "bob", "root", "verylongusername"][n as usize % 4])
            } else {
                absent()
            },
            name: if visible { arc(["python", "python3", "Xorg"][n as usize % 3]) } else { absent() },
            command: if visible { Ok(command) } else { Err(Absence::NoPermission) },
            environment: Ok(vec![
                ("CUDA_VISIBLE_DEVICES".into(), "0,1,2,3".into()),
                ("NCCL_DEBUG".into(), "INFO".into()),
            ]),
            cgroup: arc("/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0"),
            container: (n % 3 == 1).then(|| Container {
                runtime: "docker".into(),
                id: "4f1d2c3b4a5968778695a4b3c2d1e0f0".into(),
            }),
            pod: None,
            slurm_job: n.is_multiple_of(3).then(|| "4711.0".into()),
            unit: (n % 3 == 2).then(|| "display-manager.service".into()),
            started: Ok(Wall((START_WALL - 3_600 * (i64::from(n) + 1)) * 1_000_000)),
        }
    }

    /// The sample of that second.
    pub fn sample(&self, second: u64) -> Record {
        let mono = Mono((START + second) * 1_000_000);
        let wall = Wall((START_WALL + second as i64) * 1_000_000);
        let count = if self.condition == Condition::NoDriver { 0 } else { self.gpus };
        let source = |name: &str, state, reason: &str| SourceStatus {
            name: name.into(),
            state,
            reason: reason.into(),
        };
        let nvml = match self.condition {
            Condition::NoDriver => SourceState::Unavailable,
            Condition::Stuck | Condition::Lost if second >= CHANGE => SourceState::Degraded,
            _ => SourceState::Ok,
        };
        let host = HostSample {
            cpu_busy_ns: Ok(second * 41_000_000_000),
            cpu_total_ns: Ok(second * 128_000_000_000),
            memory_total: Ok(Bytes(2_015 * GIB)),
            memory_available: Ok(Bytes(1_500 * GIB)),
            load_1m: Ok(42.5),
            load_5m: Ok(40.0),
            load_15m: Ok(38.1),
            uptime_seconds: Ok((START + second) as f64),
            ..HostSample::default()
        };
        let processes = (0..self.processes).filter(|n| Self::alive(*n, second)).map(|n| HostProcess {
            key: Self::key(n),
            state: Ok(if n % 13 == 12 { 'D' } else { 'S' }),
            cpu_ns: Ok(second * 1_000_000_000 * u64::from(n % 4)),
            resident: Ok(Bytes(u64::from(n + 1) * 3 * GIB / 2)),
        });
        Record::Sample(Box::new(Sample {
            sequence: second + 1,
            mono,
            wall,
            gpus: (0..count).map(|index| self.gpu(index, second, mono)).collect(),
            processes: Some(Grouped { at: mono, value: processes.collect() }),
            host: Some(Grouped { at: mono, value: host }),
            sources: vec![
                source("nvml", nvml, ""),
                source("processes", SourceState::Ok, ""),
                source("host", SourceState::Ok, ""),
                source("pci", SourceState::Ok, ""),
            ],
            cost: None,
            ..Sample::default()
        }))
    }

    /// Every seventh process ends after a while.
    fn alive(n: u32, second: u64) -> bool {
        n % 7 != 6 || second < CHANGE - 60
    }

    fn gpu(&self, index: u32, second: u64, mono: Mono) -> GpuSample {
        let changed = second >= CHANGE;
        let hit = index == 3 % self.gpus && changed;
        let state = match self.condition {
            Condition::Lost if hit => GpuState::Lost,
            Condition::Stuck if hit => GpuState::Stalled,
            Condition::Asleep if index == 0 => GpuState::Asleep,
            _ => GpuState::Ok,
        };
        let mut gpu = GpuSample::new(Self::id(index), state);
        gpu.refusal = (state == GpuState::Lost).then_some(15);
        if state == GpuState::Stalled {
            gpu.stuck = Some(StuckCall {
                gpu: Some(Self::id(index)),
                call: "nvmlDeviceGetTemperature".into(),
                since: Mono((START + CHANGE) * 1_000_000),
                wait_channel: Some("os_acquire_rwlock_write".into()),
                ended: false,
            });
        }
        if state != GpuState::Ok {
            return gpu;
        }
        self.fill(&mut gpu, index, second, mono, hit);
        gpu
    }

    fn fill(&self, gpu: &mut GpuSample, index: u32, second: u64, mono: Mono, hit: bool) {
        let idle = self.condition == Condition::Idle;
        let hot = self.condition == Condition::Throttled && hit;
        let wave = noise(index, second);
        let load = if idle { 0.0 } else { (82.0 + 16.0 * wave).clamp(0.0, 100.0) };
        let power = if idle { 71.0 } else { 430.0 + 250.0 * (load - 82.0) / 18.0 };
        let clock = if hot {
            885.0
        } else if idle {
            345.0
        } else {
            1_890.0 + 60.0 * wave
        };
        let temperature = if hot { 91.0 } else { 55.0 + load / 6.0 + index as f32 };
        fn at<T>(at: Mono, value: T) -> Grouped<T> {
            Grouped { at, value }
        }
        let band = |mean: f32, spread: f32| Band { min: (mean - spread).max(0.0), mean, max: mean + spread };
        let mask = match (hot, idle) {
            (true, _) => 0x68,
            (_, true) => 0x1,
            _ if load > 95.0 => 0x4,
            _ => 0,
        };
        gpu.fast = Some(at(
            mono,
            Fast {
                power: Ok(band(power, 18.0)),
                sm_clock: Ok(band(clock, if hot { 90.0 } else { 15.0 })),
                utilization: Ok(Band {
                    min: (load - 9.0).max(0.0),
                    mean: load,
                    max: (load + 7.0).min(100.0),
                }),
                memory_utilization: Ok(band(load * 0.4, 3.0)),
                clock_events: Ok(ClockEvents { last: mask, any: mask, all: mask }),
                reads: Ok(10),
            },
        ));
        let plain = self.plain();
        let total = if plain { 24 } else { 80 } * GIB;
        let reserved = 560 << 20;
        let used = if idle { 0 } else { total / 8 * (5 + u64::from(index) % 3) };
        gpu.live = Some(at(
            mono,
            Live {
                memory_total: Ok(Bytes(total)),
                memory_used: Ok(Bytes(used)),
                memory_free: Ok(Bytes(total - used - reserved)),
                memory_reserved: Ok(Bytes(reserved)),
                temperature: Ok(Celsius(temperature)),
                memory_temperature: if plain {
                    Err(Absence::NotSupported)
                } else {
                    Ok(Celsius(temperature + 9.0))
                },
                memory_clock: Ok(Megahertz(2_619)),
                performance_state: Ok(if idle { 8 } else { 0 }),
                pcie_generation: Ok(5),
                pcie_width: Ok(if hot { 4 } else { 16 }),
                power_limit: Ok(Watts(700.0)),
                fan: if plain { Ok(Percent(55.0)) } else { Err(Absence::NotSupported) },
                recovery_action: Ok(0),
                ..Live::default()
            },
        ));
        if !plain && !self.denied() {
            let rate = |share: f32| Ok(BytesPerSecond(f64::from(share * load) * 1e7));
            gpu.gpm = Some(at(
                mono,
                Gpm {
                    interval_seconds: Ok(1.0),
                    sm: Ok(Percent(load * 0.9)),
                    tensor: Ok(Percent(load * 0.55)),
                    dram: Ok(Percent(load * 0.4)),
                    pcie_tx: rate(0.7),
                    pcie_rx: rate(2.9),
                    nvlink_tx: rate(170.0),
                    nvlink_rx: rate(160.0),
                    ..Gpm::default()
                },
            ));
            gpu.nvlinks = Some(at(
                mono,
                (0..18)
                    .map(|link| NvLink {
                        link,
                        active: Ok(true),
                        remote_type: Ok(2),
                        remote_pci: Err(Absence::NotSupported),
                        replay_errors: Ok(0),
                        recovery_errors: Ok(0),
                        crc_errors: Ok(0),
                    })
                    .collect(),
            ));
        }
        if self.denied() {
            gpu.gpm = Some(at(mono, Gpm::absent(&Absence::NoPermission)));
            gpu.counters = Some(at(mono, Counters::absent(&Absence::NoPermission)));
        } else {
            gpu.counters = Some(at(
                mono,
                Counters {
                    sw_power_cap_ns: Ok(second * 150_000_000),
                    hw_thermal_ns: Ok(if hot { (second - CHANGE) * 1_000_000_000 } else { 0 }),
                    ..Counters::absent(&Absence::NotSupported)
                },
            ));
        }
        gpu.health = Some(at(mono, self.health(hot)));
        self.fill_processes(gpu, index, second, mono);
    }

    fn denied(&self) -> bool {
        self.condition == Condition::NoPermission
    }

    fn health(&self, hot: bool) -> Health {
        if self.plain() {
            return Health {
                mig: Err(Absence::NotSupported),
                persistence: Ok(false),
                pcie_replays: Ok(0),
                ..Health::absent(&Absence::NotSupported)
            };
        }
        Health {
            ecc_enabled: Ok(true),
            ecc_corrected_volatile: Ok(if hot { 4 } else { 0 }),
            ecc_uncorrected_volatile: Ok(0),
            remapped_corrected: Ok(0),
            remapped_uncorrected: Ok(u64::from(hot)),
            remap_pending: Ok(false),
            remap_failed: Ok(false),
            energy: Ok(Joules(1e9)),
            pcie_replays: Ok(0),
            nvlink_errors: Ok(0),
            persistence: Ok(true),
            mig: Ok(self.condition == Condition::Mig),
            mig_pending: Ok(self.condition == Condition::Mig),
            ..Health::default()
        }
    }

    fn fill_processes(&self, gpu: &mut GpuSample, index: u32, second: u64, mono: Mono) {
        let mine = || (0..self.processes).filter(|n| n % self.gpus == index && Self::alive(*n, second));
        // The processes of a GPU own what is used of it, each its share.
        let used = match &gpu.live {
            Some(Grouped { value: Live { memory_used: Ok(used), .. }, .. }) => used.0,
            _ => 0,
        };
        let weight = |n: u32| u64::from(n + 3);
        let weights: u64 = mine().map(weight).sum();
        let process = |n: u32, instance: Option<u32>| ProcessOnGpu {
            pid: Self::key(n).pid,
            kind: if n % 3 == 2 { ProcessKind::Graphics } else { ProcessKind::Compute },
            memory: if self.denied() {
                Err(Absence::NoPermission)
            } else {
                Ok(Bytes(used / weights.max(1) * weight(n)))
            },
            gpu_instance: instance,
            compute_instance: instance.map(|_| 0),
        };
        if self.condition == Condition::Mig {
            let instance = |id: u32| MigInstance {
                gpu_instance: Ok(id),
                compute_instance: Ok(0),
                uuid: Ok(GpuId(format!("MIG-{index:08x}-{id}").into())),
                profile: Ok("3g.40gb".into()),
                memory_total: Ok(Bytes(40 * GIB)),
                memory_used: Ok(Bytes(u64::from(id) * 6 * GIB)),
                sm: Err(Absence::NotSupported),
                processes: Ok(mine().filter(|n| n % 2 == id % 2).map(|n| process(n, Some(id))).collect()),
            };
            gpu.mig = Some(Grouped { at: mono, value: Ok(vec![instance(1), instance(2)]) });
            if let Some(fast) = &mut gpu.fast {
                fast.value.utilization = Err(Absence::NotSupported);
            }
            return;
        }
        gpu.processes = Some(Grouped { at: mono, value: Ok(mine().map(|n| process(n, None)).collect()) });
        let shares = mine().map(|n| ProcessUtilization {
            pid: Self::key(n).pid,
            sm: Percent(40.0 + n as f32),
            memory: Percent(10.0),
            encoder: Percent(0.0),
            decoder: Percent(0.0),
        });
        gpu.process_utilization = Some(Grouped { at: mono, value: Ok(shares.collect()) });
    }

    /// A state after that many seconds of samples.
    pub fn state(&self, seconds: u64, settings: Settings, mode: Mode) -> State {
        let mut state = State::new(settings, mode);
        update(&mut state, Message::Record(Box::new(self.header())));
        update(&mut state, Message::Record(Box::new(self.inventory())));
        for second in 0..seconds {
            update(&mut state, Message::Record(Box::new(self.sample(second))));
        }
        state
    }
}

/// A smooth, repeatable load between −1 and 1.
fn noise(index: u32, second: u64) -> f32 {
    let t = second as f32;
    let phase = index as f32 * 1.7;
    0.6 * (t / 17.0 + phase).sin() + 0.3 * (t / 5.3 + phase * 2.0).sin() + 0.1 * (t * 1.9 + phase).sin()
}

/// A rendered frame.
pub fn frame(state: &State, theme: &Theme, columns: u16, rows: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| render(state, theme, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The frame's text.
pub fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        for x in 0..buffer.area.width {
            line.push_str(buffer[(x, y)].symbol());
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

const LETTERS: &str = ".Sm,aTbkX#giwcsn123456789@&%+-=~";

/// The frame's roles, a letter per cell, and cells whose modifiers are not their role's.
pub fn roles(buffer: &Buffer, theme: &Theme) -> String {
    let letter = |role: Role| LETTERS.chars().nth(role as usize).unwrap_or('?');
    let mut map = String::new();
    let mut used = Vec::new();
    let mut odd = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let role = theme.role_of_foreground(cell.fg).expect("every cell is drawn in a role");
            theme.role_of_background(cell.bg).expect("every background is a role's");
            let expected = theme.style(role).add_modifier;
            if !cell.modifier.contains(expected) || cell.modifier == Modifier::all() {
                let _ = writeln!(odd, "{x},{y}: {:?} without {expected:?}", cell.modifier);
            }
            if !used.contains(&role) {
                used.push(role);
            }
            line.push(if role == Role::Text && cell.symbol() == " " { ' ' } else { letter(role) });
        }
        map.push_str(line.trim_end());
        map.push('\n');
    }
    used.sort_by_key(|role| *role as usize);
    let legend: Vec<String> = used.iter().map(|role| format!("{} {}", letter(*role), role.name())).collect();
    format!("{map}{odd}legend: {}\n", legend.join(", "))
}
