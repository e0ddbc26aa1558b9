//! Telling a process of a tree from the owner's own.

use crate::proc::Stat;

/// Where a process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestry {
    /// It is, or descends from, the keeper with this process id.
    Under(i32),
    /// It runs and no keeper is above it.
    Outside,
    /// It has ended, or cannot be followed. Trust it with nothing.
    Unknown,
}

/// The nearest keeper above `pid`, or `pid` itself, by walking up its parents.
///
/// `is_keeper` says whether a process id is that of a keeper which still runs. What a keeper
/// holds cannot leave it: orphans go to the nearest keeper above them.
pub fn keeper_above(pid: i32, is_keeper: impl Fn(i32) -> bool) -> Ancestry {
    walk(pid, is_keeper, Stat::of)
}

fn walk(
    pid: i32,
    is_keeper: impl Fn(i32) -> bool,
    look_up: impl Fn(i32) -> Option<Stat>,
) -> Ancestry {
    let Some(mut process) = look_up(pid) else { return Ancestry::Unknown };
    // A process being re-parented while we look makes a step repeat; one that never rests is
    // not worth following.
    let mut steps = 0;
    while steps < 10_000 {
        steps += 1;
        if is_keeper(process.pid) {
            return Ancestry::Under(process.pid);
        }
        if process.parent == 0 {
            return Ancestry::Outside;
        }
        let parent = look_up(process.parent);
        // A process that still has this parent now also had it while we read the parent: the
        // number was not reused in between.
        match look_up(process.pid) {
            Some(again) if again.start_time != process.start_time => return Ancestry::Unknown,
            Some(again) if again.parent != process.parent => process = again,
            Some(_) => match parent {
                Some(parent) if parent.start_time <= process.start_time => process = parent,
                _ => return Ancestry::Unknown,
            },
            None => return Ancestry::Unknown,
        }
    }
    Ancestry::Unknown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::cell::Cell;

    fn me() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn a_keeper_is_under_itself() {
        assert_eq!(keeper_above(me(), |pid| pid == me()), Ancestry::Under(me()));
    }

    #[test]
    fn a_child_is_under_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(keeper_above(pid, |pid| pid == me()), Ancestry::Under(me()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(keeper_above(pid, |pid| pid == me()), Ancestry::Unknown);
    }

    #[test]
    fn without_a_keeper_above_it_a_process_is_outside() {
        assert_eq!(keeper_above(me(), |_| false), Ancestry::Outside);
    }

    #[test]
    fn an_id_that_names_no_process_is_unknown() {
        assert_eq!(keeper_above(0, |_| true), Ancestry::Unknown);
        assert_eq!(keeper_above(-1, |_| true), Ancestry::Unknown);
        assert_eq!(keeper_above(i32::MAX, |_| true), Ancestry::Unknown);
    }

    fn process(pid: i32, parent: i32, start_time: u64) -> Option<Stat> {
        let mut stat = Stat::of(me()).unwrap();
        (stat.pid, stat.parent, stat.start_time) = (pid, parent, start_time);
        Some(stat)
    }

    #[test]
    fn a_parent_younger_than_its_child_is_not_its_parent() {
        let table = |pid| match pid {
            30 => process(30, 20, 300),
            20 => process(20, 1, 400),
            _ => process(1, 0, 1),
        };
        assert_eq!(walk(30, |pid| pid == 20, table), Ancestry::Unknown);
    }

    #[test]
    fn a_process_orphaned_meanwhile_is_followed_to_its_new_parent() {
        let looks = Cell::new(0);
        let table = |pid| match pid {
            30 => {
                looks.set(looks.get() + 1);
                process(30, if looks.get() == 1 { 20 } else { 10 }, 300)
            }
            // The parent's number already belongs to a keeper of somebody else.
            20 => process(20, 1, 200),
            10 => process(10, 1, 100),
            _ => process(1, 0, 1),
        };
        assert_eq!(walk(30, |pid| pid == 20 || pid == 10, table), Ancestry::Under(10));
    }
}
