//! The file of a recording: reading comes to an end, what has been read is written as what reads
//! the same, and answers what was asked in it.
#![no_main]

use belljar_testing::recording::{Cursors, Exchange, Header, ModelNames, Recording, drift};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let Ok(recording) = Recording::read(file, ModelNames::Recorded) else {
        return;
    };
    let header = recording.header().to_line().expect("what has been read");
    assert_eq!(
        Header::from_line(&header).as_ref().ok(),
        Some(recording.header())
    );
    let mut cursors = Cursors::default();
    for exchange in recording.exchanges() {
        let line = exchange.to_line().expect("what has been read");
        assert_eq!(Exchange::from_line(&line).as_ref().ok(), Some(exchange));
        let found = recording.find(&exchange.request, &mut cursors);
        let found = found.expect("what was asked in it is in it");
        assert!(found.number <= recording.exchanges().len());
        assert!(drift(&exchange.answer, &exchange.answer).is_empty());
    }
});
