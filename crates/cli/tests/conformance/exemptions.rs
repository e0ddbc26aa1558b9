//! Settings that take protection away: they do what they say and no more, are said aloud and kept
//! in the journal, and do not go together with an address that others can reach.

use std::fs;

use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, device, hello, signed};
use crate::home::{Home, lan_address, wait_until};

const NO_SECRET: &str = "auth: { mode: 'none' }";
const TOKEN: &str = "auth: { token: 's3cret' }";

fn start(config: &str) -> (Home, u16) {
    let home = Home::with_config("", config);
    let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
    assert_eq!(said.status, 0, "{config}: {said:?}");
    let port = u16::try_from(said.json()["port"].as_u64().unwrap()).unwrap();
    (home, port)
}

/// What somebody hears who asks for reading and writing: the scopes, or the code of the refusal.
fn heard(
    place: &str,
    port: u16,
    headers: &[(&'static str, &str)],
    secret: &str,
    key: Option<u8>,
) -> String {
    let mut wire = match DeviceWire::open_at(place, port, headers) {
        Ok(wire) => wire,
        Err(tungstenite::Error::Http(response)) => return response.status().as_str().to_owned(),
        Err(error) => panic!("{error}"),
    };
    let mut params = hello(secret);
    // Not a program that the shared secret alone is enough for.
    params["client"]["id"] = json!("gateway-client");
    if let Some(seed) = key {
        params = signed(&params, &device(seed), &wire.nonce);
    }
    let answer = wire.connect(&params);
    if answer["ok"] == true {
        return answer["payload"]["auth"]["scopes"].to_string();
    }
    answer["error"]["details"]["code"].as_str().unwrap().to_owned()
}

/// The settings there are of these, as they stand in a file.
fn joined(settings: &[&str]) -> String {
    let settings = settings.iter().filter(|setting| !setting.is_empty()).copied();
    settings.collect::<Vec<_>>().join(", ")
}

const BOTH: &str = r#"["operator.read","operator.write"]"#;

fn paired(home: &Home) -> usize {
    home.ask(&["devices", "list"])["paired"].as_array().unwrap().len()
}

fn log(home: &Home) -> String {
    fs::read_to_string(home.state_directory().join("gateway.log")).unwrap()
}

fn started_with(home: &Home) -> Vec<Value> {
    let list = home.ask(&["audit", "list", "--kind", "gateway_started"]);
    list["entries"][0]["body"]["exemptions"].as_array().unwrap().clone()
}

fn door_changes(home: &Home) -> String {
    home.run(&["audit", "list", "--kind", "door_changed"]).stdout
}

#[test]
fn what_spares_this_machine_from_pairing_spares_nobody_else() {
    for (gateway, security, name) in [
        ("pairing: { loopbackExempt: true }", "", "gateway.pairing.loopbackExempt: true"),
        (
            "",
            "devicePairing: { skipForLoopback: true }",
            "security.devicePairing.skipForLoopback: true",
        ),
        ("", "enforcePairing: false", "security.enforcePairing: false"),
    ] {
        let with = |auth: &str| {
            let gateway = joined(&[auth, gateway]);
            format!("{{ gateway: {{ {gateway} }}, security: {{ {security} }} }}")
        };
        // Where no secret is asked for, a program of this machine has nothing left to show.
        let (home, port) = start(&with(NO_SECRET));
        for key in [None, Some(1)] {
            assert_eq!(heard("127.0.0.1", port, &[], "", key), BOTH, "{name}");
        }
        let elsewhere: [(&'static str, &str); 3] = [
            ("x-forwarded-for", "127.0.0.1"),
            ("origin", "https://elsewhere.example"),
            ("sec-fetch-site", "cross-site"),
        ];
        for header in elsewhere {
            for key in [None, Some(1)] {
                let heard = heard("127.0.0.1", port, &[header], "", key);
                assert!(["403", "CONTROL_UI_ORIGIN_NOT_ALLOWED"].contains(&&*heard), "{heard}");
            }
        }
        let origin = format!("http://127.0.0.1:{port}");
        for header in [("origin", origin.as_str()), ("host", "elsewhere.example")] {
            let code = heard("127.0.0.1", port, &[header], "", Some(1));
            assert_eq!(code, "PAIRING_REQUIRED", "{name}, {header:?}");
        }
        assert_eq!(paired(&home), 0, "{name}: nothing lasts");
        for setting in [name, "gateway.auth.mode: none"] {
            assert!(started_with(&home).contains(&json!(setting)), "{setting}");
            assert!(log(&home).contains(&format!("A PROTECTION IS TURNED OFF: {setting}")));
        }
        // Where a secret is asked for, it still is.
        let (home, port) = start(&with(TOKEN));
        for key in [None, Some(1)] {
            let refused = heard("127.0.0.1", port, &[], "guess", key);
            assert_eq!(refused, "AUTH_TOKEN_MISMATCH", "{name}");
            assert_eq!(heard("127.0.0.1", port, &[], "s3cret", key), BOTH, "{name}");
        }
        assert_eq!(started_with(&home), [json!(name)]);
    }
}

#[test]
fn what_takes_protection_away_has_to_be_meant_where_others_can_come() {
    for (gateway, security) in [
        (NO_SECRET, ""),
        ("pairing: { loopbackExempt: true }", ""),
        ("controlUi: { dangerouslyDisableDeviceAuth: true }", ""),
        ("", "enforcePairing: false"),
        ("", "devicePairing: { skipForLoopback: true }"),
        ("", "devicePairing: { requireForExternal: false }"),
    ] {
        for bind in ["lan", "::"] {
            let config = |more: &str| {
                format!(
                    "{{ gateway: {{ port: 0, bind: '{bind}', {gateway} }},
                        security: {{ {} }} }}",
                    joined(&[security, more])
                )
            };
            let home = Home::with_config("", &config(""));
            let said = home.run(&["gateway", "start"]);
            assert_ne!(said.status, 0, "{bind}, {gateway} {security}: {said:?}");
            assert!(said.stderr.contains("allowExemptionsBeyondLoopback"), "{said:?}");
            // A spawn does not need the door.
            assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
            home.configure("", &config("allowExemptionsBeyondLoopback: true"));
            let said = home.run(&["gateway", "start"]);
            assert_eq!(said.status, 0, "{bind}, {gateway} {security}: {said:?}");
            assert_eq!(started_with(&home).len(), 1, "{bind}, {gateway} {security}");
        }
    }
}

#[test]
fn a_door_that_was_started_closed_is_not_opened_by_a_file() {
    let (home, port) = start(&format!("{{ gateway: {{ bind: 'lan', {TOKEN} }} }}"));
    let places: Vec<String> =
        [Some("127.0.0.1".to_owned()), lan_address()].into_iter().flatten().collect();
    let open = "{ gateway: { bind: 'lan', auth: { mode: 'none' }, pairing: { loopbackExempt: true } },
                  security: { enforcePairing: false, devicePairing: { requireForExternal: false } } }";
    home.configure("", open);
    wait_until("the change is noticed", || door_changes(&home).contains("does not hold"));
    for place in &places {
        for key in [None, Some(1)] {
            let heard = heard(place, port, &[], "", key);
            assert_eq!(heard, "AUTH_TOKEN_NOT_CONFIGURED", "{place}");
        }
    }
    assert_eq!(paired(&home), 0);
    assert!(log(&home).contains("does not hold together with an address that others can reach"));
    assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
}

#[test]
fn a_setting_that_is_taken_back_puts_out_who_came_in_by_it() {
    let closed = format!("{{ gateway: {{ {TOKEN} }} }}");
    let open = format!("{{ gateway: {{ {TOKEN}, pairing: {{ loopbackExempt: true }} }} }}");
    let (home, port) = start(&closed);
    home.configure("", &open);
    wait_until("the change is noticed", || door_changes(&home).contains("in force now"));
    let mut wire = DeviceWire::open(port);
    let mut params = hello("s3cret");
    params["client"]["id"] = json!("gateway-client");
    let answer = wire.connect(&params);
    assert_eq!(answer["payload"]["auth"]["scopes"].to_string(), BOTH, "{answer}");
    home.configure("", &closed);
    assert_eq!(wire.end(), (4001, "gateway auth changed".to_owned()));
    assert!(door_changes(&home).contains("no setting spares anybody"));
    assert_eq!(heard("127.0.0.1", port, &[], "s3cret", None), "[]");
}
