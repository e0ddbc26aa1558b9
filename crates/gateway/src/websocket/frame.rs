//! Frames as the gateway sends them: not masked, not in pieces.

use bytes::{BufMut, Bytes, BytesMut};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

use crate::outbox::Closing;

/// Appends the header of a text message of this length.
pub(crate) fn text_header(to: &mut BytesMut, length: usize) {
    let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    write(to, |writer| header.format(length as u64, writer));
}

/// A ping, which a client's WebSocket answers by itself.
pub(crate) fn ping() -> BytesMut {
    let mut bytes = BytesMut::new();
    write(&mut bytes, |writer| Frame::ping(Bytes::new()).format(writer));
    bytes
}

/// A close frame.
pub(crate) fn close(closing: &Closing) -> BytesMut {
    let frame = Frame::close(Some(CloseFrame {
        code: closing.code.into(),
        reason: closing.reason.as_ref().into(),
    }));
    let mut bytes = BytesMut::new();
    write(&mut bytes, |writer| frame.format(writer));
    bytes
}

fn write(
    to: &mut BytesMut,
    format: impl FnOnce(&mut bytes::buf::Writer<&mut BytesMut>) -> tungstenite::Result<()>,
) {
    if let Err(error) = format(&mut to.writer()) {
        // Writing to memory does not fail.
        tracing::error!("a frame was not written: {error}");
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{close, ping, text_header};
    use crate::outbox::Closing;

    #[test]
    fn headers_have_the_lengths_of_the_standard() {
        for (length, expected) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut bytes = BytesMut::new();
            text_header(&mut bytes, length);
            assert_eq!(&bytes[..], expected, "{length}");
        }
    }

    #[test]
    fn a_ping_is_two_bytes() {
        assert_eq!(&ping()[..], &[0x89, 0]);
    }

    #[test]
    fn a_close_frame_carries_code_and_reason() {
        let bytes = close(&Closing::new(4001, "device removed"));
        assert_eq!(&bytes[..4], &[0x88, 16, 0x0f, 0xa1]);
        assert_eq!(&bytes[4..], b"device removed");
    }
}
