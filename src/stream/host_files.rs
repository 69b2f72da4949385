//! Files of the host on the wire: a group of the sample.

use super::json::{Fields, Json};
use super::wire::{Group, Malformed, Object, Wire, member, object, write_member};
use crate::model::{HostFile, HostFiles};

object!(HostFiles {
    files => "files",
    pending => "pending",
});

object!(HostFile {
    path => "path",
    lines => "lines",
    names => "names",
    link => "link",
    mode => "mode",
    uid => "uid",
    gid => "gid",
    device => "device",
    label => "label",
});

/// Every object of this file and the names of its members.
pub(super) fn objects() -> Vec<(&'static str, &'static [&'static str])> {
    vec![("HostFiles", HostFiles::NAMES), ("HostFile", HostFile::NAMES)]
}
