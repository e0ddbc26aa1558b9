//! Room for many connections: each takes a descriptor.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many descriptors a gateway wants. More would be inherited by every program it starts, and
/// some of those look at each number there may be.
const WANTED: u64 = 65_536;

/// Raises the limit of this process as far as the system allows, up to what is wanted.
pub(crate) fn make_room() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = WANTED.min(hard);
        if soft >= wanted {
            Ok(soft)
        } else {
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map(|()| wanted)
        }
    });
    match raised {
        Ok(limit) => tracing::debug!("there is room for {limit} descriptors"),
        Err(error) => tracing::warn!("the limit of descriptors stays as it is: {error}"),
    }
}
