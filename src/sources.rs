//! Where data comes from. Each source makes parts of a `Sample`; readers of files take a `Root`, so that a
//! captured or made-up machine reads like the live one.

pub mod audit_log;
pub mod containers;
pub mod disks;
pub mod doctor;
pub mod holders;
pub mod host;
pub mod kernel_log;
pub mod lane;
pub mod models;
pub mod mounts;
pub mod nvml;
pub mod pci;
pub mod processes;
pub mod recording;
pub mod root;
pub mod scenario;
pub mod topology;
pub mod zfs;
