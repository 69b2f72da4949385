//! What a key looks like, whatever its name.

/// Beginnings that services give their keys, and the least number of characters after them. Each is documented by
/// its service, mostly for secret scanning.
const PREFIXES: [(&str, usize); 34] = [
    ("sk-", 12),      // OpenAI, Anthropic, OpenRouter, …
    ("sk_live_", 8),  // Stripe
    ("sk_test_", 8),  // Stripe
    ("rk_live_", 8),  // Stripe
    ("hf_", 12),      // Hugging Face
    ("api_org_", 12), // Hugging Face organisations
    ("ghp_", 12),     // GitHub
    ("gho_", 12),     // GitHub
    ("ghu_", 12),     // GitHub
    ("ghs_", 12),     // GitHub
    ("ghr_", 12),     // GitHub
    ("github_pat_", 12),
    ("glpat-", 12),    // GitLab
    ("gldt-", 12),     // GitLab
    ("glrt-", 12),     // GitLab
    ("nvapi-", 12),    // NVIDIA
    ("xoxb-", 8),      // Slack
    ("xoxp-", 8),      // Slack
    ("xoxa-", 8),      // Slack
    ("xapp-", 8),      // Slack
    ("AIza", 30),      // Google
    ("ya29.", 12),     // Google OAuth
    ("GOCSPX-", 12),   // Google OAuth
    ("dckr_pat_", 12), // Docker
    ("npm_", 20),
    ("pypi-", 20),
    ("gsk_", 20),  // Groq
    ("r8_", 20),   // Replicate
    ("pplx-", 20), // Perplexity
    ("xai-", 20),
    ("tskey-", 12),  // Tailscale
    ("dop_v1_", 20), // DigitalOcean
    ("hvs.", 12),    // HashiCorp Vault
    ("eyJ", 30),     // JSON web token
];
/// AWS access key ids: a four-letter kind and sixteen characters.
const AWS_KINDS: [&str; 4] = ["AKIA", "ASIA", "ABIA", "ACCA"];

/// A run of letters and digits of at least this length is held against [`is_random`].
const RANDOM_RUN: usize = 28;
/// An AWS secret access key is 40 characters of base 64.
const AWS_SECRET_LENGTH: usize = 40;
/// MD5 or longer, as many services make their keys.
const HEXADECIMAL_RUN: usize = 32;

/// Whether a word looks like a key. A path never looks random: it may only hold a key with a known prefix.
pub(super) fn looks_secret(word: &str) -> bool {
    let word = word.trim_start_matches('-');
    word.split(['/', '.', '+']).any(has_key_prefix) || has_key_prefix(word) || is_random(word)
}

fn has_key_prefix(word: &str) -> bool {
    let known = PREFIXES.iter().any(|(prefix, least)| {
        word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least && !is_words(rest))
    });
    let aws = AWS_KINDS.iter().any(|kind| {
        word.strip_prefix(kind).is_some_and(|rest| {
            rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        })
    });
    known || aws
}

/// Short lower-case words joined by dashes (`sk-learn-pipeline-server`): a name and no key.
fn is_words(text: &str) -> bool {
    let word = |word: &str| word.len() <= 10 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.contains(['-', '_']) && text.split(['-', '_']).all(word)
}

fn is_random(word: &str) -> bool {
    if word.starts_with(['/', '.', '~']) {
        return false;
    }
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if word.len() >= HEXADECIMAL_RUN && word.bytes().all(hexadecimal) {
        return mixes(word, 0, 4, 4);
    }
    if word.len() == AWS_SECRET_LENGTH
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+'))
    {
        return mixes(word, 6, 6, 1);
    }
    if word.contains('/') {
        return false;
    }
    word.split(['-', '_', '.', '+', '~', '%'])
        .any(|run| run.len() >= RANDOM_RUN && run.is_ascii() && mixes(run, 4, 4, 2))
}

/// At least so many capitals, small letters and digits: words and numbers alone do not mix that much.
fn mixes(text: &str, capitals: usize, small: usize, digits: usize) -> bool {
    let count = |is: fn(&u8) -> bool| text.bytes().filter(is).count();
    count(u8::is_ascii_uppercase) >= capitals
        && count(u8::is_ascii_lowercase) >= small
        && count(u8::is_ascii_digit) >= digits
}
