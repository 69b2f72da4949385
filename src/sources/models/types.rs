//! Names and sizes of tensor types.

/// Elements and bytes of a block per tensor type (`ggml.c`, `type_traits`).
const GGML: &[(u32, &str, u64, u64)] = &[
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (39, "MXFP4", 32, 17),
];

/// Quantisation by `general.file_type` (`llama.h`, `llama_ftype`).
const FILE_TYPES: &[(u64, &str)] = &[
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (38, "MXFP4"),
];

/// Data types of safetensors and their bits (its `Dtype`, `bitsize`).
const SAFETENSORS: &[(&str, u64)] = &[
    ("F64", 64),
    ("F32", 32),
    ("F16", 16),
    ("BF16", 16),
    ("F8_E4M3", 8),
    ("F8_E5M2", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("F4", 4),
    ("I64", 64),
    ("I32", 32),
    ("I16", 16),
    ("I8", 8),
    ("U64", 64),
    ("U32", 32),
    ("U16", 16),
    ("U8", 8),
    ("BOOL", 8),
    ("C64", 64),
];

/// Name, elements and bytes of a block of a GGUF tensor type.
pub(super) fn ggml(kind: u32) -> Option<(&'static str, u64, u64)> {
    GGML.iter().find(|(number, ..)| *number == kind).map(|(_, name, block, bytes)| (*name, *block, *bytes))
}

/// Name of a quantisation.
pub(super) fn file_type(number: u64) -> Option<&'static str> {
    FILE_TYPES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// The known name that a safetensors header means. A hostile header may have a new one for each tensor: those are
/// all one.
pub(super) fn safetensors_name(dtype: &str) -> &'static str {
    known(dtype).map_or("unknown", |(name, _)| name)
}

/// Whether so many elements of that type take so many bytes. Of a type that is not known, one has at least a bit.
pub(super) fn safetensors_holds(dtype: &str, elements: u64, bytes: u64) -> bool {
    let stated = u128::from(bytes) * 8;
    match known(dtype) {
        Some((_, bits)) => u128::from(elements) * u128::from(bits) == stated,
        None => u128::from(elements) <= stated,
    }
}

fn known(dtype: &str) -> Option<(&'static str, u64)> {
    SAFETENSORS.iter().find(|(name, _)| *name == dtype).copied()
}
