//! The stream's format: what is written is read back, and nothing that is read can break the reader.

#[path = "stream/arbitrary.rs"]
mod arbitrary;

use arbitrary::{Arbitrary, Bytewise};
use kgtop::model::*;
use kgtop::stream::{self, DecodeError};
use kgtop::units::*;
use proptest::prelude::*;

fn encoded(record: &Record) -> String {
    let mut line = String::new();
    stream::encode(record, &mut line);
    line
}

proptest! {
    #[test]
    fn every_record_survives(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let record = Record::arbitrary(&mut Bytewise::new(&bytes));
        let line = encoded(&record);
        prop_assert!(line.ends_with('\n') && !line.trim_end().contains('\n'));
        prop_assert_eq!(stream::decode(&line), Ok(Some(record)));
    }

    #[test]
    fn no_text_breaks_the_decoder(text in ".*") {
        let _ = stream::decode(&text);
    }

    #[test]
    fn no_change_of_a_byte_breaks_the_decoder(
        bytes in prop::collection::vec(any::<u8>(), 0..1_500),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut line = encoded(&Record::arbitrary(&mut Bytewise::new(&bytes))).into_bytes();
        let at = at.index(line.len());
        line[at] = to;
        if let Ok(Some(record)) = stream::decode(&String::from_utf8_lossy(&line)) {
            // Whatever was understood is again a record.
            prop_assert!(stream::decode(&encoded(&record)).is_ok());
        }
    }
}
