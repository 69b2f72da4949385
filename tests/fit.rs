//! `kgtop fit`: from files, from names, against the GPUs of this machine and against assumed ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::format_push_string,
    reason = "a test may panic"
)]

#[path = "support/models.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod models;
#[path = "support/stand_in.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
mod stand_in;

use models::{Decoder, Repository, config, decoder, safetensors};
use std::path::Path;
use std::process::{Command, Stdio};

fn kgtop(arguments: &[&str], home: &Path) -> (Option<i32>, String, String) {
    kgtop_on("one-h200", arguments, home)
}

fn kgtop_on(scenario: &str, arguments: &[&str], home: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kgtop"))
        .args(arguments)
        .env("XDG_CONFIG_HOME", home)
        .env("HOME", home)
        .env_remove("HF_HOME")
        .env_remove("HF_HUB_CACHE")
        .env_remove("XDG_CACHE_HOME")
        .env(
            "KGTOP_STAND_IN",
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/scenarios/{scenario}.toml")),
        )
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_largest_in_sixteen_bits_does_not_fit_eight_gpus_of_80_gb() {
    let home = tempfile::tempdir().unwrap();
    let (status, text, _) = kgtop(&["fit", "llama-3.1-405b@fp16", "--memory", "8x80GB"], home.path());
    assert_eq!(status, Some(2));
    assert!(text.contains("Does not fit: 8,192 tokens") && text.contains("GPUs 0-7"), "{text}");
    assert!(text.contains("811.7 GB of tensors"), "{text}");
    assert!(text.contains("16 GPUs as large as these would take it"), "{text}");
}

#[test]
fn against_the_gpu_of_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let library = stand_in::stand_in_library();
    let library = library.to_str().unwrap();
    let arguments = ["fit", "llama-3.1-70b@q4_k_m", "--format", "json", "--nvml-lib", library];
    let (status, text, complaint) = kgtop(&arguments, home.path());
    assert_eq!(status, Some(0), "{text}{complaint}");
    let fit = json(&text);
    assert_eq!(fit["outcome"], "fits");
    assert_eq!(fit["gpus"], serde_json::json!([0]));
    assert_eq!(fit["model"]["kv_bytes_per_token_f16"], 327_680);
    // The idle H200 of the scenario: what its driver says is free.
    let free = fit["candidates"][0]["free_bytes"].as_u64().unwrap();
    assert!((139 << 30..141 << 30).contains(&free), "{free}");
    let (status, _, complaint) =
        kgtop(&["fit", "mistral-7b", "--gpus", "3", "--nvml-lib", library], home.path());
    assert_eq!(status, Some(64));
    assert!(complaint.contains("--gpus 3"), "{complaint}");
}

#[test]
fn a_gpu_that_mig_divides_takes_a_model_in_one_of_its_instances() {
    let home = tempfile::tempdir().unwrap();
    let library = stand_in::stand_in_library();
    let library = library.to_str().unwrap();
    let on = |model: &str, more: &[&str]| {
        let mut arguments = vec!["fit", model, "--nvml-lib", library];
        arguments.extend(more);
        kgtop_on("mig-a100", &arguments, home.path())
    };
    let (status, text, complaint) = on("llama-3.1-8b", &["--format", "json"]);
    assert_eq!(status, Some(0), "{text}{complaint}");
    let fit = json(&text);
    assert_eq!((&fit["gpus"], &fit["mig_instance"]), (&serde_json::json!([0]), &"2 (3g.40gb)".into()));
    let free = fit["candidates"][0]["free_bytes"].as_u64().unwrap();
    assert_eq!(free, 40_192 << 20, "an instance has its own memory, not the GPU's");
    for candidate in fit["candidates"].as_array().unwrap() {
        assert_eq!(candidate["nvlink"], false, "{candidate}");
        assert_eq!(candidate["gpus"].as_array().unwrap().len(), 1, "no model spans instances: {candidate}");
        assert!(candidate["mig_instance"].is_string(), "{candidate}");
    }
    let (status, text, complaint) = on("llama-3.1-70b", &[]);
    assert_eq!(status, Some(2), "{text}{complaint}");
    assert!(text.contains("GPU 0 MIG 2 (3g.40gb)"), "{text}");
    assert!(text.contains("GPUs 0,1 are divided by MIG"), "{text}");
    assert!(!text.contains("GPUs as large as these"), "{text}");
}

#[test]
fn more_context_than_the_model_was_trained_for_is_said() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["fit", "llama-3.1-8b", "--context", "300000", "--memory", "80GB"];
    let (status, text, complaint) = kgtop(&arguments, home.path());
    assert_eq!(status, Some(0), "{text}{complaint}");
    assert!(text.contains("The model was trained for 131,072 tokens only."), "{text}");
    assert!(text.contains("Largest context there: 300,000 tokens."), "{text}");
    assert!(text.contains("80.0 GB is 74.5 GiB") && text.contains("79.6 GiB"), "{text}");
    let within = ["fit", "llama-3.1-8b", "--context", "131072", "--memory", "80GiB"];
    let (_, text, _) = kgtop(&within, home.path());
    assert!(!text.contains("only.") && text.contains("Largest context there: 131,072 tokens."), "{text}");
    assert!(!text.contains("10⁹"), "{text}");
}

#[test]
fn a_model_of_a_store_by_its_name_and_a_file_by_its_path() {
    let home = tempfile::tempdir().unwrap();
    let hub = home.path().join(".cache/huggingface/hub");
    let numbers = Decoder(2, 4, 2, 64, 256, 512, 1_000);
    let (header, size) = safetensors(&decoder(&numbers, true));
    let repository = Repository { hub: &hub, name: "acme/small" };
    repository.file("c0ffee", "model.safetensors", "blob", &header, size);
    repository.file("c0ffee", "config.json", "config", config(&numbers, "").as_bytes(), 0);
    repository.reference("main", "c0ffee");
    let file = repository.path().join("snapshots/c0ffee/model.safetensors");
    for asked in ["acme/small", "ACME/Small", file.to_str().unwrap()] {
        let (status, text, complaint) =
            kgtop(&["fit", asked, "--memory", "24GiB", "--format", "json"], home.path());
        assert_eq!(status, Some(0), "{asked}: {text}{complaint}");
        let fit = json(&text);
        assert_eq!(fit["model"]["kv_elements_per_token"], 2 * 2 * 2 * 64, "{asked}");
        let weights = size - header.len() as u64;
        assert_eq!(fit["model"]["weights_bytes"], weights, "{asked}");
        assert_eq!(fit["model"]["parameters"], weights / 2, "{asked}");
    }
}

#[test]
fn a_part_of_a_model_is_not_judged() {
    let home = tempfile::tempdir().unwrap();
    let numbers = Decoder(2, 4, 2, 64, 256, 512, 1_000);
    let (header, size) = safetensors(&decoder(&numbers, true));
    let folder = home.path().join("part");
    let file = folder.join("model-00001-of-00004.safetensors");
    models::sparse(&file, &header, size);
    models::sparse(&folder.join("config.json"), config(&numbers, "").as_bytes(), 0);
    for asked in [&folder, &file] {
        let (status, text, complaint) =
            kgtop(&["fit", asked.to_str().unwrap(), "--memory", "80GB"], home.path());
        assert_eq!(status, Some(3), "{text}{complaint}");
        assert!(text.contains("Not judged: 1 of 4 files of weights is here"), "{text}");
        assert!(!text.contains("Fits"), "{text}");
    }
}

#[test]
fn what_cannot_be_judged_is_said() {
    let home = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let root = root.path().to_str().unwrap();
    let (status, text, _) = kgtop(&["fit", "mistral-7b", "--root", root], home.path());
    assert_eq!(status, Some(3));
    assert!(text.contains("Not judged: there is no GPU") && text.contains("14.5 GB of tensors"), "{text}");
    for (arguments, expected) in [
        (vec!["fit", "gpt-5"], "llama-3.1-70b"),
        (vec!["fit", "mistral-7b@q1"], "q4_k_m"),
        (vec!["fit", "/nowhere/model.gguf"], "no such file"),
        (vec!["fit", "mistral-7b", "--memory", "80"], "8x80GB"),
        (vec!["fit", "mistral-7b", "--context", "0"], "0"),
        (vec!["fit"], "MODEL"),
    ] {
        let (status, _, complaint) = kgtop(&arguments, home.path());
        assert_eq!(status, Some(64), "{arguments:?}: {complaint}");
        assert!(complaint.contains(expected), "{arguments:?}: {complaint}");
    }
}

#[test]
fn a_model_does_not_steer_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let numbers = Decoder(2, 4, 2, 64, 256, 512, 1_000);
    let (header, size) = safetensors(&decoder(&numbers, true));
    let file = home.path().join("w\u{1b}[2J\u{1b}]52;c;aGk=\u{7}.safetensors");
    models::sparse(&file, &header, size);
    let steers = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    let (_, text, complaint) = kgtop(&["fit", file.to_str().unwrap(), "--memory", "8x80GB"], home.path());
    assert!(text.contains("]52;c;aGk=") && !steers(&text) && !steers(&complaint), "{text:?}{complaint:?}");
    // Nor does an argument that is told of.
    let (status, _, complaint) = kgtop(&["fit", "no\u{1b}[31m", "--memory", "8x80GB"], home.path());
    assert!(status == Some(64) && complaint.contains("no·[31m") && !steers(&complaint), "{complaint:?}");
}
