use super::super::error::OpenError;
use super::*;
use std::path::Path;

/// A driver list of `have` entries that behaves as documented.
fn list(have: u32, calls: &mut u32, count: *mut u32, buffer: *mut u32) -> u32 {
    *calls += 1;
    // SAFETY: the test passes what `fill` passes: one count, and a buffer of that many entries.
    unsafe {
        let room = count.read();
        count.write(have);
        if room < have {
            return code::INSUFFICIENT_SIZE;
        }
        for index in 0..have {
            buffer.add(index as usize).write(index + 1);
        }
    }
    code::SUCCESS
}

#[test]
fn a_list_is_read_in_one_call_once_its_size_is_known() {
    let mut room = 4;
    let mut calls = 0;
    let first = fill(&mut room, |count, buffer| list(9, &mut calls, count, buffer)).unwrap();
    assert_eq!((first.len(), calls), (9, 2));
    let second = fill(&mut room, |count, buffer| list(12, &mut calls, count, buffer)).unwrap();
    assert_eq!((second, calls), ((1..=12).collect(), 3));
}

#[test]
fn an_empty_list_and_no_new_samples_are_no_failures() {
    let mut room = 4;
    let mut calls = 0;
    assert_eq!(fill(&mut room, |count, buffer| list(0, &mut calls, count, buffer)), Ok(vec![]));
    assert_eq!(fill::<u32>(&mut room, |_, _| code::NOT_FOUND), Ok(vec![]));
    assert_eq!(fill::<u32>(&mut room, |_, _| code::GPU_IS_LOST), Err(Failure::Code(code::GPU_IS_LOST)));
}

#[test]
fn a_list_that_always_wants_more_is_given_up() {
    let mut room = 4;
    let answer = fill::<u32>(&mut room, |count, _| {
        // SAFETY: `count` is `fill`'s own.
        unsafe { count.write(u32::MAX) };
        code::INSUFFICIENT_SIZE
    });
    assert_eq!(answer, Err(Failure::Code(code::INSUFFICIENT_SIZE)));
    assert_eq!(room, 1 << 16, "memory stays bounded");
}

#[test]
fn a_count_beyond_the_room_never_reads_past_it() {
    let mut room = 4;
    let answer = fill::<u32>(&mut room, |count, _| {
        // SAFETY: `count` is `fill`'s own.
        unsafe { count.write(40) };
        code::SUCCESS
    });
    assert_eq!(answer.map(|entries| entries.len()), Ok(4));
}

#[test]
fn signed_fields_keep_their_sign() {
    let value = sys::nvmlValue_st { siVal: -8 };
    assert_eq!(FieldValue::of(5, value), Ok(FieldValue::I64(-8)));
    assert_eq!(FieldValue::of(6, sys::nvmlValue_st { usVal: 9 }), Ok(FieldValue::U32(9)));
    assert!(FieldValue::of(7, value).is_err());
}

#[test]
fn a_file_that_is_no_library_is_named() {
    let path = Path::new("/etc/hostname");
    let error = hold_library(Some(path)).unwrap_err();
    assert!(matches!(&error, OpenError::NotALibrary { path: named, .. } if named == path), "{error:?}");
    assert!(error.to_string().starts_with("--nvml-lib /etc/hostname is not an NVML library: "));
}

#[test]
fn a_driver_that_writes_behind_the_last_field_writes_to_the_list() {
    let requests = [(138, u32::MAX), (139, u32::MAX)];
    let values = field_list(&requests);
    assert_eq!(values.len(), requests.len() + 1, "an entry of our own stands behind those that are counted");
    let asked: Vec<_> = values.iter().map(|value| (value.fieldId, value.scopeId)).collect();
    assert_eq!(asked, [(138, u32::MAX), (139, u32::MAX), (0, 0)], "and it is no field of NVLink's");
}
