//! Strangers at the device door: whatever they say and however they come, none of them gets a
//! scope it was not granted, and none leaves a request behind that would give it everything.

use hatchery_access::DeviceKey;
use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, device, hello, signed, signed_by_clock};
use crate::home::Home;

const SECRET: &str = "s3cret";

/// Everything there is to ask for.
const EVERYTHING: [&str; 5] =
    ["operator.admin", "operator.pairing", "operator.approvals", "operator.write", "operator.read"];

/// So many guesses that no case here is turned away for those before it.
const MANY_GUESSES: &str = "rateLimit: { maxAttempts: 1000 }";

/// Somebody who comes without being known.
struct Stranger {
    name: &'static str,
    /// Where it knocks.
    at: &'static str,
    headers: Vec<(&'static str, String)>,
    params: Value,
    key: Option<DeviceKey>,
    /// By how much its clock is wrong, in milliseconds.
    fast: i64,
    /// What it changes after it has signed.
    changes: Vec<(&'static str, Value)>,
    /// The code it hears; `403` where it does not come as far as a WebSocket.
    hears: &'static str,
}

/// A stranger with a key of its own that shows no secret and asks for everything.
fn stranger(name: &'static str, hears: &'static str) -> Stranger {
    let mut params = hello(SECRET);
    params["scopes"] = json!(EVERYTHING);
    params["auth"] = json!({});
    let (headers, changes) = (Vec::new(), Vec::new());
    let key = Some(unknown_key(name));
    Stranger { name, at: "127.0.0.1", headers, params, key, fast: 0, changes, hears }
}

/// A key nobody knows, another one for each name.
fn unknown_key(name: &str) -> DeviceKey {
    let mut seed = [0xee; 32];
    for (byte, letter) in seed.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    DeviceKey::from_seed(seed)
}

impl Stranger {
    fn at(self, at: &'static str) -> Self {
        Self { at, ..self }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.params[name] = value;
        self
    }

    fn showing(self, name: &str, secret: &str) -> Self {
        self.with("auth", json!({name: secret}))
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn key(self, key: Option<DeviceKey>) -> Self {
        Self { key, ..self }
    }

    fn fast(self, fast: i64) -> Self {
        Self { fast, ..self }
    }

    /// Changes a part of the signed parameters, named by a JSON pointer.
    fn changing(mut self, pointer: &'static str, value: Value) -> Self {
        self.changes.push((pointer, value));
        self
    }

    /// Knocks with one version of the wire; gives what it heard.
    fn knock(&self, port: u16, version: u8) -> Value {
        let at_port = |value: &String| value.replace("{port}", &port.to_string());
        let headers: Vec<_> = self.headers.iter().map(|(n, value)| (*n, at_port(value))).collect();
        let headers: Vec<_> = headers.iter().map(|(n, value)| (*n, value.as_str())).collect();
        let mut wire = match DeviceWire::open_at(self.at, port, &headers) {
            Ok(wire) => wire,
            Err(tungstenite::Error::Http(response)) => {
                return json!({"ok": false, "code": response.status().as_str()});
            }
            Err(error) => panic!("{}: {error}", self.name),
        };
        let mut params = self.params.clone();
        params["minProtocol"] = json!(version);
        params["maxProtocol"] = json!(version);
        if let Some(key) = &self.key {
            params = signed_by_clock(&params, key, &wire.nonce, self.fast);
        }
        for (pointer, value) in &self.changes {
            let value = match value.as_str() {
                Some("{nonce}") => json!(wire.nonce),
                _ => value.clone(),
            };
            *params.pointer_mut(pointer).unwrap() = value;
        }
        let mut answer = wire.connect(&params);
        answer["code"] = answer["error"]["details"]["code"].clone();
        answer
    }
}

/// Lets them all knock, with both versions, and looks at what they got and what they left behind.
fn all_stay_out(home: &Home, port: u16, strangers: &[Stranger], may_wait: &[&str]) {
    let paired_before = home.ask(&["devices", "list"])["paired"].clone();
    for stranger in strangers {
        for version in [3, 4] {
            let answer = stranger.knock(port, version);
            let what = format!("{}, version {version}: {answer}", stranger.name);
            assert_eq!(answer["ok"], false, "{what}");
            assert_eq!(answer["code"], stranger.hears, "{what}");
        }
    }
    let list = home.ask(&["devices", "list"]);
    let names = |list: &Value| {
        let devices = list.as_array().unwrap().iter();
        devices.map(|one| (one["deviceId"].clone(), one["scopes"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(names(&list["paired"]), names(&paired_before), "nobody was paired: {list}");
    for request in list["pending"].as_array().unwrap() {
        for scope in request["scopes"].as_array().unwrap() {
            assert!(may_wait.contains(&scope.as_str().unwrap()), "{request}");
        }
    }
}

fn gateway(config: &str) -> (Home, u16) {
    let home = Home::with_config("", config);
    let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
    assert_eq!(said.status, 0, "{config}: {said:?}");
    let port = u16::try_from(said.json()["port"].as_u64().unwrap()).unwrap();
    (home, port)
}

/// A gateway that wants the shared token, at this address.
fn wanting_a_token(bind: &str) -> (Home, u16) {
    gateway(&format!(
        r#"{{ gateway: {{ bind: "{bind}", auth: {{ token: "{SECRET}", {MANY_GUESSES} }} }} }}"#
    ))
}

/// Pairs a device that may read; gives its token.
fn paired(port: u16, key: &DeviceKey) -> String {
    let mut params = hello(SECRET);
    params["scopes"] = json!(["operator.read"]);
    let mut wire = DeviceWire::open(port);
    let nonce = wire.nonce.clone();
    let answer = wire.connect(&signed(&params, key, &nonce));
    answer["payload"]["auth"]["deviceToken"].as_str().unwrap_or_else(|| panic!("{answer}")).into()
}

#[test]
fn no_secret_and_wrong_secrets_get_nothing() {
    let (home, port) = wanting_a_token("loopback");
    all_stay_out(
        &home,
        port,
        &[
            stranger("nothing, no key", "DEVICE_IDENTITY_REQUIRED").key(None),
            stranger("nothing", "AUTH_TOKEN_MISSING"),
            stranger("empty", "AUTH_TOKEN_MISSING").showing("token", ""),
            stranger("wrong, no key", "AUTH_TOKEN_MISMATCH").showing("token", "guess").key(None),
            stranger("wrong", "AUTH_TOKEN_MISMATCH").showing("token", "guess"),
            stranger("longer", "AUTH_TOKEN_MISMATCH").showing("token", "s3cret "),
            stranger("shorter", "AUTH_TOKEN_MISMATCH").showing("token", "s3cre"),
            stranger("as password", "AUTH_TOKEN_MISSING").showing("password", SECRET),
            stranger("setup code", "AUTH_BOOTSTRAP_TOKEN_INVALID")
                .showing("bootstrapToken", "guess"),
            stranger("device token", "AUTH_DEVICE_TOKEN_MISMATCH").showing("deviceToken", SECRET),
            stranger("unknown role", "INVALID_ROLE").with("role", json!("admin")),
            stranger("unknown role, secret", "INVALID_ROLE")
                .with("role", json!("owner"))
                .showing("token", SECRET),
            stranger("node", "AUTH_TOKEN_MISSING").with("role", json!("node")),
            stranger("a backend", "AUTH_TOKEN_MISMATCH")
                .with("client", client("gateway-client", "backend"))
                .showing("token", "guess")
                .key(None),
            stranger("a probe", "AUTH_TOKEN_MISMATCH")
                .with("client", client("openclaw-probe", "probe"))
                .showing("token", "guess")
                .key(None),
        ],
        &[],
    );
}

fn client(id: &str, mode: &str) -> Value {
    json!({"id": id, "version": "1", "platform": "linux", "mode": mode})
}

#[test]
fn nobody_becomes_local_by_a_header() {
    let (home, port) = wanting_a_token("loopback");
    let mut strangers = Vec::new();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "::ffff:127.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("cf-connecting-ip", "127.0.0.1"),
    ] {
        // Not even with the right secret.
        strangers.push(stranger(name, "403").header(name, value).showing("token", SECRET));
        strangers.push(stranger(name, "403").header(name, value).key(None));
    }
    for host in ["elsewhere.example", "localhost.elsewhere.example", "127.0.0.1.elsewhere.example"]
    {
        let of_host = |hears| stranger("spoofed host", hears).header("host", host);
        strangers.push(of_host("AUTH_TOKEN_MISSING"));
        strangers.push(of_host("AUTH_TOKEN_MISMATCH").showing("token", "guess"));
        // Who knows the secret is not paired without asking either, as a page could stand behind
        // such a name.
        let reader = of_host("PAIRING_REQUIRED").showing("token", SECRET);
        strangers.push(reader.with("scopes", json!(["operator.read"])));
    }
    all_stay_out(&home, port, &strangers, &["operator.read"]);
}

#[test]
fn pages_get_nothing() {
    let (home, port) = wanting_a_token("loopback");
    let elsewhere = "CONTROL_UI_ORIGIN_NOT_ALLOWED";
    let page = |name, hears| stranger(name, hears).showing("token", SECRET);
    let rebound = "http://rebound.example:{port}";
    all_stay_out(
        &home,
        port,
        &[
            page("hostile", elsewhere).header("origin", "https://elsewhere.example"),
            page("null", elsewhere).header("origin", "null"),
            page("a file", elsewhere).header("origin", "file://"),
            page("an extension", elsewhere).header("origin", "chrome-extension://abcdef"),
            page("another port", elsewhere).header("origin", "http://127.0.0.1:1"),
            page("prefix", elsewhere).header("origin", "http://127.0.0.1.elsewhere.example"),
            page("user info", elsewhere).header("origin", "http://127.0.0.1:{port}@elsewhere"),
            page("rebinding", elsewhere)
                .header("origin", rebound)
                .header("host", "rebound.example:{port}"),
            page("rebinding, no origin", elsewhere)
                .header("sec-fetch-site", "same-origin")
                .header("host", "rebound.example:{port}"),
            page("cross-site", elsewhere).header("sec-fetch-site", "cross-site"),
            page("same-site", elsewhere).header("sec-fetch-site", "same-site"),
            page("no origin", elsewhere).with("client", client("openclaw-control-ui", "webchat")),
            page("no origin, mode", elsewhere).with("client", client("cli", "webchat")),
            // The gateway's own page has to know the secret like anybody else, and is not paired
            // without asking.
            stranger("own page", "AUTH_TOKEN_MISSING").header("origin", "http://127.0.0.1:{port}"),
            page("own page, secret", "PAIRING_REQUIRED")
                .with("scopes", json!(["operator.read"]))
                .header("origin", "http://127.0.0.1:{port}"),
            page("own page, no key", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED")
                .with("client", client("openclaw-control-ui", "webchat"))
                .header("origin", "http://localhost:{port}")
                .key(None),
        ],
        &["operator.read"],
    );
}

#[test]
fn what_belongs_to_another_device_is_worth_nothing() {
    let (home, port) = wanting_a_token("loopback");
    let (owner, other) = (device(1), device(2));
    let (token, revoked) = (paired(port, &owner), paired(port, &other));
    let said = home.run(&["devices", "revoke", other.id().as_str()]);
    assert_eq!(said.status, 0, "{said:?}");
    // A signature as it went over another connection.
    let mut seen = DeviceWire::open(port);
    let nonce = seen.nonce.clone();
    let good = signed(&with_token(&token), &owner, &nonce);
    assert_eq!(seen.connect(&good)["ok"], true);
    let replayed = |name, hears| {
        let again = stranger(name, hears).key(None);
        Stranger { params: good.clone(), ..again }
    };
    let ticket = ticket_of_a_run(&home);
    let skew = 121_000;
    all_stay_out(
        &home,
        port,
        &[
            stranger("another's id", "DEVICE_AUTH_DEVICE_ID_MISMATCH")
                .showing("token", SECRET)
                .changing("/device/id", json!(owner.id().as_str())),
            stranger("another's id and key", "DEVICE_AUTH_SIGNATURE_INVALID")
                .showing("token", SECRET)
                .changing("/device/id", json!(owner.id().as_str()))
                .changing("/device/publicKey", json!(owner.public_key().to_string())),
            replayed("replayed", "DEVICE_AUTH_NONCE_MISMATCH"),
            replayed("replayed, new nonce", "DEVICE_AUTH_SIGNATURE_INVALID")
                .changing("/device/nonce", json!("{nonce}")),
            replayed("replayed, no nonce", "DEVICE_AUTH_NONCE_REQUIRED")
                .changing("/device/nonce", json!("")),
            stranger("stale nonce", "DEVICE_AUTH_NONCE_MISMATCH")
                .showing("token", SECRET)
                .changing("/device/nonce", json!(nonce)),
            stranger("slow clock", "DEVICE_AUTH_SIGNATURE_EXPIRED")
                .showing("token", SECRET)
                .fast(-skew),
            stranger("fast clock", "DEVICE_AUTH_SIGNATURE_EXPIRED")
                .showing("token", SECRET)
                .fast(skew),
            stranger("more after signing", "DEVICE_AUTH_SIGNATURE_INVALID")
                .with("scopes", json!(["operator.read"]))
                .showing("token", SECRET)
                .changing("/scopes", json!(EVERYTHING)),
            stranger("revoked", "AUTH_DEVICE_TOKEN_MISMATCH")
                .showing("deviceToken", &revoked)
                .key(Some(device(2))),
            stranger("revoked, as token", "AUTH_TOKEN_MISMATCH")
                .showing("token", &revoked)
                .key(Some(device(2))),
            stranger("another's token", "AUTH_DEVICE_TOKEN_MISMATCH")
                .showing("deviceToken", &token),
            stranger("another's token, as token", "AUTH_TOKEN_MISMATCH").showing("token", &token),
            stranger("a token without its key", "AUTH_TOKEN_MISMATCH")
                .showing("token", &token)
                .key(None),
            stranger("in another role", "AUTH_DEVICE_TOKEN_MISMATCH")
                .showing("deviceToken", &token)
                .with("role", json!("node"))
                .key(Some(device(1))),
            stranger("a ticket", "AUTH_TOKEN_MISSING").showing("ticket", &ticket),
            stranger("a ticket, no key", "DEVICE_IDENTITY_REQUIRED")
                .showing("ticket", &ticket)
                .key(None),
            stranger("a ticket as token", "AUTH_TOKEN_MISMATCH").showing("token", &ticket),
            stranger("a ticket as device token", "AUTH_DEVICE_TOKEN_MISMATCH")
                .showing("deviceToken", &ticket),
        ],
        &[],
    );
    // The device itself is let in as ever, up to the edge of what its clock may be wrong.
    for fast in [-115_000, 115_000] {
        let mut wire = DeviceWire::open(port);
        let nonce = wire.nonce.clone();
        let answer = wire.connect(&signed_by_clock(&with_token(&token), &owner, &nonce, fast));
        assert_eq!(answer["payload"]["auth"]["scopes"], json!(["operator.read"]), "{answer}");
    }
    // More than was approved it gets from nobody but the owner.
    let mut wire = DeviceWire::open(port);
    let nonce = wire.nonce.clone();
    let mut params = with_token(&token);
    params["scopes"] = json!(EVERYTHING);
    let answer = wire.connect(&signed(&params, &owner, &nonce));
    assert_eq!(answer["error"]["details"]["code"], "PAIRING_REQUIRED", "{answer}");
}

fn with_token(token: &str) -> Value {
    let mut params = hello(SECRET);
    params["scopes"] = json!(["operator.read"]);
    params["auth"] = json!({"deviceToken": token});
    params
}

/// The ticket of a run that goes on.
fn ticket_of_a_run(home: &Home) -> String {
    let tests = std::env::current_exe().unwrap();
    let probe = tests.ancestors().nth(2).unwrap().join("examples/ticket_probe");
    let file = home.path().join("ticket");
    let line = format!("{} hold {}", probe.display(), file.display());
    let said = home.run(&["spawn", "--detach", "--runtime", "local", "--", &line]);
    assert_eq!(said.status, 0, "{said:?}");
    home.wait_for_file("ticket")
}

#[test]
fn an_address_of_this_machine_is_nobodys_credential() {
    let (home, port) = wanting_a_token("::");
    let mut places = vec!["127.0.0.1", "::1"];
    let lan = crate::home::lan_address();
    places.extend(lan.as_deref().map(|address| &*address.to_owned().leak()));
    let mut strangers = Vec::new();
    for place in places {
        strangers.push(stranger("nothing", "AUTH_TOKEN_MISSING").at(place));
        let wrong = stranger("wrong", "AUTH_TOKEN_MISMATCH").at(place);
        strangers.push(wrong.showing("token", "guess"));
        let bare = stranger("no key", "AUTH_TOKEN_MISMATCH").at(place);
        strangers.push(bare.showing("token", "guess").key(None));
        let header = stranger("header", "403").at(place);
        strangers.push(header.header("x-forwarded-for", "127.0.0.1"));
        if !place.starts_with("127.") && place != "::1" {
            // Not from this machine, as far as anybody can tell: the secret alone pairs nobody.
            let reader = stranger("secret", "PAIRING_REQUIRED").at(place).showing("token", SECRET);
            strangers.push(reader.with("scopes", json!(["operator.read"])));
        }
    }
    all_stay_out(&home, port, &strangers, &["operator.read"]);
    // Without a key the secret is good for a connection that may do nothing.
    if let Some(place) = lan {
        let keyless = stranger("keyless", "").at(place.leak()).showing("token", SECRET).key(None);
        let answer = keyless.knock(port, 4);
        assert_eq!(answer["payload"]["auth"]["scopes"], json!([]), "{answer}");
    }
}

#[test]
fn a_gateway_that_asks_for_no_secret_still_asks_its_owner() {
    let (home, port) = gateway("{ gateway: { auth: { mode: 'none' } } }");
    let elsewhere = "CONTROL_UI_ORIGIN_NOT_ALLOWED";
    let own_page = "http://127.0.0.1:{port}";
    all_stay_out(
        &home,
        port,
        &[
            stranger("no key", "DEVICE_IDENTITY_REQUIRED").key(None),
            stranger("header", "403").header("x-forwarded-for", "127.0.0.1"),
            stranger("hostile", elsewhere).header("origin", "https://elsewhere.example"),
            stranger("host", "PAIRING_REQUIRED").header("host", "elsewhere.example"),
            stranger("own page", "PAIRING_REQUIRED").header("origin", own_page),
            stranger("token", "PAIRING_REQUIRED")
                .showing("token", "guess")
                .with("scopes", json!(["operator.read"])),
        ],
        &["operator.approvals", "operator.write", "operator.read"],
    );
    // A program of this machine may ask for everything; it waits for the owner's word.
    let local = stranger("local program", "PAIRING_REQUIRED");
    for version in [3, 4] {
        let answer = local.knock(port, version);
        assert_eq!(answer["code"], "PAIRING_REQUIRED", "{answer}");
    }
}

#[test]
fn a_header_names_a_person_only_through_a_trusted_proxy() {
    let (home, port) = gateway(
        "{ gateway: { trustedProxies: ['10.9.9.9'], auth: { mode: 'trusted-proxy',
             trustedProxy: { userHeader: 'x-forwarded-user' } } } }",
    );
    let (other_home, other_port) = gateway(
        "{ gateway: { trustedProxies: ['10.9.9.9'], auth: { mode: 'trusted-proxy',
             trustedProxy: { userHeader: 'remote-user' } } } }",
    );
    let missing = "AUTH_IDENTITY_HEADER_REQUIRED";
    all_stay_out(
        &home,
        port,
        &[
            stranger("nothing", missing),
            stranger("no key", missing).key(None),
            stranger("a header that forwards", "403").header("x-forwarded-user", "owner"),
        ],
        &[],
    );
    all_stay_out(
        &other_home,
        other_port,
        &[
            stranger("any header", missing).header("remote-user", "owner"),
            stranger("any header, no key", missing).header("remote-user", "owner").key(None),
            stranger("and another", "403")
                .header("remote-user", "owner")
                .header("x-forwarded-for", "10.9.9.9"),
        ],
        &[],
    );
}
