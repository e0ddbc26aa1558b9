//! Taking the network away from this process and all it will start.
//!
//! Landlock can refuse TCP only and namespaces need privileges in many places; a seccomp filter
//! on the call that makes sockets covers every protocol and works everywhere. It does not close
//! sockets that are already open: a keeper has none.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// From now on only Unix sockets can be made: others fail with EACCES, and io_uring, which could
/// make sockets past the filter, with EPERM. Sets `no_new_privs`; cannot be undone.
///
/// # Errors
/// The kernel has no seccomp filters, or this processor is not one they are written for.
pub(crate) fn deny() -> Result<(), seccompiler::Error> {
    let not_unix = SeccompRule::new(vec![SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Ne,
        u64::from(libc::AF_UNIX.unsigned_abs()),
    )?])?;
    let sockets = filter(&[libc::SYS_socket, libc::SYS_socketpair], Some(not_unix), libc::EACCES)?;
    let rings = filter(&[libc::SYS_io_uring_setup], None, libc::EPERM)?;
    seccompiler::apply_filter(&sockets)?;
    seccompiler::apply_filter(&rings)
}

/// A program that answers `calls` with `errno` where `rule` matches (without one: always) and
/// allows everything else. A call made for another processor's table kills the caller.
fn filter(
    calls: &[libc::c_long],
    rule: Option<SeccompRule>,
    errno: i32,
) -> Result<BpfProgram, BackendError> {
    let rules = calls
        .iter()
        .flat_map(|call| same_call_in_every_table(*call))
        .map(|call| (call, rule.iter().cloned().collect()))
        .collect::<BTreeMap<_, Vec<_>>>();
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let processor = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, processor)?.try_into()
}

// On x86-64 the x32 variant of a call has the same number with this bit set and passes the check
// of the processor.
fn same_call_in_every_table(call: libc::c_long) -> impl Iterator<Item = i64> {
    const X32: i64 = 0x4000_0000;
    let x32 = cfg!(target_arch = "x86_64").then_some(call | X32);
    std::iter::once(call).chain(x32)
}
