//! Model stores and their uses on the wire: members of the storage part of a sample.

use super::json::{Fields, Json, write_text};
use super::wire::{Group, Malformed, Object, Wire, member, names, object, write_member};
use crate::model::{
    Geometry, KvCache, ModelAccess, ModelFormat, ModelShape, ModelStore, ModelUse, StoreKind, StorePlace,
    StoredModel, Unfinished,
};

names!(StoreKind {
    HuggingFace => "hugging_face",
    Ollama => "ollama",
    Folder => "folder",
});

names!(ModelFormat {
    Safetensors => "safetensors",
    Gguf => "gguf",
});

names!(ModelAccess {
    Open => "open",
    Mapped => "mapped",
});

object!(Unfinished {
    files => "files",
    size => "size_bytes",
});

object!(StorePlace {
    kind => "kind",
    path => "path",
    user => "user",
    models => "models",
    unfinished => "unfinished",
});

object!(KvCache {
    full => "full_elements",
    windowed => "windowed_elements",
    window => "window_tokens",
    heads => "heads",
    latent => "latent",
});

object!(Geometry {
    layers => "layers",
    hidden => "hidden",
    heads => "heads",
    feed_forward => "feed_forward",
    vocabulary => "vocabulary",
    context => "context_tokens",
    experts => "experts",
    experts_used => "experts_used",
});

object!(ModelShape [geometry] {
    architecture => "architecture",
    parameters => "parameters",
    weights => "weights_bytes",
    data_type => "data_type",
    kv => "kv",
});

object!(StoredModel [shape] {
    name => "name",
    aliases => "aliases",
    revision => "revision",
    store => "store",
    path => "path",
    user => "user",
    format => "format",
    files => "files",
    files_in_all => "files_in_all",
    size => "size_bytes",
    on_disk => "on_disk_bytes",
    unreferenced => "unreferenced_bytes",
    unfinished => "unfinished",
    last_used => "last_used_wall_us",
    mount => "mount",
    file_system => "file_system",
});

object!(ModelStore {
    places => "places",
    models => "models",
    complete => "complete",
    left_out => "left_out",
});

object!(ModelUse [key] {
    at => "at_us",
    path => "path",
    name => "name",
    access => "access",
    files => "files",
    files_of_model => "files_of_model",
    size => "size_bytes",
    position => "position_bytes",
    resident => "resident_bytes",
    read => "read_bytes",
    mount => "mount",
});

/// Every object of this file and the names of its members.
pub(super) fn objects() -> Vec<(&'static str, &'static [&'static str])> {
    macro_rules! table {
        ($($type:ident)*) => { vec![$((stringify!($type), <$type as Object>::NAMES)),*] };
    }
    table![Unfinished StorePlace KvCache Geometry ModelShape StoredModel ModelStore ModelUse]
}
