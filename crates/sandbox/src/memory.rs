//! How much memory this process keeps that it has no use for.
//!
//! The C library gives each thread that is kept waiting a heap of its own, up to eight for each
//! processor, and keeps in all of them what was freed: after a busy minute that is most of a
//! gateway. Other C libraries than GNU's give back what they can by themselves.

/// How many heaps there are at most. A gateway has two threads that do most of the work.
#[cfg(target_env = "gnu")]
const HEAPS: nix::libc::c_int = 2;

/// Lets this process have few heaps from now on. To be called before it has threads.
pub fn have_few_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes two numbers and sets a parameter of the allocator under its lock. Where
    // it is refused, there are as many heaps as there would be without it.
    #[allow(unsafe_code)]
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, HEAPS);
    }
}

/// Gives memory that is not in use back to the system. Takes some milliseconds after a busy
/// minute, in which others who want memory wait.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes a number and touches nothing but free memory, under the allocator's
    // locks.
    #[allow(unsafe_code)]
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::give_memory_back;

    fn resident_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn what_is_not_in_use_is_given_back_also_from_between_what_is() {
        // Too small each for the system to be asked for it alone.
        let mut pieces: Vec<Vec<u8>> = (0..4_000).map(|_| vec![1; 16 * 1024]).collect();
        let before = resident_kib();
        let mut every_tenth = pieces.iter_mut().enumerate();
        every_tenth.by_ref().filter(|(at, _)| at % 10 != 0).for_each(|(_, one)| *one = Vec::new());
        give_memory_back();
        let after = resident_kib();
        assert!(after < before / 2, "{before} KiB, then {after} KiB");
    }
}
