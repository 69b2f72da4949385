//! What the name of an option or variable says of its value.

/// Words that make a name one of a secret, and pairs of words.
const SECRET_WORDS: [&str; 22] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "secrets",
    "apikey",
    "credential",
    "credentials",
    "creds",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "authkey",
    "accesskey",
    "pat",
    "jwt",
    "sig",
    "signature",
];
const SECRET_PAIRS: [(&str, &str); 15] = [
    ("api", "key"),
    ("access", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("account", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("license", "key"),
    ("auth", "key"),
    ("anthropic", "key"),
    ("azure", "key"),
    ("gemini", "key"),
    ("hf", "key"),
    ("openai", "key"),
    ("wandb", "key"),
];
/// Words after a secret's that make it a name of something else: `--auth-url`, `--token-limit`.
const HARMLESS_AFTER: [&str; 22] = [
    "id", "ids", "file", "path", "dir", "url", "uri", "endpoint", "type", "mode", "name", "limit", "count",
    "size", "length", "len", "budget", "rate", "level", "ratio", "index", "dim",
];
/// Words before `token` that make it one of a vocabulary.
const HARMLESS_BEFORE: [&str; 12] =
    ["pad", "eos", "bos", "unk", "cls", "sep", "mask", "image", "per", "stop", "special", "new"];

/// Whether something of this name is a secret: `--hf-token`, `WANDB_API_KEY`, `wandb.apiKey`.
pub(super) fn names_secret(name: &str) -> bool {
    let words = words(name);
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    (0..words.len()).any(|at| {
        let pair = SECRET_PAIRS.iter().any(|(first, second)| word(at) == *first && word(at + 1) == *second);
        let single = SECRET_WORDS.contains(&word(at));
        let next = word(if pair { at + 2 } else { at + 1 });
        let before = at.checked_sub(1).map_or("", word);
        let vocabulary = word(at) == "token" && HARMLESS_BEFORE.contains(&before);
        (pair || single) && !HARMLESS_AFTER.contains(&next) && !vocabulary
    })
}

/// Whether a value of this name is a hash that everybody may see.
pub(super) fn names_hash(name: &str) -> bool {
    let public =
        ["revision", "commit", "sha", "sha256", "digest", "hash", "id", "checksum", "uuid", "container"];
    words(name).last().is_some_and(|last| public.contains(&last.as_str()))
}

/// The words of a name, lower case: split at everything that is no letter or digit, and where a capital follows a
/// small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small_before = false;
    for character in name.chars() {
        let starts = !character.is_alphanumeric() || (character.is_uppercase() && small_before);
        if starts && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
        small_before = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}
