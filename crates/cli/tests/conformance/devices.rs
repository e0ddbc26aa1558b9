//! Devices: let in, put out, and all of it whatever has become of their file.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::device::Device;
use crate::home::Home;

const TOKEN: &str = "a-shared-token-of-some-length-0123456789";

/// A home in which a device has to be approved even where it knows the shared secret.
fn asking_home() -> Home {
    let gateway = format!(
        r#"{{ gateway: {{ auth: {{ token: "{TOKEN}" }}, nodes: {{ pairing: {{ autoApproveLocal: false }} }} }} }}"#
    );
    Home::with_config("", &gateway)
}

/// Starts the gateway and gives its port.
fn start(home: &Home) -> u16 {
    home.start_gateway();
    port(home)
}

fn port(home: &Home) -> u16 {
    let address = home.ask(&["gateway", "status"])["address"].clone();
    address.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

fn by_token() -> Value {
    json!({"token": TOKEN})
}

fn stop(home: &Home) {
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
}

fn spawn_works(home: &Home) {
    let said = home.run(&["spawn", "--runtime", "local", "--", "echo", "still here"]);
    assert!(said.status == 0 && said.stdout.contains("still here"), "{said:?}");
}

/// A device asks, the owner approves, and it is in. Gives the answer to the approval.
fn let_in(home: &Home, port: u16, device: &Device) -> Value {
    let refused = |answer: &Value| {
        assert_eq!(answer["error"]["details"]["code"], "PAIRING_REQUIRED", "{answer}");
        answer["error"]["details"]["requestId"].as_str().unwrap().to_owned()
    };
    let (mut socket, answer) = device.connect(port, &by_token(), &["operator.read"]);
    let request = refused(&answer);
    assert_eq!(socket.closing().0, 1008);
    // The same ask has the same name, so the command that was named first still works.
    let (_, again) = device.connect(port, &by_token(), &["operator.read"]);
    assert_eq!(refused(&again), request);
    let said = home.run(&["devices", "approve", &request[..8], "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    let (mut socket, hello) = device.connect(port, &by_token(), &["operator.read"]);
    assert_eq!(hello["payload"]["auth"]["scopes"], json!(["operator.read"]), "{hello}");
    assert_eq!(socket.ask("sessions.list", &json!({}))["ok"], true);
    said.json()
}

#[test]
fn approval_and_spawns_work_whatever_has_become_of_the_devices_file() {
    type Prepare = fn(&Path);
    let conditions: [(&str, Prepare, bool); 4] = [
        ("new", |_| {}, true),
        ("new", |file| fs::write(file, "").unwrap(), true),
        ("damaged", |file| fs::write(file, "no database at all, but long enough").unwrap(), true),
        ("unavailable", |file| fs::create_dir(file).unwrap(), false),
    ];
    for (condition, prepare, durable) in conditions {
        let home = asking_home();
        spawn_works(&home);
        prepare(&home.state_directory().join("devices.db"));
        spawn_works(&home);
        let port_of_first = start(&home);
        let list = home.ask(&["devices", "list"]);
        assert_eq!(list["store"]["condition"], condition, "{list}");
        assert_eq!(list["store"]["durable"], durable, "{list}");
        let device = Device::new(1);
        let approval = let_in(&home, port_of_first, &device);
        assert_eq!(approval["durable"] != false, durable, "{approval}");
        spawn_works(&home);
        stop(&home);
        // What was durable is there in the next life.
        let port = start(&home);
        let (_, answer) = device.connect(port, &by_token(), &["operator.read"]);
        assert_eq!(answer["ok"], durable, "{condition}: {answer}");
        spawn_works(&home);
    }
}

#[test]
fn a_read_only_file_is_used_and_what_is_decided_then_ends_with_the_gateway() {
    let home = asking_home().for_ordinary_user();
    let first = start(&home);
    let known = Device::new(1);
    let_in(&home, first, &known);
    stop(&home);
    let file = home.state_directory().join("devices.db");
    let mut permissions = fs::metadata(&file).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&file, permissions).unwrap();
    let port = start(&home);
    let list = home.run(&["devices", "list"]);
    assert!(list.stdout.contains("is read-only"), "{list:?}");
    let (_, answer) = known.connect(port, &by_token(), &["operator.read"]);
    assert_eq!(answer["ok"], true, "{answer}");
    let other = Device::new(2);
    assert_eq!(let_in(&home, port, &other)["durable"], false);
    spawn_works(&home);
    let removed = home.run(&["devices", "remove", &known.id()]);
    assert!(removed.status == 0 && removed.stderr.contains("cannot be written"), "{removed:?}");
    let (_, answer) = known.connect(port, &by_token(), &["operator.read"]);
    assert_eq!(answer["ok"], false, "{answer}");
}

#[test]
fn what_is_taken_from_a_device_ends_its_connections_at_once() {
    let home = asking_home();
    let port = start(&home);
    let device = Device::new(1);
    let_in(&home, port, &device);
    let id = device.id();
    for words in [
        &["devices", "rotate", &id[..10]][..],
        &["devices", "revoke", &id[..10]],
        &["devices", "remove", &id[..10]],
        &["devices", "clear", "--yes"],
    ] {
        if words[1] == "remove" || words[1] == "clear" {
            let_in(&home, port, &device);
        }
        let (mut socket, hello) = device.connect(port, &by_token(), &["operator.read"]);
        assert_eq!(hello["ok"], true, "{words:?}: {hello}");
        let said = home.run(words);
        assert_eq!(said.status, 0, "{said:?}");
        assert_eq!(socket.closing().0, 4001, "{words:?}");
    }
}

#[test]
fn a_setup_code_lets_one_device_in_once() {
    let home = asking_home();
    let port = start(&home);
    let code = home.ask(&["pair"])["setupCode"].as_str().unwrap().to_owned();
    let code: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(code).unwrap()).unwrap();
    assert_eq!(code["url"], format!("ws://127.0.0.1:{port}"));
    let auth = json!({"bootstrapToken": code["bootstrapToken"]});
    let scopes = ["operator.read", "operator.admin"];
    let device = Device::new(1);
    let (_, hello) = device.connect(port, &auth, &scopes);
    // A picture gives no admin, whoever asks.
    assert_eq!(hello["payload"]["auth"]["scopes"], json!(["operator.read"]), "{hello}");
    let own = hello["payload"]["auth"]["deviceToken"].clone();
    let (_, hello) = device.connect(port, &json!({"deviceToken": own}), &["operator.read"]);
    assert_eq!(hello["ok"], true, "{hello}");
    let (_, answer) = Device::new(2).connect(port, &auth, &scopes);
    assert_eq!(answer["error"]["details"]["code"], "AUTH_BOOTSTRAP_TOKEN_INVALID", "{answer}");
    let shown = home.run(&["pair", "--no-wait"]);
    assert!(shown.status == 0 && shown.stdout.contains("Setup code: "), "{shown:?}");
}

#[test]
fn a_device_is_explained_renamed_rejected_and_found_by_its_name() {
    let home = asking_home();
    let port = start(&home);
    let (_, answer) = Device::new(1).connect(port, &by_token(), &["operator.read"]);
    let request = answer["error"]["details"]["requestId"].as_str().unwrap();
    let explained = home.run(&["devices", "explain", request]);
    assert!(explained.stdout.contains("hatchery devices approve"), "{explained:?}");
    assert_eq!(home.run(&["devices", "reject", request]).status, 0);
    assert_eq!(home.run(&["devices", "approve", request]).status, 1);
    let device = Device::new(2);
    device.connect(port, &by_token(), &["operator.read"]);
    assert_eq!(home.run(&["devices", "approve", "--latest"]).status, 0);
    assert_eq!(home.run(&["devices", "rename", &device.id()[..10], "desk"]).status, 0);
    let list = home.run(&["devices", "list"]);
    assert!(list.stdout.contains("desk") && !list.stdout.contains("Waiting"), "{list:?}");
    assert_eq!(home.run(&["devices", "remove", "desk"]).status, 0);
    let changes = home.run(&["audit", "list", "--kind", "pairing_changed"]).stdout;
    for change in ["rejected", "approved", "renamed to 'desk'", "removed"] {
        assert!(changes.contains(change), "{change}: {changes}");
    }
}

#[test]
fn without_a_gateway_the_commands_host_one_for_themselves() {
    let home = Home::new();
    let list = home.run(&["devices", "list"]);
    assert!(list.status == 0 && list.stdout.contains("No device is paired"), "{list:?}");
    for (words, status) in [
        (&["devices", "approve", "nothing"][..], 1),
        (&["devices", "approve", "--latest"], 1),
        (&["devices", "approve"], 2),
        (&["devices", "clear"], 2),
        (&["devices", "clear", "--yes"], 0),
        (&["devices", "clear", "--pending", "--yes", "--json"], 0),
        (&["devices", "explain", "0123456789"], 1),
        (&["devices", "remove", "nobody"], 1),
        (&["pair"], 1),
    ] {
        let said = home.run(words);
        assert_eq!(said.status, status, "{words:?}: {said:?}");
    }
}
