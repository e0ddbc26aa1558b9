//! What the journal itself says of each run, which the lists made from it might hide.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::home::Home;

/// Checks the journal of a home that no gateway has open.
pub(crate) fn check(home: &Home) {
    let said = home.run(&["audit", "verify"]);
    assert_eq!(said.status, 0, "{said:?}");
    let exported = home.run(&["audit", "export"]);
    assert_eq!(exported.status, 0, "{exported:?}");
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut turns = BTreeMap::new();
    for line in exported.stdout.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let Some(run) = entry["run"].as_str() else { continue };
        let kind = entry["kind"].as_str().unwrap().to_owned();
        if kind == "run_accepted" {
            turns.insert(run.to_owned(), entry["body"]["run"]["asked"]["turn"] == true);
        }
        kinds.entry(run.to_owned()).or_default().push(kind);
    }
    for (run, kinds) in &kinds {
        let times = |kind: &str| kinds.iter().filter(|of| *of == kind).count();
        let context = format!("the journal says of {run}: {kinds:?}");
        assert_eq!(times("run_accepted"), 1, "{context}");
        // Where a run goes on after a crash, the journal says so.
        let lives = 1 + times("run_restarting");
        assert!(times("run_starting") <= 1 && times("run_running") <= lives, "{context}");
        assert_eq!(times("run_finished"), 1, "{context}");
        assert_eq!(times("run_announced"), usize::from(!turns[run]), "{context}");
        let rank = |kind: &String| match kind.as_str() {
            "run_accepted" => 0,
            "run_starting" => 1,
            "run_finished" => 3,
            "run_announced" => 4,
            // A result may go on from there, and be told elsewhere.
            "announce_moved" => 5,
            kind if kind.starts_with("notice_") => 5,
            // What happens to a run at work comes in any order.
            _ => 2,
        };
        assert!(kinds.is_sorted_by_key(rank), "{context}");
    }
}
