//! Descriptors this process was started with, and descriptors to await.
//!
//! The first are known by their number only, and tokio asks for a promise about the second: the
//! two places where the compiler cannot follow ownership.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Who may have a descriptor besides this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nobody. The number is given up, so it can be taken once.
    Private,
    /// Everything this process starts finds it under the same number.
    WithChildren,
}

/// Takes the descriptor `number` this process inherited. The one returned has a number of its
/// own and is closed in programs this process starts.
///
/// # Errors
/// `NotFound` if nothing was inherited under this number, or it was taken already: whatever a
/// program opens for itself in Rust is closed in the programs it starts, so a descriptor that
/// is marked so cannot have been inherited. `InvalidInput` for standard input, output and error.
pub fn inherited_descriptor(number: RawFd, share: Share) -> io::Result<OwnedFd> {
    let inherited = borrow_inherited(number)?;
    let taken = inherited.try_clone_to_owned()?;
    match share {
        Share::WithChildren => {}
        Share::Private => nix::unistd::close(number)?,
    }
    Ok(taken)
}

/// Looks at an inherited descriptor without taking it; errors as above.
pub(crate) fn borrow_inherited(number: RawFd) -> io::Result<BorrowedFd<'static>> {
    if number <= 2 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{number} is no number of an extra descriptor: those start at 3"),
        ));
    }
    // SAFETY: the number is not -1. Should it be closed or reused while borrowed, every use is a
    // system call that fails or meets the new descriptor; the check below refuses numbers that
    // other parts of this process own, since those are all close-on-exec.
    #[allow(unsafe_code)]
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    match fcntl(descriptor, FcntlArg::F_GETFD).map(FdFlag::from_bits_retain) {
        Ok(flags) if !flags.contains(FdFlag::FD_CLOEXEC) => Ok(descriptor),
        _ => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no descriptor was inherited under the number {number}"),
        )),
    }
}

/// Lets the programs this process starts find no descriptor but the standard streams.
///
/// # Errors
/// `/proc` cannot be read.
pub(crate) fn close_in_programs() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        // The standard streams and what is private already are refused here.
        if let Some(Ok(descriptor)) = number.map(borrow_inherited) {
            fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
    }
    Ok(())
}

/// Makes a descriptor of our own one that can be awaited. Must be called inside a tokio runtime
/// with I/O enabled.
pub(crate) fn awaitable(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and keeps its number until it is dropped, and it is moved
    // into the `AsyncFd`.
    #[allow(unsafe_code)]
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    Ok(registered?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn what_we_opened_ourselves_was_not_inherited() {
        let ours = std::fs::File::open("/dev/null").unwrap();
        let error = inherited_descriptor(ours.as_raw_fd(), Share::Private).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_number_without_a_descriptor_is_refused() {
        let kind = |number| inherited_descriptor(number, Share::WithChildren).unwrap_err().kind();
        assert_eq!(kind(9_999), io::ErrorKind::NotFound);
        assert_eq!(kind(1), io::ErrorKind::InvalidInput);
        assert_eq!(kind(-1), io::ErrorKind::InvalidInput);
    }
}
