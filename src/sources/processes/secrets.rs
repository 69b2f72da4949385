//! Keeps secrets of other people's processes out of everything that kgtop shows, records and sends: arguments are
//! masked here, at the source, and of an environment only the variables of an allow-list are taken.
//!
//! Three signs make a secret: its name (`--api-key X`, `HF_TOKEN=X`, `Authorization: X`), a prefix that a service
//! gives its keys (`sk-…`, `hf_…`), and a long value that looks random. When in doubt it is masked.

mod names;
mod shape;

use crate::units::steers;
use names::{names_hash, names_secret};
use shape::looks_secret;
use std::sync::Arc;

/// What stands in a secret's place.
pub(super) const MASK: &str = "***";

/// Variables that explain how a GPU job was placed.
const ALLOWED: [&str; 29] = [
    "CUDA_DEVICE_ORDER",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
    "CUDA_MPS_PIPE_DIRECTORY",
    "CUDA_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "GROUP_RANK",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "OLLAMA_HOST",
    "OLLAMA_MODELS",
    "OLLAMA_NUM_PARALLEL",
    "OMP_NUM_THREADS",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "RANK",
    "SLURM_JOB_ID",
    "SLURM_LOCALID",
    "SLURM_PROCID",
    "SLURM_STEP_ID",
    "TRANSFORMERS_CACHE",
    "WORLD_SIZE",
];
const ALLOWED_PREFIXES: [&str; 3] = ["NCCL_", "OMPI_COMM_WORLD_", "VLLM_"];

/// A command of a thousand arguments would be most of a record.
const ARGUMENTS_AT_MOST: usize = 256;
const ARGUMENT_LENGTH: usize = 1_024;
const COMMAND_LENGTH: usize = 16_384;
const VARIABLES_AT_MOST: usize = 128;
const VALUE_LENGTH: usize = 512;

/// The arguments of a NUL-separated command line, secrets masked and control characters replaced. What is too long
/// is cut and ends in `…`.
pub(super) fn command(bytes: &[u8]) -> Vec<Arc<str>> {
    let text = String::from_utf8_lossy(bytes);
    // A process that rewrites its title leaves a tail of NULs.
    let text = text.trim_end_matches('\0');
    if text.is_empty() {
        return Vec::new();
    }
    let arguments: Vec<&str> = text.split('\0').take(ARGUMENTS_AT_MOST + 1).collect();
    let mut masked: Vec<Arc<str>> = Vec::new();
    let mut length = 0;
    for argument in mask(&arguments) {
        let argument = printable(&argument, ARGUMENT_LENGTH);
        length += argument.len();
        if masked.len() == ARGUMENTS_AT_MOST || length > COMMAND_LENGTH {
            masked.push("…".into());
            break;
        }
        masked.push(argument.into());
    }
    masked
}

/// The allowed variables of a NUL-separated environment, in their order.
pub(super) fn environment(bytes: &[u8]) -> Vec<(Arc<str>, Arc<str>)> {
    let text = String::from_utf8_lossy(bytes);
    let variables = text.split('\0').filter_map(|variable| variable.split_once('='));
    let allowed = variables.filter(|(name, _)| {
        ALLOWED.contains(name) || ALLOWED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
    let masked = allowed.take(VARIABLES_AT_MOST).map(|(name, value)| {
        let value =
            if names_secret(name) && !value.is_empty() { MASK.to_owned() } else { mask(&[value]).concat() };
        (printable(name, VALUE_LENGTH).into(), printable(&value, VALUE_LENGTH).into())
    });
    masked.collect()
}

/// Text without control characters and without those that reorder a line, at most `limit` characters of it.
pub(super) fn printable(text: &str, limit: usize) -> String {
    let harmless = |character: char| if steers(character) { ' ' } else { character };
    let mut cut: String = text.chars().take(limit).map(harmless).collect();
    if text.chars().nth(limit).is_some() {
        cut.push('…');
    }
    cut
}

fn mask(arguments: &[&str]) -> Vec<String> {
    let mut masked = Vec::with_capacity(arguments.len());
    // What the argument before announced: `--token`, and the value follows.
    let mut announced = Announced::Nothing;
    for argument in arguments {
        let is_value = match announced {
            Announced::Nothing => false,
            // The next flag: the one before had no value. A key that begins with a dash is found by its shape.
            Announced::Secret => !argument.starts_with('-') || argument.starts_with("-----BEGIN"),
            Announced::Hash => {
                masked.push((*argument).to_owned());
                announced = Announced::Nothing;
                continue;
            }
        };
        if is_value && !argument.is_empty() {
            masked.push(MASK.to_owned());
            announced = if is_scheme(argument) { Announced::Secret } else { Announced::Nothing };
        } else {
            let (text, after) = mask_text(argument);
            masked.push(text);
            announced = after;
        }
    }
    masked
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Announced {
    Nothing,
    /// A secret's value.
    Secret,
    /// A hash that is none: a revision, a digest, an id.
    Hash,
}

/// Masks within one text, and tells what its end announces.
fn mask_text(text: &str) -> (String, Announced) {
    if text.contains("-----BEGIN") && text.contains("PRIVATE KEY") {
        return (MASK.to_owned(), Announced::Nothing);
    }
    let text = mask_user_info(text);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut announced = Announced::Nothing;
    // Whether the name that announces is the first thing in the text.
    let mut opens = false;
    let is_part = |character: char| !character.is_whitespace() && !"\"'=:,;&?{}[]()<>|@`".contains(character);
    while !rest.is_empty() {
        let (gap, after) = split_where(rest, is_part);
        masked.push_str(gap);
        // `NAME=X`, `"name": "X"`, `--name X`; but `name, X` and `name X` announce nothing.
        let joined = gap.contains(['=', ':']);
        if !joined && gap.contains([',', ';', '&', '(', ')', '{', '}', '[', ']', '|', '<', '>']) {
            announced = Announced::Nothing;
        }
        if after.is_empty() {
            break;
        }
        if announced == Announced::Secret && (!after.starts_with('-') || joined) {
            if opens {
                // `--password=X`, `X-Api-Key: X`: the whole rest of the argument, blanks and commas included.
                masked.push_str(MASK);
                return (masked, Announced::Nothing);
            }
            let quote = gap.chars().last().filter(|last| matches!(last, '"' | '\'' | '`'));
            let (value, beyond) = split_value(after, quote);
            masked.push_str(MASK);
            // `Authorization: Bearer X`, `Bearer: X`
            announced = if is_scheme(value) { Announced::Secret } else { Announced::Nothing };
            rest = beyond;
            continue;
        }
        let (part, beyond) = split_where(after, |character| !is_part(character));
        let hidden = announced != Announced::Hash && looks_secret(part);
        masked.push_str(if hidden { MASK } else { part });
        opens = after.len() == text.len() && beyond.starts_with(['=', ':']);
        let assigns = beyond.trim_start_matches(['"', '\'', ' ', '`', ']']).starts_with(['=', ':']);
        announced = if !(part.starts_with('-') || assigns || is_scheme(part)) {
            Announced::Nothing
        } else if names_secret(part) || part.eq_ignore_ascii_case("basic") && !assigns {
            Announced::Secret
        } else if names_hash(part) {
            Announced::Hash
        } else {
            Announced::Nothing
        };
        rest = beyond;
    }
    (masked, announced)
}

/// `scheme://user:password@host`: the password goes.
fn mask_user_info(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        masked.push_str(before);
        masked.push_str("://");
        let (authority, _) =
            split_where(after, |character| character.is_whitespace() || "/?#\"'".contains(character));
        rest = match authority.rsplit_once('@') {
            Some((user_info, _)) => {
                match user_info.split_once(':') {
                    Some((user, _)) => {
                        masked.push_str(user);
                        masked.push(':');
                        masked.push_str(MASK);
                    }
                    // A token alone.
                    None if looks_secret(user_info) => masked.push_str(MASK),
                    None => masked.push_str(user_info),
                }
                after.strip_prefix(user_info).unwrap_or_default()
            }
            None => after,
        };
    }
    masked.push_str(rest);
    masked
}

/// Splits before the first character that `ends`.
fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let at = text.find(ends).unwrap_or(text.len());
    (text.get(..at).unwrap_or_default(), text.get(at..).unwrap_or_default())
}

/// The value at the start of `text`: up to its quote, or to what ends an unquoted one.
fn split_value(text: &str, quote: Option<char>) -> (&str, &str) {
    match quote {
        Some(quote) => split_where(text, |character| character == quote),
        None => split_where(text, |character| character.is_whitespace() || "&,;\"'})]`".contains(character)),
    }
}

/// A word that stands before the secret of a header.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests;
