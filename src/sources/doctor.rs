//! The files that the doctor judges, from the PCI bus up to the containers: read, cut down to the lines that matter,
//! and never interpreted here. No program is started. What may block (the driver's own files) is read last, after the
//! rest was handed over.

mod bus;
mod containers;
mod cuda;
mod driver;
mod fabric;
mod gather;
mod kernel_log;
mod module;
mod nodes;
mod selinux;

use super::root::Root;
use crate::model::HostFiles;
use gather::Gather;

/// Reads everything. `found` gets what can be read without asking the driver, marked with what is pending, and then
/// all of it.
pub fn scan(root: &Root, found: &mut dyn FnMut(HostFiles)) {
    let mut gather = Gather::new(root);
    let read: [fn(&mut Gather<'_>); 8] = [
        bus::read,
        module::read,
        nodes::read,
        cuda::read,
        fabric::read,
        containers::read,
        selinux::read,
        kernel_log::read,
    ];
    for read in read {
        read(&mut gather);
    }
    found(gather.files(Some(driver::DIRECTORY)));
    driver::read(&mut gather);
    found(gather.files(None));
}

#[cfg(test)]
mod tests;
