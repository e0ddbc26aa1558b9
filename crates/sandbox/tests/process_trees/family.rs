//! Telling a process of a tree from the owner's own.

use hatchery_sandbox::{Ancestry, keeper_above};
use libtest_mimic::Trial;

use crate::support::{Lines, NS, STUBBORN, STUBBORN_COUNT, keeper_of, part, sh, spec, start};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials_either_way![
        family::everybody_in_a_tree_is_under_its_keeper,
        family::the_nearest_keeper_counts,
    ]
}

pub(crate) async fn everybody_in_a_tree_is_under_its_keeper() {
    let mut tree = start(sh(STUBBORN)).await;
    let everyone = Lines::of(&mut tree.stdout).processes(STUBBORN_COUNT).await;
    let keeper = tree.identity().pid;
    for process in &everyone {
        assert_eq!(keeper_above(process.pid, |pid| pid == keeper), Ancestry::Under(keeper));
    }
    let us = i32::try_from(std::process::id()).unwrap();
    assert_eq!(keeper_above(us, |pid| pid == keeper), Ancestry::Outside);
    tree.stopper().stop(std::time::Duration::ZERO);
    tree.wait().await;
    assert_eq!(keeper_above(everyone[0].pid, |pid| pid == keeper), Ancestry::Unknown);
}

pub(crate) async fn the_nearest_keeper_counts() {
    let script = "echo $PPID $NS; echo $$ $NS; sleep 1000; :";
    let mut tree = start(spec(part(&["agent", "/bin/sh", "-c", &format!("{NS}{script}")]))).await;
    let everyone = Lines::of(&mut tree.stdout).processes(3).await;
    let (agent, command) = (everyone[0].pid, everyone[2].pid);
    let inner = keeper_of(&everyone[1]).pid;
    let outer = tree.identity().pid;
    let is_keeper = |pid| pid == inner || pid == outer;
    assert_eq!(keeper_above(command, is_keeper), Ancestry::Under(inner));
    assert_eq!(keeper_above(inner, is_keeper), Ancestry::Under(inner));
    assert_eq!(keeper_above(agent, is_keeper), Ancestry::Under(outer));
}
