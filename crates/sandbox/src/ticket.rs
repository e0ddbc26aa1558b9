//! The channel that hands tickets down a tree.
//!
//! A pair of sockets that keep messages apart: each receive yields one ticket, to whichever
//! process of the tree asks first, and no ticket twice. What a ticket says is not known here.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socketpair, sockopt,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::descriptor::{awaitable, borrow_inherited};

/// The number under which every process of a tree finds its end of the ticket channel. The
/// variable `HATCHERY_TICKET_FD` tells it so, where the caller of
/// [`KeeperCommand::prepare`](crate::KeeperCommand::prepare) puts it into the environment.
pub const TICKET_FD: RawFd = 3;

/// The longest ticket that can be sent, in bytes.
pub const MAX_TICKET_BYTES: usize = 4096;

// The kernel doubles this. It is the least that carries the longest ticket, so that only a
// handful of ordinary ones (about 500 bytes) can be waiting in the channel.
const SEND_BUFFER: usize = 2304;

// Newer gateways may send longer tickets to older children.
const RECEIVE_BUFFER: usize = 8192;

const PATIENCE: Duration = Duration::from_secs(5);

/// Why a ticket was not sent.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// Every process that could have taken it is gone.
    #[error("nobody is left to take the ticket")]
    Closed,
    /// The ticket is empty or longer than [`MAX_TICKET_BYTES`].
    #[error("a ticket of {bytes} bytes cannot be sent: it must have 1 to {MAX_TICKET_BYTES}")]
    Length {
        /// What it has.
        bytes: usize,
    },
    /// The system refused.
    #[error("cannot send a ticket: {0}")]
    Io(#[from] io::Error),
}

/// The gateway's end of a ticket channel.
#[derive(Debug)]
pub struct TicketSource {
    socket: AsyncFd<OwnedFd>,
}

/// A ticket channel: the end to keep, and the end to give to a tree. Drop one's own copy of the
/// latter after the start, or the end of the tree goes unnoticed. Must be called inside a tokio
/// runtime with I/O enabled.
///
/// # Errors
/// No more descriptors can be had.
pub fn ticket_channel() -> io::Result<(TicketSource, OwnedFd)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    setsockopt(&ours, sockopt::SndBuf, &SEND_BUFFER)?;
    let socket = awaitable(ours, Interest::WRITABLE)?;
    Ok((TicketSource { socket }, theirs))
}

impl TicketSource {
    /// Puts one ticket into the channel, waiting while it is full. Cancelling it sends nothing.
    ///
    /// # Errors
    /// See [`TicketError`].
    pub async fn send(&self, ticket: &[u8]) -> Result<(), TicketError> {
        if ticket.is_empty() || ticket.len() > MAX_TICKET_BYTES {
            return Err(TicketError::Length { bytes: ticket.len() });
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent = self
            .socket
            .async_io(Interest::WRITABLE, |socket| {
                send(socket.as_raw_fd(), ticket, flags).map_err(io::Error::from)
            })
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                    Err(TicketError::Closed)
                }
                _ => Err(TicketError::Io(error)),
            },
        }
    }
}

/// Takes one ticket from the inherited descriptor `number`, waiting up to 5 s for it. None if
/// the gateway has closed the channel. Blocks the thread.
///
/// # Errors
/// `TimedOut` after 5 s, `InvalidData` for a ticket over 8 KiB, `NotFound` if no descriptor of
/// this number was inherited, or what the system says.
pub fn take_ticket(number: RawFd) -> io::Result<Option<Vec<u8>>> {
    let channel = borrow_inherited(number)?;
    let deadline = Instant::now() + PATIENCE;
    let mut ticket = vec![0; RECEIVE_BUFFER];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(channel, PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        // Others wait on the same channel: being woken does not mean that the ticket is ours.
        match recv(number, &mut ticket, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC) {
            Ok(0) | Err(Errno::ECONNRESET) => return Ok(None),
            Ok(length) if length > ticket.len() => return Err(io::ErrorKind::InvalidData.into()),
            Ok(length) => {
                ticket.truncate(length);
                return Ok(Some(ticket));
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn receive(theirs: &OwnedFd) -> Vec<u8> {
        let mut ticket = vec![0; RECEIVE_BUFFER];
        let length = recv(theirs.as_raw_fd(), &mut ticket, MsgFlags::empty()).unwrap();
        ticket.truncate(length);
        ticket
    }

    #[tokio::test]
    async fn each_receive_yields_one_ticket() {
        let (source, theirs) = ticket_channel().unwrap();
        source.send(b"first").await.unwrap();
        source.send(&[7; MAX_TICKET_BYTES]).await.unwrap();
        assert_eq!(receive(&theirs), b"first");
        assert_eq!(receive(&theirs), [7; MAX_TICKET_BYTES]);
    }

    #[tokio::test]
    async fn few_tickets_are_outstanding_and_the_next_waits_for_room() {
        let (source, theirs) = ticket_channel().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut sent = 0;
        source.send(&[0; 500]).await.unwrap();
        while pin!(source.send(&[0; 500])).poll(&mut context).is_ready() {
            sent += 1;
        }
        assert!((1..10).contains(&sent), "{sent}");

        let waiting = tokio::spawn(async move { source.send(b"late").await });
        for _ in 0..=sent {
            assert_eq!(receive(&theirs), [0; 500]);
        }
        waiting.await.unwrap().unwrap();
        assert_eq!(receive(&theirs), b"late");
    }

    #[tokio::test]
    async fn a_ticket_nobody_can_take_is_an_error() {
        let (source, theirs) = ticket_channel().unwrap();
        drop(theirs);
        assert!(matches!(source.send(b"x").await, Err(TicketError::Closed)));
    }

    #[tokio::test]
    async fn one_who_waits_for_room_is_told_when_nobody_is_left() {
        let (source, theirs) = ticket_channel().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        source.send(&[0; 500]).await.unwrap();
        while let Poll::Ready(sent) = pin!(source.send(&[0; 500])).poll(&mut context) {
            sent.unwrap();
        }
        let waiting = tokio::spawn(async move { source.send(b"late").await });
        drop(theirs);
        assert!(matches!(waiting.await.unwrap(), Err(TicketError::Closed)));
    }

    #[tokio::test]
    async fn a_ticket_has_a_length_that_fits() {
        let (source, _theirs) = ticket_channel().unwrap();
        for bytes in [0, MAX_TICKET_BYTES + 1] {
            let refused = source.send(&vec![0; bytes]).await.unwrap_err();
            assert!(matches!(refused, TicketError::Length { bytes: told } if told == bytes));
        }
    }
}
