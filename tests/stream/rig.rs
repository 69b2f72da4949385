//! A made-up rig under noisy load, for recordings and folds. Deterministic.

use kgtop::model::*;
use kgtop::units::*;

/// The first sample's time.
pub(crate) const START: u64 = 86_400_000_000;
/// The same, for people: 2026-05-12T08:00:00Z.
pub(crate) const START_WALL: i64 = 1_778_572_800_000_000;

pub(crate) struct Rig {
    pub(crate) gpus: u32,
    pub(crate) processes: u32,
    noise: u64,
    cap_ns: Vec<u64>,
    nvlink_kib: Vec<u64>,
}

impl Rig {
    pub(crate) fn new(gpus: u32, processes: u32) -> Self {
        Self {
            gpus,
            processes,
            noise: 88_172_645_463_325_252,
            cap_ns: vec![7_800_000_000; gpus as usize],
            nvlink_kib: vec![5_000_000; gpus as usize],
        }
    }

    /// 0 to 1, xorshift.
    fn random(&mut self) -> f32 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn around(&mut self, middle: f32, spread: f32) -> f32 {
        middle + (self.random() + self.random() - 1.0) * spread
    }

    /// A rate to five digits, as the stream keeps it.
    fn rate(&mut self, middle: f32, spread: f32) -> BytesPerSecond {
        let value = f64::from(self.around(middle, spread));
        let unit = 10_f64.powf(value.log10().floor() - 4.0);
        BytesPerSecond((value / unit).round() * unit)
    }

    pub(crate) fn id(index: u32) -> GpuId {
        GpuId(format!("GPU-5a3b1c00-77de-4f10-9a31-00000000000{index:x}").into())
    }

    pub(crate) fn header() -> Header {
        Header {
            format: 1,
            kgtop: "0.1.0".into(),
            host: HostInfo {
                hostname: "rig07".into(),
                kernel: "6.8.0-60-generic".into(),
                boot_id: "1f6a2f5c-5f5e-4f0e-8f5e-2b7a3c1d9e00".into(),
                cpus: 128,
            },
            wall: Wall(START_WALL),
            mono: Mono(START),
            interval_seconds: 1.0,
            collector_pid: 4_242,
        }
    }

    pub(crate) fn inventory(&self) -> Inventory {
        let gpu = |index: u32| GpuInfo {
            uuid: Ok(Self::id(index).0),
            index: Ok(index),
            name: Ok("NVIDIA H100 80GB HBM3".into()),
            brand: Ok("NVIDIA".into()),
            architecture: Ok("Hopper".into()),
            compute_capability: Ok("9.0".into()),
            serial: Ok(format!("16509230417{index:02}").into()),
            board_part: Ok("692-2G520-0200-000".into()),
            vbios: Ok("96.00.74.00.01".into()),
            inforom: Ok("G520.0200.00.05".into()),
            gsp: Ok("580.159.04".into()),
            pci_bus_id: Ok(format!("0000:{:02x}:00.0", 0x1b + index * 0x10).into()),
            pci_device_id: Ok(0x2330_10DE),
            minor: Ok(index),
            module_id: Ok(index + 1),
            numa_node: Ok(index / 4),
            cpu_affinity: Ok(if index < 4 { "0-63" } else { "64-127" }.into()),
            max_sm_clock: Ok(Megahertz(1_980)),
            max_memory_clock: Ok(Megahertz(2_619)),
            min_power_limit: Ok(Watts(200.0)),
            max_power_limit: Ok(Watts(700.0)),
            default_power_limit: Ok(Watts(700.0)),
            thresholds: Ok(Thresholds {
                slowdown: Ok(Celsius(89.0)),
                shutdown: Ok(Celsius(95.0)),
                memory_max: Ok(Celsius(95.0)),
                gpu_max: Ok(Celsius(87.0)),
                slowdown_limit: Ok(Celsius(-2.0)),
                shutdown_limit: Ok(Celsius(-8.0)),
                memory_max_limit: Ok(Celsius(0.0)),
                gpu_max_limit: Ok(Celsius(0.0)),
            }),
            supported_clock_events: Ok(0x1ff),
            max_pcie_generation: Ok(5),
            gpu_max_pcie_generation: Ok(5),
            max_pcie_width: Ok(16),
            nvlinks: Ok(18),
            nvlink_version: Ok(40),
            nvswitch_links: Ok(18),
            gpm: Ok(true),
            display_attached: Ok(false),
            display_active: Ok(false),
            virtualization: Ok(0),
            memory_shared_with_cpu: Ok(false),
        };
        let facts = |number: u32| ProcessFacts {
            key: Self::key(number),
            visible: true,
            inner_pid: Some(7 + number),
            parent: Ok(900),
            user: Ok("alice".into()),
            name: Ok("python3".into()),
            command: Ok(["/home/alice/venv/bin/python3", "train.py", "--rank", &number.to_string()]
                .map(std::sync::Arc::from)
                .to_vec()),
            environment: Ok(vec![("CUDA_VISIBLE_DEVICES".into(), "0,1,2,3,4,5,6,7".into())]),
            cgroup: Ok("/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0".into()),
            container: None,
            pod: None,
            slurm_job: Some("4711.0".into()),
            unit: None,
            started: Ok(Wall(START_WALL - 3_600_000_000)),
        };
        Inventory {
            host_pids_visible: Ok(true),
            driver: Driver {
                module_version: Ok("580.159.04".into()),
                version: Ok("580.159.04".into()),
                nvml_version: Ok("13.580.159.04".into()),
                cuda_version: Ok("13.0".into()),
                problem: None,
            },
            gpus: (0..self.gpus).map(gpu).collect(),
            pci: Vec::new(),
            processes: (0..self.processes).map(facts).collect(),
            topology: None,
        }
    }

    pub(crate) fn key(number: u32) -> ProcessKey {
        ProcessKey { pid: 31_000 + number, start: 8_000_000 + u64::from(number) * 3 }
    }

    pub(crate) fn mono(second: u64) -> Mono {
        Mono(START + second * 1_000_000)
    }

    /// What a collector reads in that second: the slow groups every ten, sample buffers every two.
    pub(crate) fn sample(&mut self, second: u64) -> Sample {
        let jitter = (self.random() * 900.0) as u64;
        let now = Mono(Self::mono(second).0 + jitter);
        let gpus = (0..self.gpus).map(|index| self.gpu(index, second, now)).collect();
        let processes = (0..self.processes)
            .map(|number| HostProcess {
                key: Self::key(number),
                state: Ok('R'),
                // The kernel counts in hundredths of a second.
                cpu_ns: Ok((second * 101 + (self.random() * 2.0) as u64) * 10_000_000),
                resident: Ok(Bytes(9_663_676_416 + (second / 8 + u64::from(number)) * 1_212_416)),
            })
            .collect();
        let busy = second * 24_000_000_000 + (self.random() * 100.0) as u64 * 10_000_000;
        Sample {
            sequence: second + 1,
            mono: now,
            wall: Wall(START_WALL + second as i64 * 1_000_000 + jitter as i64),
            gpus,
            processes: Some(Grouped { at: Mono(now.0 - 400), value: processes }),
            storage: None,
            host: Some(Grouped {
                at: Mono(now.0 - 200),
                value: HostSample {
                    cpu_busy_ns: Ok(busy),
                    cpu_total_ns: Ok(second * 128_000_000_000),
                    memory_total: Ok(Bytes(2_164_663_517_184)),
                    memory_available: Ok(Bytes(1_900_000_000_000 + (self.random() * 4_096.0) as u64 * 4_096)),
                    arc_reclaimable: Err(Absence::NotSupported),
                    swap_total: Ok(Bytes(0)),
                    swap_used: Ok(Bytes(0)),
                    load_1m: Ok((self.around(24.0, 0.5) * 100.0).round() / 100.0),
                    load_5m: Ok(24.02),
                    load_15m: Ok(23.9),
                    uptime_seconds: Ok(86_400.0 + second as f64),
                },
            }),
            sources: ["nvml", "processes", "host", "pci"]
                .map(|name| SourceStatus { name: name.into(), state: SourceState::Ok, reason: "".into() })
                .to_vec(),
            cost: Some(SelfCost {
                cpu_ns: second * 9_000_000,
                resident: Bytes(22 << 20),
                calls: second * 900,
                call_ns: second * 40_000_000,
            }),
            ..Sample::default()
        }
    }

    fn gpu(&mut self, index: u32, second: u64, now: Mono) -> GpuSample {
        let slot = index as usize;
        let at = |before: u64| Mono(now.0 - before - u64::from(index) * 30);
        let power = tenth(self.around(650.0, 45.0));
        let (low, high) = (tenth(self.around(power - 30.0, 8.0)), tenth(self.around(power + 25.0, 8.0)));
        let clock = (self.around(1_700.0, 60.0) / 15.0).round() * 15.0;
        let busy = self.around(97.0, 3.0).round().min(100.0);
        self.cap_ns[slot] += (self.random() * 1e9) as u64;
        self.nvlink_kib[slot] += (self.random() * 6e7) as u64;
        // The allocator of a training job grows its pool now and then.
        let used = 74_000_000_000 + (second / 8 + u64::from(index) * 3) * 2_097_152;
        let temperature = self.around(64.0, 2.0).round();
        let mut sample = GpuSample::new(Self::id(index), GpuState::Ok);
        sample.fast = Some(Grouped {
            at: at(100),
            value: Fast {
                power: Ok(Band { min: low, mean: power, max: high }),
                sm_clock: Ok(Band { min: clock - 60.0, mean: clock, max: clock + 75.0 }),
                utilization: Ok(Band { min: busy - 4.0, mean: busy, max: 100.0 }),
                memory_utilization: Ok(Band { min: 30.0, mean: tenth(self.around(41.0, 4.0)), max: 55.0 }),
                clock_events: Ok(ClockEvents { last: 4, any: 4, all: 0 }),
                reads: Ok(10),
            },
        });
        sample.live = Some(Grouped {
            at: at(900),
            value: Live {
                memory_total: Ok(Bytes(85_520_809_984)),
                memory_used: Ok(Bytes(used)),
                memory_free: Ok(Bytes(85_520_809_984 - used)),
                memory_reserved: Ok(Bytes(480 << 20)),
                temperature: Ok(Celsius(temperature)),
                memory_temperature: Ok(Celsius(temperature + 8.0)),
                temperature_margin: Ok(Celsius(87.0 - temperature)),
                memory_clock: Ok(Megahertz(2_619)),
                graphics_clock: Ok(Megahertz(clock as u32)),
                video_clock: Ok(Megahertz(1_545)),
                performance_state: Ok(0),
                pcie_generation: Ok(5),
                pcie_width: Ok(16),
                power_limit: Ok(Watts(700.0)),
                encoder: Ok(Percent(0.0)),
                decoder: Ok(Percent(0.0)),
                fan: Err(Absence::NotSupported),
                recovery_action: Ok(0),
            },
        });
        let per_gpu = (self.processes / self.gpus.max(1)).max(1);
        let mine = index * per_gpu..((index + 1) * per_gpu).min(self.processes);
        sample.processes = Some(Grouped {
            at: at(1_500),
            value: Ok(mine
                .clone()
                .map(|number| ProcessOnGpu {
                    pid: Self::key(number).pid,
                    kind: ProcessKind::Compute,
                    memory: Ok(Bytes(used / u64::from(per_gpu) - 2_097_152)),
                    gpu_instance: None,
                    compute_instance: None,
                })
                .collect()),
        });
        sample.gpm = Some(Grouped {
            at: at(3_000),
            value: Gpm {
                interval_seconds: Ok(1.0),
                graphics: Ok(Percent(tenth(self.around(95.0, 3.0)))),
                sm: Ok(Percent(tenth(self.around(74.0, 6.0)))),
                sm_occupancy: Ok(Percent(tenth(self.around(19.0, 3.0)))),
                tensor: Ok(Percent(tenth(self.around(55.0, 6.0)))),
                dram: Ok(Percent(tenth(self.around(38.0, 5.0)))),
                fp64: Ok(Percent(0.0)),
                fp32: Ok(Percent(tenth(self.around(4.0, 1.0)))),
                fp16: Ok(Percent(tenth(self.around(1.0, 0.5)))),
                pcie_tx: Ok(self.rate(4e8, 9e7)),
                pcie_rx: Ok(self.rate(6e8, 9e7)),
                nvlink_tx: Ok(self.rate(6e10, 9e9)),
                nvlink_rx: Ok(self.rate(6e10, 9e9)),
            },
        });
        sample.counters = Some(Grouped {
            at: at(5_000),
            value: Counters {
                sw_power_cap_ns: Ok(self.cap_ns[slot]),
                sync_boost_ns: Ok(0),
                sw_thermal_ns: Ok(0),
                hw_thermal_ns: Ok(0),
                hw_power_brake_ns: Ok(0),
                nvlink_tx_kib: Ok(self.nvlink_kib[slot]),
                nvlink_rx_kib: Ok(self.nvlink_kib[slot] + second * 1_000),
                ..Counters::default()
            },
        });
        sample.process_utilization = Some(Grouped {
            at: at(6_000),
            value: Ok(mine
                .map(|number| ProcessUtilization {
                    pid: Self::key(number).pid,
                    sm: Percent(self.around(48.0, 4.0).round()),
                    memory: Percent(self.around(20.0, 3.0).round()),
                    encoder: Percent(0.0),
                    decoder: Percent(0.0),
                })
                .collect()),
        });
        if second.is_multiple_of(2) {
            let wall = (START_WALL as u64) + second * 1_000_000;
            let mut level = power;
            let power = (0..100_u64)
                .map(|step| {
                    // The driver averages over a second: neighbours lie close together.
                    level = self.around(level, 6.0);
                    TimedValue { at_us: wall - 2_000_000 + step * 20_000, value: level.round() }
                })
                .collect();
            let utilization = second.is_multiple_of(10).then(|| {
                (0..50_u64)
                    .map(|step| TimedValue { at_us: wall - 10_000_000 + step * 200_000, value: busy })
                    .collect()
            });
            sample.buffers = Some(Grouped {
                at: at(7_000),
                value: Buffers { power: Ok(power), utilization: utilization.ok_or(Absence::NotRequested) },
            });
        }
        if second.is_multiple_of(10) {
            sample.health = Some(Grouped { at: at(9_000), value: self.health(index, second) });
        }
        sample
    }

    fn health(&mut self, index: u32, second: u64) -> Health {
        Health {
            ecc_corrected_volatile: Ok(0),
            ecc_uncorrected_volatile: Ok(0),
            ecc_corrected_aggregate: Ok(u64::from(index)),
            ecc_uncorrected_aggregate: Ok(0),
            sram_threshold_exceeded: Ok(false),
            ecc_enabled: Ok(true),
            ecc_pending: Ok(true),
            remapped_corrected: Ok(0),
            remapped_uncorrected: Ok(0),
            remap_pending: Ok(false),
            remap_failed: Ok(false),
            remap_banks: Ok([2_560, 0, 0, 0, 0]),
            energy: Ok(Joules((4_000_000 + second * 650) as f64)),
            pcie_replays: Ok(0),
            nvlink_errors: Ok(0),
            fabric_state: Ok(3),
            fabric_status: Ok(0),
            fabric_health: Ok(1),
            persistence: Ok(true),
            compute_mode: Ok(0),
            mig: Ok(false),
            mig_pending: Ok(false),
            power_limit_set: Ok(Watts(700.0)),
            bar1_used: Ok(Bytes(1 << 20)),
            ..Health::absent(&Absence::NotSupported)
        }
    }

    /// Header, inventory, and the samples of the first seconds.
    pub(crate) fn records(&mut self, seconds: u64) -> Vec<Record> {
        let mut records = vec![Record::Header(Self::header()), Record::Inventory(Box::new(self.inventory()))];
        for second in 0..seconds {
            records.push(Record::Sample(Box::new(self.sample(second))));
        }
        records
    }
}

fn tenth(value: f32) -> f32 {
    (value * 10.0).round() / 10.0
}
