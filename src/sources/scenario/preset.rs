//! The GPU models a scenario can name, as data. The H200 is as measured (the values of `nvidia-smi -q` on two of
//! them); the others have their products' published limits, and the counts that do not matter to any reader are
//! those of the H200's generation.

/// One GPU model.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// The name in a scenario file.
    pub key: &'static str,
    /// Product name.
    pub name: &'static str,
    /// `nvmlBrandType_t`: 5 GeForce, 14 NVIDIA.
    pub brand: u32,
    /// `nvmlDeviceArchitecture_t`: 6 Turing, 7 Ampere, 8 Ada, 9 Hopper.
    pub architecture: u32,
    /// CUDA compute capability.
    pub compute: (u32, u32),
    /// Device and vendor as NVML packs them.
    pub pci_device_id: u32,
    /// VBIOS version.
    pub vbios: &'static str,
    /// InfoROM image version; `None` where there is none.
    pub inforom: Option<&'static str>,
    /// Board part number; `None` where there is none.
    pub board_part: Option<&'static str>,
    /// Framebuffer, bytes.
    pub memory_total: u64,
    /// Of it kept by the driver, bytes.
    pub memory_reserved: u64,
    /// BAR1 size, bytes.
    pub bar1_total: u64,
    /// Least, greatest and default power limit, W; `None` where it cannot be read.
    pub power_limits: Option<(f64, f64, f64)>,
    /// Power when idle and at full load, W.
    pub power: (f64, f64),
    /// Highest SM, memory and video clocks, MHz.
    pub max_clocks: (f64, f64, f64),
    /// SM, memory and video clocks when idle, MHz.
    pub idle_clocks: (f64, f64, f64),
    /// Absolute slowdown, shutdown, memory maximum and GPU maximum, °C.
    pub thresholds: (f64, f64, Option<f64>, f64),
    /// T.Limit of shutdown, slowdown, memory maximum and GPU maximum (fields 193 to 196).
    pub margins: Option<[i32; 4]>,
    /// Whether the memory temperature (field 82) is reported.
    pub memory_temperature: bool,
    /// Number of NVLinks; 0 without.
    pub nvlinks: u32,
    /// `NVML_NVLINK_VERSION_…`: 4 is 3.0, 6 is 4.0.
    pub nvlink_version: u32,
    /// The links go to an NVSwitch.
    pub nvswitch: bool,
    /// GPU performance monitoring.
    pub gpm: bool,
    /// Has a fan that can be read.
    pub fan: bool,
    /// ECC memory.
    pub ecc: bool,
    /// Rows are remapped (Ampere and later): number of banks.
    pub banks: Option<u32>,
    /// Pages are retired (before Ampere).
    pub retired_pages: bool,
    /// Highest PCIe generation and width.
    pub pcie: (u32, u32),
    /// Can be partitioned.
    pub mig: bool,
    /// `NVML` reports a fabric.
    pub fabric: bool,
    /// Supported clock event reasons.
    pub clock_events: u64,
}

const MIB: u64 = 1 << 20;

/// All models, the H200 first.
pub static PRESETS: &[Preset] = &[
    Preset {
        key: "h200",
        name: "NVIDIA H200",
        brand: 14,
        architecture: 9,
        compute: (9, 0),
        pci_device_id: 0x2335_10DE,
        vbios: "96.00.A5.00.1A",
        inforom: Some("G520.0282.02.02"),
        board_part: Some("692-2G520-0282-000"),
        memory_total: 143_771 * MIB,
        memory_reserved: 644_939_776,
        bar1_total: 262_144 * MIB,
        power_limits: Some((200.0, 700.0, 700.0)),
        power: (79.7, 692.0),
        max_clocks: (1980.0, 3201.0, 1545.0),
        idle_clocks: (345.0, 3201.0, 765.0),
        thresholds: (89.0, 95.0, Some(95.0), 87.0),
        margins: Some([-8, -2, 0, 0]),
        memory_temperature: true,
        nvlinks: 18,
        nvlink_version: 6,
        nvswitch: true,
        gpm: true,
        fan: false,
        ecc: true,
        banks: Some(3072),
        retired_pages: false,
        pcie: (5, 16),
        mig: true,
        fabric: true,
        clock_events: 0x1ff,
    },
    Preset {
        key: "h100",
        name: "NVIDIA H100 80GB HBM3",
        brand: 14,
        architecture: 9,
        compute: (9, 0),
        pci_device_id: 0x2330_10DE,
        vbios: "96.00.89.00.01",
        inforom: Some("G520.0200.00.05"),
        board_part: Some("692-2G520-0200-000"),
        memory_total: 81_559 * MIB,
        memory_reserved: 551 * MIB,
        bar1_total: 131_072 * MIB,
        power_limits: Some((200.0, 700.0, 700.0)),
        power: (71.0, 690.0),
        max_clocks: (1980.0, 2619.0, 1545.0),
        idle_clocks: (345.0, 2619.0, 765.0),
        thresholds: (89.0, 95.0, Some(95.0), 87.0),
        margins: Some([-8, -2, 0, 0]),
        memory_temperature: true,
        nvlinks: 18,
        nvlink_version: 6,
        nvswitch: true,
        gpm: true,
        fan: false,
        ecc: true,
        banks: Some(2560),
        retired_pages: false,
        pcie: (5, 16),
        mig: true,
        fabric: true,
        clock_events: 0x1ff,
    },
    Preset {
        key: "a100",
        name: "NVIDIA A100-SXM4-80GB",
        brand: 14,
        architecture: 7,
        compute: (8, 0),
        pci_device_id: 0x20B2_10DE,
        vbios: "92.00.45.00.03",
        inforom: Some("G506.0210.00.04"),
        board_part: Some("692-2G506-0210-002"),
        memory_total: 81_920 * MIB,
        memory_reserved: 666 * MIB,
        bar1_total: 131_072 * MIB,
        power_limits: Some((100.0, 400.0, 400.0)),
        power: (58.0, 395.0),
        max_clocks: (1410.0, 1593.0, 1290.0),
        idle_clocks: (210.0, 1593.0, 585.0),
        thresholds: (89.0, 92.0, Some(95.0), 85.0),
        margins: None,
        memory_temperature: true,
        nvlinks: 12,
        nvlink_version: 4,
        nvswitch: true,
        gpm: false,
        fan: false,
        ecc: true,
        banks: Some(640),
        retired_pages: false,
        pcie: (4, 16),
        mig: true,
        fabric: false,
        clock_events: 0x1ff,
    },
    Preset {
        key: "l40s",
        name: "NVIDIA L40S",
        brand: 14,
        architecture: 8,
        compute: (8, 9),
        pci_device_id: 0x26B9_10DE,
        vbios: "95.02.66.00.02",
        inforom: Some("G133.0242.00.03"),
        board_part: Some("900-2G133-0080-000"),
        memory_total: 46_068 * MIB,
        memory_reserved: 598 * MIB,
        bar1_total: 65_536 * MIB,
        power_limits: Some((100.0, 350.0, 350.0)),
        power: (34.0, 346.0),
        max_clocks: (2520.0, 9001.0, 1965.0),
        idle_clocks: (210.0, 405.0, 1185.0),
        thresholds: (88.0, 93.0, None, 83.0),
        margins: Some([-10, -5, 0, 0]),
        memory_temperature: false,
        nvlinks: 0,
        nvlink_version: 0,
        nvswitch: false,
        gpm: false,
        fan: false,
        ecc: true,
        banks: Some(192),
        retired_pages: false,
        pcie: (4, 16),
        mig: false,
        fabric: false,
        clock_events: 0x1ff,
    },
    Preset {
        key: "rtx4090",
        name: "NVIDIA GeForce RTX 4090",
        brand: 5,
        architecture: 8,
        compute: (8, 9),
        pci_device_id: 0x2684_10DE,
        vbios: "95.02.3C.00.A6",
        inforom: Some("G002.0000.00.03"),
        board_part: None,
        memory_total: 24_564 * MIB,
        memory_reserved: 422 * MIB,
        bar1_total: 32_768 * MIB,
        power_limits: Some((150.0, 600.0, 450.0)),
        power: (19.0, 441.0),
        max_clocks: (3105.0, 10_501.0, 2415.0),
        idle_clocks: (210.0, 405.0, 1185.0),
        thresholds: (91.0, 96.0, None, 84.0),
        margins: None,
        memory_temperature: false,
        nvlinks: 0,
        nvlink_version: 0,
        nvswitch: false,
        gpm: false,
        fan: true,
        ecc: false,
        banks: None,
        retired_pages: false,
        pcie: (4, 16),
        mig: false,
        fabric: false,
        clock_events: 0x1ff,
    },
    Preset {
        key: "t4",
        name: "Tesla T4",
        brand: 14,
        architecture: 6,
        compute: (7, 5),
        pci_device_id: 0x1EB8_10DE,
        vbios: "90.04.38.00.03",
        inforom: Some("G183.0200.00.02"),
        board_part: Some("900-2G183-0000-001"),
        memory_total: 15_360 * MIB,
        memory_reserved: 448 * MIB,
        bar1_total: 256 * MIB,
        power_limits: Some((60.0, 70.0, 70.0)),
        power: (9.5, 69.0),
        max_clocks: (1590.0, 5001.0, 1470.0),
        idle_clocks: (300.0, 405.0, 540.0),
        thresholds: (93.0, 96.0, None, 85.0),
        margins: None,
        memory_temperature: false,
        nvlinks: 0,
        nvlink_version: 0,
        nvswitch: false,
        gpm: false,
        fan: false,
        ecc: true,
        banks: None,
        retired_pages: true,
        pcie: (3, 16),
        mig: false,
        fabric: false,
        clock_events: 0x1ff,
    },
    Preset {
        key: "laptop",
        name: "NVIDIA GeForce RTX 4070 Laptop GPU",
        brand: 5,
        architecture: 8,
        compute: (8, 9),
        pci_device_id: 0x2820_10DE,
        vbios: "95.06.19.00.4E",
        inforom: None,
        board_part: None,
        memory_total: 8_188 * MIB,
        memory_reserved: 354 * MIB,
        bar1_total: 8_192 * MIB,
        power_limits: None,
        power: (5.0, 105.0),
        max_clocks: (3105.0, 8_001.0, 2415.0),
        idle_clocks: (210.0, 405.0, 765.0),
        thresholds: (99.0, 102.0, None, 87.0),
        margins: None,
        memory_temperature: false,
        nvlinks: 0,
        nvlink_version: 0,
        nvswitch: false,
        gpm: false,
        fan: false,
        ecc: false,
        banks: None,
        retired_pages: false,
        pcie: (4, 8),
        mig: false,
        fabric: false,
        clock_events: 0x1ff,
    },
];

impl Preset {
    /// The model of that name in a scenario file.
    #[must_use]
    pub fn named(key: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.key == key)
    }

    /// Name of the architecture.
    #[must_use]
    pub const fn architecture_name(&self) -> &'static str {
        match self.architecture {
            6 => "Turing",
            7 => "Ampere",
            8 => "Ada",
            9 => "Hopper",
            _ => "Unknown",
        }
    }

    /// Name of the brand.
    #[must_use]
    pub const fn brand_name(&self) -> &'static str {
        match self.brand {
            5 => "GeForce",
            14 => "NVIDIA",
            _ => "Unknown",
        }
    }
}
