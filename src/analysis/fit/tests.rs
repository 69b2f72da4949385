use super::*;
use crate::model::{Absence, KvCache, ModelShape};
use crate::units::Bytes;

const GB: f64 = 1e9;

fn weights(name: &str) -> f64 {
    lookup(name).unwrap().1.weights.unwrap().0 as f64 / GB
}

fn request(context: u64) -> Request {
    Request { context, batch: 1, kv_type: KvType::F16 }
}

#[test]
fn every_row_of_the_catalogue_is_read_and_its_parameters_follow_from_its_numbers() {
    assert_eq!(catalogue().len(), catalogue::rows().count());
    for model in catalogue() {
        let matrices = model.vocabulary * model.hidden * if model.tied { 1 } else { 2 };
        let attention = 2 * model.hidden * model.head_size * (model.heads + model.kv_heads);
        let experts = model.experts.max(1) * 3 * model.hidden * model.feed_forward;
        let gate = model.experts * model.hidden;
        let bias = u64::from(model.bias) * model.head_size * (model.heads + 2 * model.kv_heads);
        let layers = model.layers * (attention + experts + gate + bias + 2 * model.hidden);
        assert_eq!(matrices + layers + model.hidden, model.parameters, "{}", model.name);
        assert!(!model.source.is_empty());
    }
}

/// The guide's table of memory: name, FP16 and `Q4_K_M` in GB.
const GUIDE: [(&str, f64, f64); 7] = [
    ("llama-3.2-1b", 2.4, 1.0),
    ("llama-3.2-3b", 6.4, 2.5),
    ("llama-3.1-8b", 16.0, 5.5),
    ("mistral-7b", 14.4, 5.0),
    ("llama-3.1-70b", 141.0, 42.0),
    ("llama-3.1-405b", 810.0, 240.0),
    ("mixtral-8x22b", 282.0, 86.0),
];

#[test]
fn sixteen_bits_as_in_the_guide_within_three_per_cent() {
    for (name, guide, _) in GUIDE {
        let found = weights(&format!("{name}@fp16"));
        assert!((found / guide - 1.0).abs() <= 0.03, "{name}: {found} GB, the guide has {guide}");
    }
}

#[test]
fn quantised_rows_as_the_published_files() {
    // Sizes of files on Hugging Face (bartowski's and MaziyarPanahi's) in GB of two decimals. The files hold 1 to 8 MB
    // of vocabulary besides.
    for (name, published) in [
        ("llama-3.2-1b@q4_k_m", 0.81),
        ("llama-3.2-3b@q4_k_m", 2.02),
        ("llama-3.1-8b@q4_k_m", 4.92),
        ("mistral-7b@q4_k_m", 4.37),
        ("llama-3.1-70b@q4_k_m", 42.52),
        ("llama-3.1-70b@q5_k_m", 49.95),
        ("llama-3.1-70b@q6_k", 57.89),
        ("llama-3.1-70b@q8_0", 74.98),
        ("mixtral-8x22b@q4_k_m", 85.59),
    ] {
        let found = weights(name);
        assert!((-0.006..=0.014).contains(&(published - found)), "{name}: {found} GB, published {published}");
    }
    // The guide's figures of the same rows: below 10 GB they hold half a GB or less of cache and buffers on top of
    // the weights, above they are the weights, rounded to two digits.
    for (name, _, guide) in GUIDE {
        let found = weights(&format!("{name}@q4_k_m"));
        let above = guide - found;
        let explained =
            if guide < 10.0 { (0.0..=0.65).contains(&above) } else { (above / found).abs() < 0.015 };
        assert!(explained, "{name}: {found} GB, the guide has {guide}");
    }
}

#[test]
fn a_token_of_llama_70b_costs_320_kib_and_128k_of_them_40_gib() {
    let (_, shape) = lookup("Llama-3.1-70B@Q4_K_M").unwrap();
    let kv = shape.kv.clone().unwrap();
    assert_eq!(KvType::F16.bytes(kv.per_token()), 320 << 10);
    assert_eq!(KvType::Q8.bytes(kv.per_token()), 80 * 2 * 8 * 128 * 34 / 32);
    let need = need(&shape, &request(131_072), 1).unwrap();
    assert_eq!(need.kv, Bytes(40 << 30));
    // Eight KV heads are divided by eight GPUs, and not by sixteen.
    assert_eq!(super::need(&shape, &request(131_072), 8).unwrap().kv, Bytes(5 << 30));
    assert_eq!(super::need(&shape, &request(131_072), 16).unwrap().kv, Bytes(5 << 30));
}

#[test]
fn the_largest_does_not_fit_eight_gpus_of_80_gb() {
    let (_, shape) = lookup("llama-3.1-405b@fp16").unwrap();
    let machine = Machine::assumed(&[Bytes(80_000_000_000); 8]);
    let fit = judge(&shape, request(8_192), &machine);
    let Outcome::No { nearest, when_empty, gpus_needed } = fit.outcome else { panic!("{:?}", fit.outcome) };
    assert_eq!(nearest.gpus.len(), 8);
    assert!(nearest.need.weights > Bytes(101_000_000_000));
    assert!(!when_empty);
    assert_eq!(gpus_needed, Some(16));
}

#[test]
fn it_fits_as_asked_or_with_a_shorter_context_or_a_smaller_cache() {
    let (_, shape) = lookup("llama-3.1-70b@q4_k_m").unwrap();
    let one = Machine::assumed(&[Bytes(80 << 30)]);
    let fit = judge(&shape, request(8_192), &one);
    let Outcome::Fits { candidate, largest_context } = fit.outcome else { panic!("{:?}", fit.outcome) };
    assert_eq!(candidate.gpus, [0]);
    // What is left of 80 GiB, at 320 KiB a token.
    let left = (80_u64 << 30) - need(&shape, &request(8_192), 1).unwrap().sum().0;
    assert_eq!(largest_context, 8_192 + left / (320 << 10));
    let small = Machine::assumed(&[Bytes(48 << 30)]);
    let fit = judge(&shape, request(32_768), &small);
    let Outcome::FitsWith(found) = fit.outcome else { panic!("{:?}", fit.outcome) };
    let fp8 = found.iter().find(|other| other.kv_type == KvType::Fp8).unwrap();
    let f16 = found.iter().find(|other| other.kv_type == KvType::F16).unwrap();
    assert!(fp8.context > f16.context && f16.context >= 1_024, "{found:?}");
    assert!(fp8.candidate.fits() && f16.candidate.fits());
}

#[test]
fn a_set_within_nvlink_is_taken_before_one_across() {
    let (_, shape) = lookup("llama-3.1-70b@fp16").unwrap();
    let mut machine = Machine::assumed(&[Bytes(90 << 30); 4]);
    machine.linked = vec![vec![1, 3], vec![0, 2]];
    let fit = judge(&shape, request(8_192), &machine);
    let Outcome::Fits { candidate, .. } = fit.outcome else { panic!("{:?}", fit.outcome) };
    assert_eq!((candidate.gpus.as_slice(), candidate.linked), ([1, 3].as_slice(), true));
    machine.keep(&[0, 1]);
    assert!(machine.linked.is_empty());
}

#[test]
fn an_instance_takes_a_model_alone_and_never_beside_a_gpu() {
    let mut machine = Machine::assumed(&[Bytes(90 << 30); 4]);
    machine.gpus[0].instance = Some("1 (3g.40gb)".into());
    machine.gpus[0].free = Ok(Bytes(40 << 30));
    machine.gpus[1].index = 0;
    machine.gpus[1].instance = Some("2 (1g.10gb)".into());
    machine.gpus[1].free = Ok(Bytes(10 << 30));
    machine.linked = vec![vec![2, 3]];
    let fit = judge(&lookup("llama-3.1-70b@fp16").unwrap().1, request(8_192), &machine);
    let Outcome::Fits { candidate, .. } = &fit.outcome else { panic!("{:?}", fit.outcome) };
    assert_eq!((candidate.gpus.as_slice(), candidate.linked), ([2, 3].as_slice(), true));
    for candidate in &fit.candidates {
        assert!(candidate.gpus.len() == 1 || !candidate.gpus.contains(&0), "{candidate:?}");
    }
    let instances: Vec<_> = fit.candidates.iter().filter_map(|each| each.instance.as_deref()).collect();
    assert_eq!(instances, ["1 (3g.40gb)", "2 (1g.10gb)"]);
    machine.keep(&[0]);
    let fit = judge(&lookup("llama-3.1-8b").unwrap().1, request(8_192), &machine);
    let Outcome::Fits { candidate, .. } = &fit.outcome else { panic!("{:?}", fit.outcome) };
    assert_eq!((candidate.free, candidate.instance.as_deref()), (Bytes(40 << 30), Some("1 (3g.40gb)")));
}

#[test]
fn what_is_not_known_is_said_and_no_verdict() {
    let shape =
        ModelShape { kv: Err(Absence::failed(0, "jamba: not computed")), ..lookup("mistral-7b").unwrap().1 };
    let machine = Machine::assumed(&[Bytes(80 << 30)]);
    let Outcome::Unknown(why) = judge(&shape, request(8_192), &machine).outcome else { panic!() };
    assert!(why.contains("jamba"));
    let nothing = judge(&lookup("mistral-7b").unwrap().1, request(8_192), &Machine::default());
    assert!(matches!(nothing.outcome, Outcome::Unknown(_)));
    assert!(nothing.alone.is_ok());
    assert!(lookup("gpt-5").unwrap_err().to_string().contains("llama-3.1-70b"));
    assert!(lookup("mistral-7b@q1").unwrap_err().to_string().contains("q4_k_m"));
}

#[test]
fn a_window_and_a_latent_bound_the_cache() {
    let (_, mut shape) = lookup("mistral-7b").unwrap();
    shape.kv = Ok(KvCache { windowed: 100, window: 1_000, ..KvCache::full(10, 8) });
    assert_eq!(need(&shape, &request(2_000), 1).unwrap().kv, Bytes(2 * (10 * 2_000 + 100 * 1_000)));
    shape.kv = Ok(KvCache { latent: true, ..KvCache::full(576, 1) });
    assert_eq!(need(&shape, &request(1_000), 8).unwrap().kv, Bytes(2 * 576 * 1_000));
}
