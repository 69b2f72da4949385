//! The names of NVML's return codes, for whoever tells of one.

/// `NVML_ERROR_NO_PERMISSION`: this user may not.
pub const NO_PERMISSION: u32 = 4;
/// `NVML_ERROR_INSUFFICIENT_POWER`: the GPU's external power cables are not properly attached.
pub const INSUFFICIENT_POWER: u32 = 8;
/// `NVML_ERROR_GPU_IS_LOST`: it fell off the bus, or is otherwise out of reach.
pub const GPU_IS_LOST: u32 = 15;
/// `NVML_ERROR_RESET_REQUIRED`: it must be reset before it can be used again.
pub const RESET_REQUIRED: u32 = 16;
/// `NVML_ERROR_UNKNOWN`: the driver failed and does not say why.
pub const UNKNOWN: u32 = 999;

/// NVML's own name of a return code (`nvmlReturn_t` of nvml.h, CUDA 13).
#[must_use]
pub const fn code_name(code: u32) -> Option<&'static str> {
    Some(match code {
        0 => "SUCCESS",
        1 => "UNINITIALIZED",
        2 => "INVALID_ARGUMENT",
        3 => "NOT_SUPPORTED",
        4 => "NO_PERMISSION",
        5 => "ALREADY_INITIALIZED",
        6 => "NOT_FOUND",
        7 => "INSUFFICIENT_SIZE",
        8 => "INSUFFICIENT_POWER",
        9 => "DRIVER_NOT_LOADED",
        10 => "TIMEOUT",
        11 => "IRQ_ISSUE",
        12 => "LIBRARY_NOT_FOUND",
        13 => "FUNCTION_NOT_FOUND",
        14 => "CORRUPTED_INFOROM",
        15 => "GPU_IS_LOST",
        16 => "RESET_REQUIRED",
        17 => "OPERATING_SYSTEM",
        18 => "LIB_RM_VERSION_MISMATCH",
        19 => "IN_USE",
        20 => "MEMORY",
        21 => "NO_DATA",
        22 => "VGPU_ECC_NOT_SUPPORTED",
        23 => "INSUFFICIENT_RESOURCES",
        24 => "FREQ_NOT_SUPPORTED",
        25 => "ARGUMENT_VERSION_MISMATCH",
        26 => "DEPRECATED",
        27 => "NOT_READY",
        28 => "GPU_NOT_FOUND",
        29 => "INVALID_STATE",
        30 => "RESET_TYPE_NOT_SUPPORTED",
        999 => "UNKNOWN",
        _ => return None,
    })
}

/// The code as people look it up: `RESET_REQUIRED (16)`.
#[must_use]
pub fn code_words(code: u32) -> String {
    code_name(code).map_or_else(|| format!("NVML error {code}"), |name| format!("{name} ({code})"))
}
