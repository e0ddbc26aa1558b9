//! The words on the control socket between the gateway and a keeper.
//!
//! The gateway's first word is one byte: begin, and with it come the descriptors that the program
//! gets. From then on it asks `stop <milliseconds>`, one a line, as often as it likes. The keeper
//! says in a line of JSON what it holds the tree by, and sends its [`Ending`] as JSON just before
//! it exits; a tree that could not be held has the second only. End of file from the gateway means
//! that nobody is left who wants the tree.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::containment::Hold;
use crate::ending::Ending;

/// The most descriptors that come with the first word.
const MOST_DESCRIPTORS: usize = 2;

/// Says the first word, with at most [`MOST_DESCRIPTORS`]. Never blocks.
///
/// # Errors
/// The keeper is gone.
pub(crate) fn send_begin(control: impl AsFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::NOBUFS.into());
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(control, &[IoSlice::new(b"b")], &mut ancillary, flags)?;
    Ok(())
}

/// Waits for the first word and gives what came with it; None if it will not come.
///
/// # Errors
/// This is no control socket.
pub(crate) fn await_begin(control: impl AsFd) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut word = [0];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        // No more than the one byte, so that what is said behind it stays to be read.
        let into = &mut [IoSliceMut::new(&mut word)];
        match recvmsg(&control, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            // A gateway that dies with a word unread resets the socket.
            Err(Errno::CONNRESET) => return Ok(None),
            received => break received?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(Some(descriptors.flatten().collect()))
}

/// The line that asks a keeper to stop its tree. Graces beyond u64 milliseconds are cut to that.
pub(crate) fn stop_line(grace: Duration) -> String {
    format!("stop {}\n", u64::try_from(grace.as_millis()).unwrap_or(u64::MAX))
}

/// The grace that `line` asks for; None for a line that is not a stop.
pub(crate) fn parse_stop(line: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(line).ok()?.strip_prefix("stop ")?;
    digits.trim_end().parse().ok().map(Duration::from_millis)
}

/// The keeper's first words.
pub(crate) fn opening(hold: &Hold) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(hold)?;
    line.push(b'\n');
    Ok(line)
}

/// The keeper's last words.
pub(crate) fn report(ending: &Ending) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(ending)
}

/// All that a keeper has said, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// None where the keeper did not come that far.
    pub(crate) hold: Option<Hold>,
    /// That of a keeper that died without last words, or in the middle of them, is lost.
    pub(crate) ending: Ending,
}

/// What a keeper has said in `words`, which are all of its words.
pub(crate) fn understand(words: &[u8]) -> Said {
    // Only the first words have an end of line.
    let end = words.iter().position(|byte| *byte == b'\n');
    let (first, last) = end.map_or((&[][..], words), |end| words.split_at(end));
    Said {
        hold: serde_json::from_slice(first).ok(),
        ending: serde_json::from_slice(last).unwrap_or(Ending::KeeperLost),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::ending::StartFailure;
    use crate::identity::ProcessIdentity;

    #[test]
    fn what_the_program_gets_comes_with_the_first_word_and_what_follows_stays() {
        use std::io::{Read, Write};
        for count in 0..=MOST_DESCRIPTORS {
            let (gateway, mut keeper) = UnixStream::pair().unwrap();
            let (reader, mut writer) = std::io::pipe().unwrap();
            send_begin(&gateway, &vec![reader.as_fd(); count]).unwrap();
            (&gateway).write_all(b"stop").unwrap();
            let received = await_begin(&keeper).unwrap().unwrap();
            assert_eq!(received.len(), count);
            let mut rest = [0; 4];
            keeper.read_exact(&mut rest).unwrap();
            assert_eq!(&rest, b"stop");
            for descriptor in received {
                writer.write_all(b"x").unwrap();
                std::fs::File::from(descriptor).read_exact(&mut [0]).unwrap();
            }
        }
    }

    #[test]
    fn a_gateway_that_is_gone_begins_nothing() {
        let (gateway, keeper) = UnixStream::pair().unwrap();
        drop(gateway);
        assert!(await_begin(&keeper).unwrap().is_none());
        drop(keeper);
        let (gateway, keeper) = UnixStream::pair().unwrap();
        drop(keeper);
        assert_eq!(send_begin(&gateway, &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(await_begin(std::fs::File::open("/dev/null").unwrap()).is_err());
    }

    #[test]
    fn a_stop_survives_the_wire() {
        for grace in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(86_400)] {
            assert_eq!(parse_stop(stop_line(grace).as_bytes()), Some(grace));
        }
    }

    #[test]
    fn what_is_not_a_stop_is_not_taken_for_one() {
        for line in ["", "stop", "stop -1", "stop x", "halt 5", "stop 99999999999999999999999"] {
            assert_eq!(parse_stop(line.as_bytes()), None, "{line}");
        }
    }

    fn holds() -> [Hold; 2] {
        let init = ProcessIdentity { pid: 7, start_time: 8, boot_id: "boot".to_owned() };
        [Hold::Keeper, Hold::Namespace { init }]
    }

    #[test]
    fn words_survive_the_wire() {
        let endings = [
            Ending::Exited(3),
            Ending::Signalled(15),
            Ending::NotStarted(StartFailure::NotFound),
            Ending::NotStarted(StartFailure::Other("text \"quoted\"\n".to_owned())),
        ];
        for ending in endings {
            let last = report(&ending).unwrap();
            assert_eq!(understand(&last), Said { hold: None, ending: ending.clone() });
            for hold in holds() {
                let words = [opening(&hold).unwrap(), last.clone()].concat();
                assert_eq!(understand(&words), Said { hold: Some(hold), ending: ending.clone() });
            }
        }
    }

    #[test]
    fn half_a_report_means_the_keeper_is_lost() {
        for half in ["", "{\"exited\":"] {
            let lost = |hold| Said { hold, ending: Ending::KeeperLost };
            assert_eq!(understand(half.as_bytes()), lost(None));
            for hold in holds() {
                let words = [opening(&hold).unwrap(), half.as_bytes().to_vec()].concat();
                assert_eq!(understand(&words), lost(Some(hold)));
            }
        }
    }
}
