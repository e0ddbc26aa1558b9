//! A spawn works wherever the gateway listens, whatever it asks strangers for, and whatever has
//! become of the devices' file; and the gateway never connects to itself.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use serde_json::json;

use crate::home::Home;
use crate::wire::Wire;

/// How many gateways are tried at a time.
const LANES: usize = 4;

const TLS: [bool; 2] = [false, true];

const AUTH: [&str; 4] = [
    "{ mode: 'token', token: 'a token' }",
    "{ mode: 'password', password: 'a password' }",
    "{ mode: 'none' }",
    "{ mode: 'trusted-proxy', trustedProxy: { userHeader: 'remote-user' } }",
];

/// A condition of the devices' file as the gateway finds it, and what brings it about.
type Condition = (&'static str, fn(&Path));

/// What is the matter with the file before the gateway starts.
const FILES: [Condition; 4] = [
    ("new", |_| {}),
    ("new", |file| fs::write(file, "").unwrap()),
    ("damaged", |file| fs::write(file, "no database at all, but long enough").unwrap()),
    ("unavailable", |file| fs::create_dir(file).unwrap()),
];

/// Ways to start something, the last of which is a run that starts another.
const SPAWNS: [&[&str]; 5] = [
    &["spawn", "--runtime", "local", "--", "true"],
    &["spawn", "--runtime", "subagent", "--", "true"],
    &["spawn", "--runtime", "isolated", "--", "true"],
    &["spawn", "--runtime", "acp", "--", "true"],
    &["spawn", "--runtime", "local", "--", "hatchery spawn --runtime isolated -- true"],
];

/// One gateway.
struct Cell {
    number: usize,
    bind: &'static str,
    tls: bool,
    auth: &'static str,
    file: Condition,
}

impl Cell {
    fn describe(&self) -> String {
        format!("{}, TLS {}, {}, file {}", self.bind, self.tls, self.auth, self.file.0)
    }

    /// Whether it has to be said twice that this is meant.
    fn is_exposed(&self) -> bool {
        self.bind == "lan" && self.auth.contains("none")
    }

    fn config(&self, twice: bool) -> String {
        let Self { bind, tls, auth, .. } = self;
        format!(
            "{{ gateway: {{ port: 0, bind: '{bind}', tls: {{ enabled: {tls} }}, auth: {auth} }},
                security: {{ allowExemptionsBeyondLoopback: {twice} }},
                agents: {{ defaults: {{ subagents: {{ maxSpawnDepth: 2 }} }} }} }}"
        )
    }

    fn holds(&self) {
        let home = Home::with_config(&self.config(false), "");
        let state = home.state_directory();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&state).unwrap();
        (self.file.1)(&state.join("devices.db"));
        let what = self.describe();
        if self.is_exposed() {
            let said = home.run(&["gateway", "start"]);
            assert_ne!(said.status, 0, "{what}: {said:?}");
            assert!(said.stderr.contains("allowExemptionsBeyondLoopback"), "{what}: {said:?}");
            home.configure(&self.config(true), "");
        }
        for (round, start) in ["start", "restart"].into_iter().enumerate() {
            let said = home.run(&["gateway", start]);
            assert_eq!(said.status, 0, "{what}, {start}: {said:?}");
            // Each gateway gets two ways of five; over its bind they all come around.
            let words = SPAWNS[(2 * self.number + round) % SPAWNS.len()];
            let said = home.run(words);
            assert_eq!(said.status, 0, "{what}, {start}, {words:?}: {said:?}");
            let mut wire = Wire::greeted(&home);
            let devices = wire.ask("device.pair.list", json!({}));
            let condition = &devices["payload"]["store"]["condition"];
            // What was put aside or begun anew is in order the next time.
            let expected = match (round, self.file.0) {
                (1, "new" | "damaged") => "ok",
                (_, condition) => condition,
            };
            assert_eq!(*condition, expected, "{what}, {start}: {devices}");
            let status = wire.ask("gateway.status", json!({}));
            assert_eq!(status["payload"]["tcpAccepted"], 0, "{what}, {start}: {status}");
        }
    }
}

/// Tries every combination there is on one bind.
fn every_combination_works_on(bind: &'static str) {
    let mut cells = Vec::new();
    for tls in TLS {
        for auth in AUTH {
            for file in FILES {
                cells.push(Cell { number: cells.len(), bind, tls, auth, file });
            }
        }
    }
    let waiting = Mutex::new(cells);
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(cell) = next(&waiting) {
                    cell.holds();
                }
            });
        }
    });
}

fn next(waiting: &Mutex<Vec<Cell>>) -> Option<Cell> {
    waiting.lock().unwrap().pop()
}

#[test]
fn every_spawn_works_with_a_gateway_on_loopback() {
    every_combination_works_on("loopback");
}

#[test]
fn every_spawn_works_with_a_gateway_on_every_interface() {
    every_combination_works_on("lan");
}

#[test]
fn every_spawn_works_with_a_gateway_on_an_address_of_its_own() {
    every_combination_works_on("127.0.0.3");
}

/// Only somebody without privileges is kept from writing, so this takes a user of its own, and
/// every value of each setting once rather than all of them together.
#[test]
fn every_spawn_works_where_the_devices_file_can_only_be_read() {
    let cells = [
        ("loopback", true, AUTH[0]),
        ("lan", false, AUTH[1]),
        ("127.0.0.3", true, AUTH[2]),
        ("lan", true, AUTH[3]),
    ];
    for (number, (bind, tls, auth)) in cells.into_iter().enumerate() {
        let cell = Cell { number, bind, tls, auth, file: ("read-only", |_| {}) };
        let home = Home::with_config(&cell.config(false), "").for_ordinary_user();
        let what = cell.describe();
        let spawns_work = || {
            for words in SPAWNS {
                let said = home.run(words);
                assert_eq!(said.status, 0, "{what}, {words:?}: {said:?}");
            }
        };
        assert_eq!(home.ask(&["devices", "list"])["store"]["condition"], "new");
        let file = home.state_directory().join("devices.db");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        for start in ["start", "restart"] {
            let said = home.run(&["gateway", start]);
            assert_eq!(said.status, 0, "{what}: {said:?}");
            let list = home.ask(&["devices", "list"]);
            assert_eq!(list["store"]["condition"], "read-only", "{what}: {list}");
            spawns_work();
            assert_eq!(home.ask(&["gateway", "status"])["tcpAccepted"], 0, "{what}");
        }
    }
}
