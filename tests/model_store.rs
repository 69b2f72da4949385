//! Model stores: what is found, what it is, and what does not stop the scan.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::format_push_string,
    clippy::disallowed_methods,
    reason = "a test may panic"
)]

#[path = "support/models.rs"]
mod support;

use kgtop::model::{Absence, KvCache, ModelStore, StoreKind, StoredModel};
use kgtop::sources::models::{ModelScanner, Scanned, StoreEnvironment, scan_once};
use kgtop::sources::root::Root;
use kgtop::units::{Bytes, Clock, Mono, Wall};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Decoder, Repository, config, decoder, ollama, safetensors, sparse};

const COMMIT: &str = "0e9e39f249a16976918f6564b8830bc894c89659";
/// More than the tensors of `tiny-Q8_0.gguf` take.
const TINY: u64 = 2_000_000;
const LLAMA_8B: Decoder = Decoder(32, 32, 8, 128, 4_096, 14_336, 128_256);

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)).unwrap()
}

/// Scans a tree in which `folders` (below it) and the usual places are looked at.
fn scan(tree: &Path, folders: &[&str]) -> ModelStore {
    let root = Root::open(tree).unwrap();
    let environment = StoreEnvironment { home: Some("/home/ada".into()), ..StoreEnvironment::default() };
    let folders: Vec<String> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    let Scanned { store, .. } = scan_once(&root, &environment, &folders);
    assert!(store.complete);
    store
}

fn model<'a>(store: &'a ModelStore, name: &str) -> &'a StoredModel {
    let names: Vec<&str> = store.models.iter().map(|model| &*model.name).collect();
    store.models.iter().find(|model| &*model.name == name).unwrap_or_else(|| panic!("{name} in {names:?}"))
}

/// Llama 3.1 8B in four files, as it is published, and an old revision that shares all but one of them.
fn llama(hub: &Path) -> u64 {
    let repository = Repository { hub, name: "meta-llama/Llama-3.1-8B-Instruct" };
    let all = decoder(&LLAMA_8B, false);
    let mut size = 0;
    for (index, part) in all.chunks(all.len().div_ceil(4)).enumerate() {
        let (header, length) = safetensors(part);
        let name = format!("model-{:05}-of-00004.safetensors", index + 1);
        repository.file(COMMIT, &name, &format!("blob{index}"), &header, length);
        size += length;
        if index < 3 {
            let old = repository.path().join("snapshots/old").join(&name);
            fs::create_dir_all(old.parent().unwrap()).unwrap();
            symlink(format!("../../blobs/blob{index}"), old).unwrap();
        }
    }
    let text = config(&LLAMA_8B, ",\"torch_dtype\":\"bfloat16\"");
    repository.file(COMMIT, "config.json", "cfg", text.as_bytes(), 0);
    repository.reference("main", COMMIT);
    size + text.len() as u64
}

#[test]
fn a_hugging_face_cache_to_the_byte() {
    let tree = tempfile::tempdir().unwrap();
    let hub = tree.path().join("home/ada/.cache/huggingface/hub");
    let size = llama(&hub);
    let repository = Repository { hub: &hub, name: "meta-llama/Llama-3.1-8B-Instruct" };
    sparse(&repository.path().join("blobs/loading.incomplete"), &[1; 8_192], 1_234_567);
    sparse(&repository.path().join("blobs/left"), b"", 1_000);
    Repository { hub: &hub, name: "gated/only-refs" }.reference("main", COMMIT);
    fs::create_dir_all(hub.join(".locks/models--gated--only-refs")).unwrap();
    fs::create_dir_all(hub.join("datasets--acme--corpus/snapshots/x")).unwrap();

    let store = scan(tree.path(), &[]);
    assert_eq!(store.models.len(), 1);
    let llama = model(&store, "meta-llama/Llama-3.1-8B-Instruct");
    assert_eq!((llama.store, llama.revision.as_deref()), (StoreKind::HuggingFace, Some(COMMIT)));
    // Shared blobs once, a blob without a revision among them.
    assert_eq!(llama.size, Bytes(size + 1_000));
    assert_eq!(llama.unreferenced, Bytes(1_000));
    assert_eq!((llama.unfinished.files, llama.files), (1, 4));
    assert!(
        (8_192..100_000).contains(&llama.unfinished.size.0),
        "what it takes on disk: {:?}",
        llama.unfinished
    );
    assert_eq!(llama.shape.parameters, Ok(8_030_261_248));
    assert_eq!(llama.shape.weights, Ok(Bytes(2 * 8_030_261_248)));
    assert_eq!(llama.shape.data_type.as_deref(), Ok("BF16"));
    assert_eq!(llama.shape.kv, Ok(KvCache::full(32 * 2 * 8 * 128, 8)));
    assert_eq!(llama.shape.geometry.context, Some(131_072));
    let place = &store.places[0];
    assert_eq!((place.models.as_ref(), place.kind), (Ok(&1), StoreKind::HuggingFace));
}

#[test]
fn tags_of_ollama_share_their_blob_and_what_is_loading_is_no_model() {
    let tree = tempfile::tempdir().unwrap();
    let store = tree.path().join("home/ada/.ollama/models");
    let weights = fixture("tiny-Q8_0.gguf");
    let names = [
        "registry.ollama.ai/library/tiny/latest",
        "registry.ollama.ai/library/tiny/3b",
        "registry.ollama.ai/acme/mine/v1",
        "hf.co/bartowski/Tiny-GGUF/Q8_0",
    ];
    ollama(&store, &names, &weights, TINY);
    sparse(&store.join("blobs/sha256-00-partial"), &[1; 4_096], 40_000_000);
    sparse(&store.join("blobs/sha256-00-partial-0"), b"{}", 2);
    fs::write(store.join("manifests/registry.ollama.ai/library/tiny/broken"), "{\"layers\":[{").unwrap();

    let found = scan(tree.path(), &[]);
    assert_eq!(found.models.len(), 1);
    let tiny = &found.models[0];
    let mut names: Vec<&str> = tiny.aliases.iter().map(|alias| &**alias).collect();
    names.push(&tiny.name);
    names.sort_unstable();
    assert_eq!(names, ["acme/mine:v1", "hf.co/bartowski/Tiny-GGUF:Q8_0", "tiny:3b", "tiny:latest"]);
    assert_eq!(tiny.size, Bytes(TINY + 2));
    assert_eq!(tiny.shape.data_type.as_deref(), Ok("Q8_0"));
    assert_eq!(tiny.shape.kv, Ok(KvCache::full(2 * 2 * 128, 2)));
    assert_eq!(found.places[0].unfinished.files, 1);
}

#[test]
fn a_folder_has_files_split_files_and_folders_and_a_loop_of_links_ends() {
    let tree = tempfile::tempdir().unwrap();
    let folder = tree.path().join("models");
    let tiny = fixture("tiny-Q8_0.gguf");
    sparse(&folder.join("tiny-Q8_0.gguf"), &tiny, TINY);
    sparse(&folder.join("split-00001-of-00002.gguf"), &tiny, TINY);
    sparse(&folder.join("split-00002-of-00002.gguf"), &tiny, TINY);
    sparse(&folder.join("hostile.safetensors"), &fixture("hostile-length.safetensors"), 0);
    sparse(&folder.join("cut.gguf"), &tiny[..4_096], 0);
    sparse(&folder.join("half.gguf"), &tiny, TINY / 2);
    let numbers = Decoder(2, 4, 2, 64, 256, 512, 1_000);
    let (header, size) = safetensors(&decoder(&numbers, true));
    sparse(&folder.join("mine/model.safetensors"), &header, size);
    fs::write(folder.join("mine/config.json"), config(&numbers, "")).unwrap();
    symlink("..", folder.join("mine/loop")).unwrap();
    symlink("self", folder.join("self")).unwrap();

    let store = scan(tree.path(), &["/models"]);
    let names: Vec<&str> = store.models.iter().map(|model| &*model.name).collect();
    assert_eq!(names, ["cut", "half", "hostile", "mine", "split", "tiny-Q8_0"]);
    let mine = model(&store, "mine");
    assert_eq!(mine.shape.kv, Ok(KvCache::full(2 * 2 * 2 * 64, 2)));
    assert_eq!(mine.size, Bytes(size));
    let split = model(&store, "split");
    assert_eq!(
        (split.files, split.shape.weights.clone()),
        (2, model(&store, "tiny-Q8_0").shape.weights.clone().map(|one| Bytes(2 * one.0)))
    );
    // What is broken says what is wrong with which file, and no number of it passes for the whole.
    for (name, what) in [("hostile", "hostile.safetensors"), ("cut", "cut.gguf"), ("half", "ends early")] {
        let problem = model(&store, name).shape.weights.clone().unwrap_err().to_string();
        assert!(problem.contains(what), "{problem}");
    }
    let elsewhere = scan(tree.path(), &["/nowhere"]);
    assert_eq!(elsewhere.places[0].models, Err(Absence::NotSupported), "a place that was named is missed");
}

/// The first of the four files of Llama 3.1 8B, with what stands beside it.
fn first_part(file: &mut dyn FnMut(&str, &[u8], u64)) {
    let all = decoder(&LLAMA_8B, false);
    let mut map = String::new();
    for (index, part) in all.chunks(all.len().div_ceil(4)).enumerate() {
        let name = format!("model-{:05}-of-00004.safetensors", index + 1);
        for (tensor, ..) in part {
            map.push_str(&format!("{}\"{tensor}\":\"{name}\"", if map.is_empty() { "" } else { "," }));
        }
        if index == 0 {
            let (header, length) = safetensors(part);
            file(&name, &header, length);
        }
    }
    let index = format!("{{\"metadata\":{{\"total_size\":16060522496}},\"weight_map\":{{{map}}}}}");
    file("model.safetensors.index.json", index.as_bytes(), 0);
    file("config.json", config(&LLAMA_8B, "").as_bytes(), 0);
}

#[test]
fn a_part_of_a_model_is_not_the_model() {
    let tree = tempfile::tempdir().unwrap();
    let hub = tree.path().join("home/ada/.cache/huggingface/hub");
    let repository = Repository { hub: &hub, name: "meta-llama/Part" };
    first_part(&mut |name, bytes, size| repository.file(COMMIT, name, name, bytes, size));
    repository.reference("main", COMMIT);
    sparse(&repository.path().join("blobs/second.incomplete"), &[1; 4_096], 40_000_000);
    // Its index alone.
    let other = Repository { hub: &hub, name: "meta-llama/Nothing" };
    first_part(&mut |name, bytes, size| {
        if !name.ends_with(".safetensors") {
            other.file(COMMIT, name, name, bytes, size);
        }
    });
    let folder = tree.path().join("models");
    first_part(&mut |name, bytes, size| sparse(&folder.join("part").join(name), bytes, size));
    // Only the index tells that names without numbers are not all.
    let numbers = Decoder(2, 4, 2, 64, 256, 512, 1_000);
    let (header, size) = safetensors(&decoder(&numbers, true));
    sparse(&folder.join("odd/first.safetensors"), &header, size);
    let index = "{\"weight_map\":{\"a\":\"first.safetensors\",\"b\":\"second.safetensors\"}}";
    sparse(&folder.join("odd/model.safetensors.index.json"), index.as_bytes(), 0);
    // An index of another set of files beside a whole model.
    sparse(&folder.join("whole/model.safetensors"), &header, size);
    let index = "{\"weight_map\":{\"a\":\"model.fp16-00001-of-00002.safetensors\"}}";
    sparse(&folder.join("whole/model.fp16.safetensors.index.json"), index.as_bytes(), 0);
    sparse(&folder.join("cut/model.safetensors"), &header, size);
    sparse(&folder.join("cut/model.safetensors.index.json"), b"{\"weight_map\":{", 0);
    let tiny = fixture("tiny-Q8_0.gguf");
    sparse(&folder.join("m-00001-of-00005.gguf"), &tiny, TINY);
    sparse(&folder.join("renamed.gguf"), &with_split(&tiny, 5), TINY);
    sparse(&folder.join("alone.gguf"), &with_split(&tiny, 1), TINY);

    let store = scan(tree.path(), &["/models"]);
    for (name, here, all, said) in [
        ("meta-llama/Part", 1, 4, "1 of 4 files of weights is here"),
        ("meta-llama/Nothing", 0, 4, "none of 4 files of weights is here"),
        ("part", 1, 4, "1 of 4 files of weights is here"),
        ("odd", 1, 2, "1 of 2 files of weights is here"),
        ("m", 1, 5, "1 of 5 files of weights is here"),
        ("renamed", 1, 5, "1 of 5 files of weights is here"),
    ] {
        let part = model(&store, name);
        assert_eq!((part.files, part.files_in_all), (here, Some(all)), "{name}");
        let reason = Absence::failed(0, said);
        assert_eq!(part.shape.weights, Err(reason.clone()), "{name}");
        assert_eq!(part.shape.parameters, Err(reason), "{name}");
    }
    // What does not depend on the missing files is known.
    let part = model(&store, "part");
    assert_eq!(part.shape.kv, Ok(KvCache::full(32 * 2 * 8 * 128, 8)));
    assert!(model(&store, "odd").shape.kv.is_err(), "layers of one file are not all layers");
    for whole in ["whole", "alone"] {
        let whole = model(&store, whole);
        assert!(whole.shape.weights.is_ok() && whole.files_in_all.is_none(), "{whole:?}");
    }
    let cut = model(&store, "cut").shape.weights.clone().unwrap_err().to_string();
    assert!(cut.contains("model.safetensors.index.json"), "{cut}");
}

/// The same GGUF with one more key: `split.count`.
fn with_split(gguf: &[u8], count: u16) -> Vec<u8> {
    let keys = u64::from_le_bytes(gguf[16..24].try_into().unwrap());
    let mut bytes = gguf[..16].to_vec();
    bytes.extend((keys + 1).to_le_bytes());
    bytes.extend(11_u64.to_le_bytes());
    bytes.extend(b"split.count");
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(&gguf[24..]);
    bytes
}

#[test]
fn a_manifest_names_more_weights_than_are_here() {
    let tree = tempfile::tempdir().unwrap();
    let store = tree.path().join("home/ada/.ollama/models");
    ollama(&store, &["registry.ollama.ai/library/tiny/latest"], &fixture("tiny-Q8_0.gguf"), TINY);
    let manifest = store.join("manifests/registry.ollama.ai/library/tiny/latest");
    let text = fs::read_to_string(&manifest).unwrap();
    let second = format!(
        "\"layers\":[{{\"mediaType\":\"application/vnd.ollama.image.model\",\"digest\":\"sha256:{}\"}},",
        "b".repeat(64)
    );
    fs::write(&manifest, text.replace("\"layers\":[", &second)).unwrap();
    let found = scan(tree.path(), &[]);
    assert_eq!((found.models[0].files, found.models[0].files_in_all), (1, Some(2)));
    assert!(found.models[0].shape.weights.is_err());
}

#[test]
fn names_of_files_steer_no_terminal() {
    let tree = tempfile::tempdir().unwrap();
    sparse(&tree.path().join("models/w\x1b[2Jx.gguf"), &fixture("tiny-Q8_0.gguf"), TINY);
    let store = scan(tree.path(), &["/models"]);
    assert_eq!(&*store.models[0].name, "w·[2Jx");
    assert_eq!(&*store.models[0].path, "/models/w·[2Jx.gguf");
    assert!(store.models[0].shape.weights.is_ok(), "the file itself is found by its own name");
}

#[test]
fn packed_weights_count_their_parameters() {
    let tree = tempfile::tempdir().unwrap();
    let folder = tree.path().join("models/gptq");
    let tensors = vec![
        ("model.layers.0.mlp.up_proj.qweight".into(), "I32", vec![256, 512]),
        ("model.layers.0.mlp.up_proj.qzeros".into(), "I32", vec![16, 64]),
        ("model.layers.0.mlp.up_proj.scales".into(), "F16", vec![16, 512]),
        ("model.embed_tokens.weight".into(), "F16", vec![1_000, 64]),
    ];
    let (header, size) = safetensors(&tensors);
    sparse(&folder.join("model.safetensors"), &header, size);
    let numbers = Decoder(1, 4, 2, 64, 256, 512, 1_000);
    let method = ",\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}";
    fs::write(folder.join("config.json"), config(&numbers, method)).unwrap();
    let store = scan(tree.path(), &["/models"]);
    let packed = model(&store, "gptq");
    assert_eq!(packed.shape.parameters, Ok(256 * 512 * 8 + 64_000));
    assert_eq!(packed.shape.data_type.as_deref(), Ok("GPTQ 4 bit"));
    fs::write(folder.join("config.json"), config(&numbers, "")).unwrap();
    assert!(model(&scan(tree.path(), &["/models"]), "gptq").shape.parameters.is_err());
}

#[test]
fn nothing_below_a_suspended_pool_is_touched() {
    let tree = tempfile::tempdir().unwrap();
    sparse(&tree.path().join("pool/models/tiny.gguf"), &fixture("tiny-Q8_0.gguf"), TINY);
    sparse(&tree.path().join("well/tiny.gguf"), &fixture("tiny-Q8_0.gguf"), TINY);
    let mounts = "22 1 0:21 / / rw,relatime - ext4 /dev/sda1 rw\n\
                  40 22 0:40 / /pool/models rw,noatime - zfs tank/ai/models rw,xattr\n";
    fs::create_dir_all(tree.path().join("proc/self")).unwrap();
    fs::write(tree.path().join("proc/self/mountinfo"), mounts).unwrap();
    let state = tree.path().join("proc/spl/kstat/zfs/tank/state");
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    fs::write(&state, "SUSPENDED\n").unwrap();
    // Listing it would block for ever, as it does on the real thing.
    fs::write(tree.path().join("root.toml"), "[file.\"/pool/models\"]\nhang = true\n").unwrap();

    let store = scan(tree.path(), &["/pool/models", "/well"]);
    assert_eq!(store.models.len(), 1);
    assert_eq!(store.models[0].mount.as_deref(), Ok("/dev/sda1"));
    let problem = store.places[0].models.clone().unwrap_err().to_string();
    assert!(problem.contains("tank") && problem.contains("suspended"), "{problem}");

    fs::write(&state, "ONLINE\n").unwrap();
    fs::write(tree.path().join("root.toml"), "").unwrap();
    let store = scan(tree.path(), &["/pool/models"]);
    assert_eq!(store.models[0].mount.as_deref(), Ok("tank/ai/models"));
    assert!(store.models[0].last_used.is_err(), "a file system without access times knows no last use");
}

fn clock() -> Clock {
    fn mono() -> Mono {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Mono(u64::try_from(now.tv_sec).unwrap() * 1_000_000 + u64::try_from(now.tv_nsec).unwrap() / 1_000)
    }
    Clock { mono, wall: || Wall(0) }
}

/// Waits for a complete scan.
fn wait(scanner: &mut ModelScanner, clock: Clock) -> ModelStore {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(scanned) = scanner.poll((clock.mono)())
            && scanned.store.complete
        {
            return scanned.store;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no complete scan; blocked: {:?}", scanner.blocked());
}

#[test]
fn a_file_that_does_not_answer_costs_itself_alone() {
    let tree = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        sparse(&tree.path().join(format!("models/{name}.gguf")), &fixture("tiny-Q8_0.gguf"), TINY);
    }
    fs::write(tree.path().join("root.toml"), "[file.\"/models/b.gguf\"]\nhang = true\n").unwrap();
    let clock = clock();
    let root = Root::open(tree.path()).unwrap();
    let folders = vec!["/models".to_owned()];
    let patience = Duration::from_millis(300);
    let mut scanner = ModelScanner::new(root, StoreEnvironment::default(), folders, clock, patience);
    let store = wait(&mut scanner, clock);
    let names: Vec<&str> = store.models.iter().map(|model| &*model.name).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(scanner.blocked(), ["/models/b.gguf"]);
}

#[test]
fn the_first_list_comes_before_any_header_is_read() {
    let tree = tempfile::tempdir().unwrap();
    for number in 0..40 {
        sparse(&tree.path().join(format!("models/m{number}.gguf")), &fixture("tiny-Q8_0.gguf"), TINY);
    }
    let clock = clock();
    let root = Root::open(tree.path()).unwrap();
    let folders = vec!["/models".to_owned()];
    let mut scanner =
        ModelScanner::new(root, StoreEnvironment::default(), folders, clock, Duration::from_secs(30));
    let store = wait(&mut scanner, clock);
    assert!(store.models.iter().all(|model| model.shape.weights.is_ok()));
    // Reading a header is no use of the model.
    let mut lists = Vec::new();
    let root = Root::open(tree.path()).unwrap();
    kgtop::sources::models::scan_in_steps(
        &root,
        &StoreEnvironment::default(),
        &["/models".to_owned()],
        &mut |step| {
            lists.push(step.store);
        },
    );
    assert!(lists.len() > 2);
    assert_eq!((lists[0].models.len(), lists[0].complete), (40, false));
    assert!(lists[0].models.iter().all(|model| model.shape.weights == Err(Absence::NotRequested)));
}
