//! What the driver library's refusals mean: one mapping from return codes to [`Absence`], and the reasons why the
//! library cannot be opened, each as a sentence that says what to do.

use crate::model::Absence;
use crate::model::nvml_code::code_name;
use nvml_wrapper::error::NvmlError;
use std::path::PathBuf;
use std::sync::Arc;

/// NVML return codes that decide something (`nvmlReturn_t` in `nvml.h`).
pub(super) mod code {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const INVALID_ARGUMENT: u32 = 2;
    pub(crate) const NOT_SUPPORTED: u32 = 3;
    pub(crate) const NO_PERMISSION: u32 = 4;
    pub(crate) const NOT_FOUND: u32 = 6;
    pub(crate) const INSUFFICIENT_SIZE: u32 = 7;
    pub(crate) const DRIVER_NOT_LOADED: u32 = 9;
    pub(crate) const TIMEOUT: u32 = 10;
    pub(crate) const LIBRARY_NOT_FOUND: u32 = 12;
    pub(crate) const FUNCTION_NOT_FOUND: u32 = 13;
    pub(crate) use crate::model::nvml_code::{GPU_IS_LOST, RESET_REQUIRED, UNKNOWN};
    pub(crate) const LIB_RM_VERSION_MISMATCH: u32 = 18;
    pub(crate) const NO_DATA: u32 = 21;
    pub(crate) const ARGUMENT_VERSION_MISMATCH: u32 = 25;
}

/// Why a driver call gave no value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// NVML's return code.
    Code(u32),
    /// The call succeeded and its answer makes no sense; or the wrapper refused it.
    Nonsense(Arc<str>),
}

impl Failure {
    /// The driver is too old to have the function: the same as being told so by a newer one.
    pub(super) const MISSING: Self = Self::Code(code::FUNCTION_NOT_FOUND);

    /// The GPU is gone or needs a reset: no further call into it may be made.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost_code().is_some()
    }

    /// The code by which the driver gives the GPU up.
    pub(super) const fn lost_code(&self) -> Option<u32> {
        match self {
            Self::Code(code @ (code::GPU_IS_LOST | code::RESET_REQUIRED)) => Some(*code),
            _ => None,
        }
    }

    /// The device, its mode or this driver will not answer this however often it is asked.
    pub(super) const fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Code(code::NOT_SUPPORTED | code::FUNCTION_NOT_FOUND | code::ARGUMENT_VERSION_MISMATCH)
        )
    }

    /// Success, or the failure that a return code stands for.
    pub(super) const fn check(status: u32) -> Result<(), Self> {
        if status == code::SUCCESS { Ok(()) } else { Err(Self::Code(status)) }
    }
}

impl From<NvmlError> for Failure {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::FailedToLoadSymbol(_) => Self::MISSING,
            // Return codes that the wrapper does not know arrive here, and so do enum values that it does not
            // know; the codes are the ones that have a name.
            NvmlError::UnexpectedVariant(value) if code_name(value).is_some_and(|_| value > 22) => {
                Self::Code(value)
            }
            NvmlError::UnexpectedVariant(value) => Self::Nonsense(format!("unknown value {value}").into()),
            NvmlError::Utf8Error(_)
            | NvmlError::NulError(_)
            | NvmlError::LibloadingError(_)
            | NvmlError::StringTooLong { .. }
            | NvmlError::IncorrectBits(_)
            | NvmlError::SetReleaseFailed
            | NvmlError::GetPciInfoFailed
            | NvmlError::PciInfoToCFailed => Self::Nonsense(error.to_string().into()),
            other => Self::Code(other.into()),
        }
    }
}

impl From<&Failure> for Absence {
    fn from(failure: &Failure) -> Self {
        match failure {
            failure if failure.is_unsupported() => Self::NotSupported,
            failure if failure.is_lost() => Self::Lost,
            Failure::Code(code::NO_PERMISSION) => Self::NoPermission,
            Failure::Code(value) => {
                let name = code_name(*value).map_or_else(|| format!("NVML error {value}"), str::to_owned);
                Self::failed(i32::try_from(*value).unwrap_or(i32::MAX), name)
            }
            Failure::Nonsense(text) => Self::failed(0, Arc::clone(text)),
        }
    }
}

/// Why the driver library cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no library of that name.
    #[error(
        "libnvidia-ml.so.1 was not found: no NVIDIA driver is installed here, or this container was started \
         without its libraries (NVIDIA_DRIVER_CAPABILITIES must include \"utility\")"
    )]
    NoLibrary,
    /// The file is there (or was named) and is not an NVML library.
    #[error("--nvml-lib {} is not an NVML library: {reason}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// The loader's words, or which symbol is missing.
        reason: String,
    },
    /// `DRIVER_NOT_LOADED`
    #[error(
        "the NVIDIA kernel module is not loaded: load it with `modprobe nvidia`, and see `dmesg` if that fails"
    )]
    DriverNotLoaded,
    /// `LIB_RM_VERSION_MISMATCH`
    #[error(
        "libnvidia-ml.so.1 and the loaded kernel module are of different driver versions: reload the NVIDIA \
         modules or reboot (compare /proc/driver/nvidia/version)"
    )]
    LibraryMismatch,
    /// `NO_PERMISSION`
    #[error("no permission to talk to the NVIDIA driver: check the mode of /dev/nvidiactl and /dev/nvidia0")]
    NoPermission,
    /// `UNKNOWN`
    #[error(
        "the driver library failed with \"Unknown Error\": in a container, restart it (a `systemctl \
         daemon-reload` on the host takes away its access to /dev/nvidia*); else see `dmesg`"
    )]
    Unknown,
    /// Any other code.
    #[error(
        "the driver library could not be initialised: {name} ({code}); see `dmesg` for the driver's own words"
    )]
    Other {
        /// NVML return code, 0 if there is none.
        code: u32,
        /// Its name, or the loader's words.
        name: String,
    },
}

impl OpenError {
    /// NVML's return code, where the library answered with one.
    #[must_use]
    pub const fn code(&self) -> Option<u32> {
        match self {
            Self::NoLibrary | Self::NotALibrary { .. } | Self::Other { code: 0, .. } => None,
            Self::DriverNotLoaded => Some(code::DRIVER_NOT_LOADED),
            Self::LibraryMismatch => Some(code::LIB_RM_VERSION_MISMATCH),
            Self::NoPermission => Some(code::NO_PERMISSION),
            Self::Unknown => Some(code::UNKNOWN),
            Self::Other { code, .. } => Some(*code),
        }
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Code(code::DRIVER_NOT_LOADED) => Self::DriverNotLoaded,
            Failure::Code(code::LIB_RM_VERSION_MISMATCH) => Self::LibraryMismatch,
            Failure::Code(code::NO_PERMISSION) => Self::NoPermission,
            Failure::Code(code::LIBRARY_NOT_FOUND) => Self::NoLibrary,
            Failure::Code(code::UNKNOWN) => Self::Unknown,
            Failure::Code(value) => {
                Self::Other { code: value, name: code_name(value).unwrap_or("unnamed error").to_owned() }
            }
            Failure::Nonsense(text) => Self::Other { code: 0, name: text.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_in_this_driver_has_four_faces() {
        for failure in [
            Failure::Code(3),
            Failure::Code(13),
            Failure::Code(25),
            NvmlError::FailedToLoadSymbol("nvmlDeviceGetMemoryInfo_v2".into()).into(),
            NvmlError::UnexpectedVariant(25).into(),
            NvmlError::NotSupported.into(),
        ] {
            assert!(failure.is_unsupported());
            assert_eq!(Absence::from(&failure), Absence::NotSupported, "{failure:?}");
        }
    }

    #[test]
    fn lost_and_reset_required_end_all_calls() {
        for error in [NvmlError::GpuLost, NvmlError::ResetRequired] {
            let failure = Failure::from(error);
            assert!(failure.is_lost());
            assert_eq!(Absence::from(&failure), Absence::Lost);
        }
        assert!(!Failure::from(NvmlError::Unknown).is_lost());
        assert_eq!(Absence::from(&Failure::from(NvmlError::NoPermission)), Absence::NoPermission);
    }

    #[test]
    fn codes_the_wrapper_does_not_know_keep_their_number_and_name() {
        let names = [
            (23, "INSUFFICIENT_RESOURCES"),
            (24, "FREQ_NOT_SUPPORTED"),
            (26, "DEPRECATED"),
            (27, "NOT_READY"),
            (28, "GPU_NOT_FOUND"),
            (29, "INVALID_STATE"),
            (30, "RESET_TYPE_NOT_SUPPORTED"),
        ];
        for (value, name) in names {
            let failure = Failure::from(NvmlError::UnexpectedVariant(value));
            assert_eq!(Absence::from(&failure), Absence::failed(value as i32, name));
        }
    }

    #[test]
    fn an_enum_value_the_wrapper_does_not_know_is_no_return_code() {
        let failure = Failure::from(NvmlError::UnexpectedVariant(17));
        assert_eq!(Absence::from(&failure), Absence::failed(0, "unknown value 17"));
        assert_eq!(Absence::from(&Failure::Code(77)), Absence::failed(77, "NVML error 77"));
    }

    #[test]
    fn every_return_code_of_the_wrapper_survives_the_round_trip() {
        for value in (1..=22).chain([999]) {
            assert_eq!(Failure::from(NvmlError::from(value)), Failure::Code(value));
            assert!(code_name(value).is_some());
        }
    }

    #[test]
    fn opening_says_what_to_do() {
        let cases = [
            (9, "modprobe nvidia"),
            (18, "reboot"),
            (4, "/dev/nvidiactl"),
            (999, "daemon-reload"),
            (12, "NVIDIA_DRIVER_CAPABILITIES"),
            (10, "TIMEOUT (10)"),
        ];
        for (value, words) in cases {
            let text = OpenError::from(Failure::Code(value)).to_string();
            assert!(text.contains(words), "{value}: {text}");
        }
        let named = OpenError::NotALibrary { path: "/etc/hosts".into(), reason: "invalid ELF header".into() };
        assert_eq!(named.to_string(), "--nvml-lib /etc/hosts is not an NVML library: invalid ELF header");
    }
}
