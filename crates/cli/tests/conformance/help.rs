//! What the program says of itself. A change here is a change people see.

use crate::home::Home;

#[test]
fn help_reads_as_it_is_meant_to() {
    let home = Home::new();
    for (name, words) in [
        ("hatchery", &["--help"][..]),
        ("spawn", &["spawn", "--help"]),
        ("sessions", &["sessions", "--help"]),
        ("yield", &["sessions", "yield", "--help"]),
        ("tasks", &["tasks", "--help"]),
        ("gateway", &["gateway", "--help"]),
        ("devices", &["devices", "--help"]),
        ("nodes", &["nodes", "--help"]),
        ("pair", &["pair", "--help"]),
        ("audit", &["audit", "--help"]),
    ] {
        let said = home.run(words);
        assert_eq!(said.status, 0, "{said:?}");
        insta::assert_snapshot!(name, said.stdout);
    }
}

#[test]
fn completions_know_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = home.run(&["completions", shell]);
        assert_eq!(said.status, 0, "{said:?}");
        assert!(said.stdout.contains("sessions") && said.stdout.contains("runtime"), "{shell}");
    }
}

#[test]
fn times_are_those_of_the_persons_own_clock() {
    let home = Home::new();
    let in_zone = |zone: &str| {
        let output = home.command(&["sessions", "list"]).env("TZ", zone).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (utc, east) = (in_zone("UTC0"), in_zone("EAST-9"));
    assert_ne!(utc, east);
    assert_eq!(utc.len(), east.len());
}
