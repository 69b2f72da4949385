//! Where the devices stand to each other: the matrix of `nvidia-smi topo -m`, the way between two of them, links
//! below what they could do, and what to make of it. From sysfs alone where there is no driver.

mod advice;
mod class;
mod links;
mod matrix;

pub use advice::{Advice, advice, groups, unfit};
pub use class::{PathClass, Way, way};
pub use links::{LOADED_PERCENT, LinkFault, link_faults, pcie_fault};
pub use matrix::{Cell, Device, Matrix};
