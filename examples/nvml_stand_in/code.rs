//! Return codes and what every call needs to write an answer.

use std::ffi::{c_char, c_uint};

pub const SUCCESS: u32 = 0;
pub const UNINITIALIZED: u32 = 1;
pub const INVALID_ARGUMENT: u32 = 2;
pub const NOT_SUPPORTED: u32 = 3;
pub const NOT_FOUND: u32 = 6;
pub const INSUFFICIENT_SIZE: u32 = 7;
pub const TIMEOUT: u32 = 10;
pub const GPU_IS_LOST: u32 = 15;
pub const INSUFFICIENT_RESOURCES: u32 = 23;
pub const ARGUMENT_VERSION_MISMATCH: u32 = 25;

/// `Ok`, or the code that the call returns.
pub type Answer = Result<(), u32>;

/// Writes through an out-pointer; a null one is an invalid argument, as with the driver.
pub fn out<T>(pointer: *mut T, value: T) -> Answer {
    if pointer.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // The caller's pointer is to a T, as the C declaration says; it need not be aligned for a packed caller.
    unsafe { pointer.write_unaligned(value) };
    Ok(())
}

/// Reads through an in-out-pointer.
pub fn input<T: Copy>(pointer: *const T) -> Result<T, u32> {
    if pointer.is_null() { Err(INVALID_ARGUMENT) } else { Ok(unsafe { pointer.read_unaligned() }) }
}

/// Writes a C string with its end; one that does not fit is refused.
pub fn text(buffer: *mut c_char, length: c_uint, value: &str) -> Answer {
    if buffer.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    if value.len() + 1 > length as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    unsafe {
        std::ptr::copy_nonoverlapping(value.as_ptr().cast(), buffer, value.len());
        buffer.add(value.len()).write(0);
    }
    Ok(())
}

/// Fills a `char[N]` of a structure.
pub fn chars<const N: usize>(value: &str) -> [c_char; N] {
    let mut chars = [0; N];
    for (slot, byte) in chars.iter_mut().zip(value.bytes().take(N - 1)) {
        *slot = byte as c_char;
    }
    chars
}

/// `NVML_STRUCT_VERSION`: size and version in one number.
pub const fn version_of<T>(version: u32) -> u32 {
    size_of::<T>() as u32 | version << 24
}

/// The two-call protocol of lists: with too little room only the count is written.
pub fn list<T: Copy>(count: *mut c_uint, items: *mut T, answer: &[T]) -> Answer {
    let room = input(count)? as usize;
    out(count, answer.len() as c_uint)?;
    if room < answer.len() {
        return Err(INSUFFICIENT_SIZE);
    }
    if answer.is_empty() {
        return Ok(());
    }
    if items.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    for (index, item) in answer.iter().enumerate() {
        unsafe { items.add(index).write_unaligned(*item) };
    }
    Ok(())
}
