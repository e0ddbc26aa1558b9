//! The main path: what a spawn prints and how it ends.

use crate::home::Home;

#[test]
fn a_spawn_prints_its_five_lines() {
    let home = Home::with_seed_config();
    let said = home.run(&[
        "sessions_spawn",
        "--agent",
        "my-agent",
        "--runtime",
        "acp",
        "--",
        "echo",
        "test",
    ]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(
        said.lines(),
        [
            "Spawning agent 'my-agent' with runtime 'acp'...",
            "Agent spawned successfully in session sess_*",
            "[sess_*] Executing task: echo test",
            "test",
            "[sess_*] Task completed. Exit code: 0",
        ]
    );
}
