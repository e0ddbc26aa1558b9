//! Bytes from a socket: split into lines, read as frames.
#![no_main]

use hatchery_protocol::{Frame, Line, LineBuffer};
use libfuzzer_sys::fuzz_target;

/// Far below the real one, so that it is met often.
const LIMIT: usize = 256;

fuzz_target!(|bytes: &[u8]| {
    let whole = lines(bytes, bytes.len().max(1));
    for line in &whole {
        if let Line::Complete(line) = line {
            assert!(line.len() <= LIMIT, "a line is longer than the limit");
            read(line);
        }
    }
    // The limit is met at other places when less is seen at a time; what is short is the same.
    if bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= LIMIT) {
        assert_eq!(whole, lines(bytes, 7), "lines depend on how the bytes arrive");
    }
    read(bytes);
});

fn lines(bytes: &[u8], at_a_time: usize) -> Vec<Line> {
    let mut buffer = LineBuffer::new(LIMIT);
    let mut found = Vec::new();
    for chunk in bytes.chunks(at_a_time) {
        buffer.incoming().extend_from_slice(chunk);
        found.extend(std::iter::from_fn(|| buffer.next_line()));
    }
    found
}

/// What was read and is written again reads the same.
fn read(bytes: &[u8]) {
    let Ok(frame) = serde_json::from_slice::<Frame>(bytes) else { return };
    let written = serde_json::to_vec(&frame).expect("a frame can be written");
    let again: Frame = serde_json::from_slice(&written).expect("a written frame can be read");
    assert_eq!(frame, again);
}
