//! Server-sent events: bytes in, the data of one event after the other out.
//!
//! Only data matters on this wire, so names, ids and comments are passed by.

/// The most bytes one event may have. A provider that never ends its lines is not listened to
/// for ever.
pub(crate) const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// An event that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// A stream of events, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// What has come and is no whole line yet.
    line: Vec<u8>,
    /// The data of the event that is coming.
    data: Vec<u8>,
    has_data: bool,
}

impl Events {
    /// Takes what has come next and gives the data of each event it completes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut complete = Vec::new();
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            complete.extend(self.end_of_line());
            self.check()?;
        }
        self.line.extend_from_slice(bytes);
        self.check()?;
        Ok(complete)
    }

    fn check(&self) -> Result<(), TooLong> {
        if self.line.len() + self.data.len() > MAX_EVENT_BYTES { Err(TooLong) } else { Ok(()) }
    }

    fn end_of_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            let has_data = std::mem::take(&mut self.has_data);
            return has_data.then(|| std::mem::take(&mut self.data));
        }
        if let Some(data) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            self.has_data = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Events, MAX_EVENT_BYTES, TooLong};

    const STREAM: &[u8] =
        b": ping\n\nevent: message\ndata: one\n\ndata:two\r\ndata: more\r\n\r\nid: 3\n\ndata\n\ndata: half";

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        for cut in 1..STREAM.len() {
            let mut events = Events::default();
            let mut all = Vec::new();
            for bytes in STREAM.chunks(cut) {
                all.extend(events.push(bytes).unwrap());
            }
            assert_eq!(all, [b"one".to_vec(), b"two\nmore".to_vec()], "cut after {cut}");
        }
    }

    #[test]
    fn an_event_has_its_limit_in_one_line_and_in_many() {
        let mut line = b"data: ".to_vec();
        line.resize(MAX_EVENT_BYTES, b'x');
        assert!(Events::default().push(&line).is_ok());
        line.push(b'x');
        assert_eq!(Events::default().push(&line), Err(TooLong));

        let mut many = Events::default();
        let lines = b"data: 0123456789\n".repeat(MAX_EVENT_BYTES / 10);
        assert_eq!(many.push(&lines), Err(TooLong));
    }
}
