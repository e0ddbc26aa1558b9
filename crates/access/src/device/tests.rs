#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hatchery_protocol::{ClientInfo, ConnectAuth, ErrorCode, Secret, WireError};
use proptest::prelude::*;

use super::*;
use crate::Refusal;

const NONCE: &str = "nonce-1";
const SIGNED_AT: i64 = 1_760_000_000_000;
const NOW: u64 = 1_760_000_000_000;

/// The seed of RFC 8032, section 7.1, test 1. What stands below about it was made by OpenSSL.
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
    0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const PUBLIC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
    -----END PUBLIC KEY-----\n";
const ID: &str = "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9";
const V3_SIGNATURE: &str =
    "uMq21Nco0weSPejpNOR21RI26VfETL3d3G3a9gHIEHm1e2oI3xLph_wPFvVfPkWseOyPd3so_9_EnnZQj5RtCw";
const V2_SIGNATURE: &str =
    "okDj45UUUVew1rzWgSUJmFpUpei_J1WfMYN4mQQCDPSn-ARNNvwf12MFf3iAXDyKgfAar_-f0J1nYRhh7yyCAA";

fn key() -> DeviceKey {
    DeviceKey::from_seed(SEED)
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text.to_owned()))
}

/// A `connect` without a device.
fn asked() -> ConnectParams {
    ConnectParams {
        min_protocol: 4,
        max_protocol: 4,
        client: ClientInfo {
            id: "cli".to_owned(),
            version: "1".to_owned(),
            platform: " Linux ".to_owned(),
            mode: "cli".to_owned(),
            device_family: Some("Desktop".to_owned()),
            ..ClientInfo::default()
        },
        role: Some("operator".to_owned()),
        scopes: Some(vec!["operator.admin".to_owned(), "operator.read".to_owned()]),
        auth: Some(ConnectAuth { token: secret("tok"), ..ConnectAuth::default() }),
        ..ConnectParams::default()
    }
}

fn signed_with(
    key: &DeviceKey,
    mut params: ConnectParams,
    version: PayloadVersion,
) -> ConnectParams {
    params.device = Some(key.prove(&params, NONCE, SIGNED_AT, version));
    params
}

fn signed(version: PayloadVersion) -> ConnectParams {
    signed_with(&key(), asked(), version)
}

fn device(params: &mut ConnectParams) -> &mut DeviceParams {
    params.device.as_mut().unwrap()
}

fn verify(params: &ConnectParams) -> Result<VerifiedDevice, DeviceFault> {
    verify_device(params, NONCE, NOW)
}

fn fault(params: &ConnectParams) -> DeviceFault {
    verify(params).unwrap_err()
}

#[test]
fn signatures_of_another_implementation_are_taken_in_both_versions() {
    for (version, signature) in
        [(PayloadVersion::V3, V3_SIGNATURE), (PayloadVersion::V2, V2_SIGNATURE)]
    {
        let mut params = signed(version);
        assert_eq!(
            device(&mut params).signature,
            signature,
            "Ed25519 signs the same way each time"
        );
        let expected = VerifiedDevice {
            id: DeviceId::new(ID.to_owned()),
            public_key: key().public_key(),
            payload: version,
        };
        assert_eq!(verify(&params), Ok(expected));
    }
}

#[test]
fn the_vector_of_the_standard_holds() {
    let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac\
        c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    let raw: Vec<u8> = (0..signature.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap())
        .collect();
    let key = key().public_key();
    assert_eq!(key.has_signed(b"", &URL_SAFE_NO_PAD.encode(&raw)), Ok(true));
    assert_eq!(key.has_signed(b"\0", &URL_SAFE_NO_PAD.encode(&raw)), Ok(false));
}

#[test]
fn what_is_signed_is_what_clients_sign() {
    let text = |params: &ConnectParams, version| device_payload(params, "ID", 7, "N", version);
    let all = asked();
    let v2 = "v2|ID|cli|cli|operator|operator.admin,operator.read|7|tok|N";
    assert_eq!(text(&all, PayloadVersion::V2), v2);
    let v3 = "v3|ID|cli|cli|operator|operator.admin,operator.read|7|tok|N|linux|desktop";
    assert_eq!(text(&all, PayloadVersion::V3), v3);
    let least = ConnectParams::default();
    assert_eq!(text(&least, PayloadVersion::V2), "v2|ID|||operator||7||N");
    assert_eq!(text(&least, PayloadVersion::V3), "v3|ID|||operator||7||N||");
}

#[test]
fn the_first_secret_that_is_there_is_signed_and_never_a_password() {
    let auth = |token, device_token, bootstrap_token| ConnectAuth {
        token,
        password: secret("pass"),
        device_token,
        bootstrap_token,
        ticket: secret("ticket"),
    };
    for (auth, expected) in [
        (auth(secret("t"), secret("d"), secret("b")), "t"),
        (auth(None, secret("d"), secret("b")), "d"),
        (auth(None, None, secret("b")), "b"),
        (auth(None, None, None), ""),
    ] {
        let params = ConnectParams { auth: Some(auth), ..asked() };
        let text = device_payload(&params, "ID", 7, "N", PayloadVersion::V2);
        assert!(text.ends_with(&format!("|7|{expected}|N")), "{text}");
        assert!(verify(&signed_with(&key(), params, PayloadVersion::V3)).is_ok());
    }
}

#[test]
fn metadata_is_signed_as_javascript_writes_it() {
    for (text, expected) in [
        (" MacIntel\n", "macintel"),
        ("\u{feff}Win32\u{a0}", "win32"),
        ("\u{85}x", "\u{85}x"),
        ("ÄÖ K", "ÄÖ k"),
        ("  ", ""),
    ] {
        assert_eq!(normalized_metadata(text), expected, "{text:?}");
    }
}

#[test]
fn a_key_is_read_in_every_form_and_kept_in_one() {
    let raw = key().public_key();
    let padded = format!("{PUBLIC_KEY}=");
    let standard = STANDARD.encode(raw.as_bytes());
    let forms = [PUBLIC_KEY, &padded, &standard, standard.trim_end_matches('='), PEM, PEM.trim()];
    for form in forms {
        let mut params = signed(PayloadVersion::V3);
        device(&mut params).public_key = form.to_owned();
        assert_eq!(verify(&params).unwrap().public_key, raw, "{form}");
    }
    assert_eq!(raw.to_string(), PUBLIC_KEY);
    assert_eq!(raw.id().as_str(), ID);
    let json = serde_json::to_value(raw).unwrap();
    assert_eq!(json, PUBLIC_KEY);
    assert_eq!(serde_json::from_value::<PublicKey>(json).unwrap(), raw);
}

#[test]
fn what_is_no_key_is_refused() {
    let rsa = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ==\n\
        -----END PUBLIC KEY-----";
    let no_end = PEM.replace("-----END", "-----ENT");
    let private = PEM.replace("PUBLIC", "PRIVATE");
    let long = format!("{PUBLIC_KEY}AA");
    let bits = format!("{}p", &PUBLIC_KEY[..PUBLIC_KEY.len() - 1]);
    for bad in ["", "x", &PUBLIC_KEY[1..], &long, &bits, rsa, &no_end, &private, "é", ID] {
        let mut params = signed(PayloadVersion::V3);
        device(&mut params).public_key = bad.to_owned();
        assert_eq!(fault(&params), DeviceFault::PublicKeyInvalid, "{bad}");
    }
}

#[test]
fn a_key_with_which_anybody_can_sign_is_refused() {
    // The points of small order and two ways to write them that nobody should.
    let mut weak = vec![[0; 32], [0; 32], [0xff; 32], [0xff; 32]];
    weak[1][0] = 1;
    weak[2][0] = 0xec;
    weak[2][31] = 0x7f;
    weak[3][0] = 0xee;
    for raw in weak {
        let text = URL_SAFE_NO_PAD.encode(raw);
        let key = PublicKey::parse(&text).unwrap();
        // The neutral point and zero: valid for every message, to whoever does not look.
        let mut forged = [0; 64];
        forged[0] = 1;
        let mut params = asked();
        params.device = Some(DeviceParams {
            id: key.id().as_str().to_owned(),
            public_key: text,
            signature: URL_SAFE_NO_PAD.encode(forged),
            signed_at: SIGNED_AT,
            nonce: NONCE.to_owned(),
        });
        assert_eq!(fault(&params), DeviceFault::PublicKeyInvalid, "{raw:x?}");
    }
}

#[test]
fn a_signature_has_one_form_only() {
    // The order of the group, which added to the second half gives an equal signature.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut params = signed(PayloadVersion::V3);
    let mut raw = URL_SAFE_NO_PAD.decode(&device(&mut params).signature).unwrap();
    for form in [STANDARD.encode(&raw), format!(" {}\n", URL_SAFE_NO_PAD.encode(&raw))] {
        device(&mut params).signature = form;
        assert!(verify(&params).is_ok());
    }
    let mut carry = 0;
    for (byte, order) in raw[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    for bad in [URL_SAFE_NO_PAD.encode(&raw), String::new(), "x".to_owned(), "é".repeat(40)] {
        device(&mut params).signature = bad;
        assert_eq!(fault(&params), DeviceFault::SignatureInvalid);
    }
}

#[test]
fn faults_are_told_in_the_order_clients_know() {
    let mut params = signed(PayloadVersion::V3);
    device(&mut params).signature = V2_SIGNATURE.replace('o', "p");
    assert_eq!(fault(&params), DeviceFault::SignatureInvalid);
    device(&mut params).nonce = "another".to_owned();
    assert_eq!(fault(&params), DeviceFault::NonceMismatch);
    device(&mut params).nonce = " \n".to_owned();
    assert_eq!(fault(&params), DeviceFault::NonceMissing);
    device(&mut params).signed_at = 0;
    let expired = DeviceFault::SignatureExpired { behind: true, skew_ms: NOW };
    assert_eq!(fault(&params), expired);
    device(&mut params).id = ID.to_uppercase();
    assert_eq!(fault(&params), DeviceFault::IdMismatch);
    device(&mut params).public_key = String::new();
    assert_eq!(fault(&params), DeviceFault::PublicKeyInvalid);
    params.device = None;
    assert_eq!(fault(&params), DeviceFault::Missing);
}

#[test]
fn clocks_may_be_two_minutes_apart() {
    let params = signed(PayloadVersion::V3);
    let at = |now_ms| verify_device(&params, NONCE, now_ms);
    for now in [NOW, NOW - MAX_SIGNATURE_SKEW_MS, NOW + MAX_SIGNATURE_SKEW_MS] {
        assert!(at(now).is_ok(), "{now}");
    }
    let late = DeviceFault::SignatureExpired { behind: true, skew_ms: 120_001 };
    assert_eq!(at(NOW + MAX_SIGNATURE_SKEW_MS + 1), Err(late));
    let early = DeviceFault::SignatureExpired { behind: false, skew_ms: 120_001 };
    assert_eq!(at(NOW - MAX_SIGNATURE_SKEW_MS - 1), Err(early));
    for signed_at in [i64::MIN, -1, i64::MAX] {
        let mut params = params.clone();
        device(&mut params).signed_at = signed_at;
        for now in [NOW, u64::MAX] {
            assert!(verify_device(&params, NONCE, now).is_err());
        }
    }
}

#[test]
fn a_nonce_is_good_on_its_own_connection_only() {
    let mut params = signed(PayloadVersion::V3);
    device(&mut params).nonce = format!("  {NONCE} ");
    assert!(verify_device(&params, &format!("{NONCE}\n"), NOW).is_ok());
    let replayed = verify_device(&params, "nonce-2", NOW);
    assert_eq!(replayed, Err(DeviceFault::NonceMismatch));
    // An empty challenge is nobody's.
    device(&mut params).nonce = String::new();
    assert_eq!(verify_device(&params, "", NOW), Err(DeviceFault::NonceMissing));
}

#[test]
fn another_device_cannot_borrow_an_id_or_a_key() {
    let stranger = DeviceKey::from_seed([7; 32]);
    let mut params = signed_with(&stranger, asked(), PayloadVersion::V3);
    assert!(verify(&params).is_ok());
    device(&mut params).id = ID.to_owned();
    assert_eq!(fault(&params), DeviceFault::IdMismatch);
    device(&mut params).public_key = PUBLIC_KEY.to_owned();
    assert_eq!(fault(&params), DeviceFault::SignatureInvalid);
}

#[test]
fn a_field_that_could_be_read_in_two_ways_is_refused() {
    let changes: [Change; 7] = [
        ("client.id", |params| params.client.id = "cli|cli".to_owned()),
        ("client.mode", |params| params.client.mode = "|".to_owned()),
        ("client.platform", |params| params.client.platform = "linux|x".to_owned()),
        ("client.deviceFamily", |params| params.client.device_family = Some("|".to_owned())),
        ("role", |params| params.role = Some("operator|operator.admin".to_owned())),
        ("scopes", |params| params.scopes = Some(vec!["operator.read|1".to_owned()])),
        ("scopes", |params| params.scopes = Some(vec!["a,operator.admin".to_owned()])),
    ];
    for (field, change) in changes {
        let mut params = asked();
        change(&mut params);
        let params = signed_with(&key(), params, PayloadVersion::V3);
        assert_eq!(fault(&params), DeviceFault::FieldAmbiguous(field));
    }
    // A secret may hold anything: it stands between two parts that are fixed.
    let auth = ConnectAuth { token: secret("a|b,c"), ..ConnectAuth::default() };
    let params = ConnectParams { auth: Some(auth), ..asked() };
    assert!(verify(&signed_with(&key(), params, PayloadVersion::V2)).is_ok());
}

#[test]
fn nothing_large_is_looked_at() {
    let words = |length: usize| "x".repeat(length);
    let changes: [Filling<ConnectParams>; 7] = [
        ("client.id", MAX_SIGNED_WORD, |params, text| params.client.id = text),
        ("client.mode", MAX_SIGNED_WORD, |params, text| params.client.mode = text),
        ("client.platform", MAX_SIGNED_WORD, |params, text| params.client.platform = text),
        ("client.deviceFamily", MAX_SIGNED_WORD, |params, text| {
            params.client.device_family = Some(text);
        }),
        ("role", MAX_SIGNED_WORD, |params, text| params.role = Some(text)),
        ("scopes", MAX_SIGNED_WORD, |params, text| params.scopes = Some(vec![text])),
        ("auth", MAX_SIGNED_SECRET, |params, text| {
            params.auth = Some(ConnectAuth { token: secret(&text), ..ConnectAuth::default() });
        }),
    ];
    for (field, limit, change) in changes {
        let with = |length| {
            let mut params = asked();
            change(&mut params, words(length));
            verify(&signed_with(&key(), params, PayloadVersion::V3))
        };
        assert!(with(limit).is_ok(), "{field}");
        assert_eq!(with(limit + 1), Err(DeviceFault::FieldTooLong(field)));
    }
    let with_scopes = |number| {
        let params = ConnectParams { scopes: Some(vec!["s".to_owned(); number]), ..asked() };
        verify(&signed_with(&key(), params, PayloadVersion::V3))
    };
    assert!(with_scopes(MAX_SIGNED_SCOPES).is_ok());
    assert_eq!(with_scopes(MAX_SIGNED_SCOPES + 1), Err(DeviceFault::FieldTooLong("scopes")));
    let changes: [Filling<DeviceParams>; 3] = [
        ("device.nonce", MAX_SIGNED_WORD, |device, text| device.nonce = text),
        ("device.publicKey", MAX_PUBLIC_KEY_TEXT, |device, text| device.public_key = text),
        ("device.signature", MAX_SIGNATURE_TEXT, |device, text| device.signature = text),
    ];
    for (field, limit, change) in changes {
        for (length, too_long) in [(limit, false), (limit + 1, true)] {
            let mut params = signed(PayloadVersion::V3);
            change(device(&mut params), words(length));
            assert_eq!(fault(&params) == DeviceFault::FieldTooLong(field), too_long, "{field}");
        }
    }
}

#[test]
fn every_fault_has_the_name_clients_know() {
    let expired = DeviceFault::SignatureExpired { behind: true, skew_ms: 130_000 };
    let table = [
        (DeviceFault::Missing, "DEVICE_IDENTITY_REQUIRED", "device-required"),
        (DeviceFault::IdMismatch, "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch"),
        (expired, "DEVICE_AUTH_SIGNATURE_EXPIRED", "device-signature-stale"),
        (DeviceFault::NonceMissing, "DEVICE_AUTH_NONCE_REQUIRED", "device-nonce-missing"),
        (DeviceFault::NonceMismatch, "DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch"),
        (DeviceFault::SignatureInvalid, "DEVICE_AUTH_SIGNATURE_INVALID", "device-signature"),
        (DeviceFault::PublicKeyInvalid, "DEVICE_AUTH_PUBLIC_KEY_INVALID", "device-public-key"),
        (DeviceFault::FieldTooLong("role"), "DEVICE_AUTH_INVALID", "device-field-too-long"),
        (DeviceFault::FieldAmbiguous("role"), "DEVICE_AUTH_INVALID", "device-field-ambiguous"),
    ];
    for (fault, code, reason) in table {
        let wire = WireError::from(Refusal::from(fault));
        let class = if fault == DeviceFault::Missing {
            ErrorCode::NotPaired
        } else {
            ErrorCode::InvalidRequest
        };
        assert_eq!(wire.code, class);
        assert_eq!(wire.detail_code(), Some(code));
        assert_eq!(wire.detail("reason"), Some(reason));
        assert!(wire.detail("remedy").is_some_and(|remedy| !remedy.is_empty()));
        // It is the reason of the close as well, which has room for so many bytes.
        assert!(wire.message.len() <= 123, "{}", wire.message);
    }
}

#[test]
fn a_private_key_does_not_show_itself() {
    let shown = format!("{:?}", key());
    assert!(shown.contains(ID) && !shown.contains("9d61"), "{shown}");
}

/// A field, and a way to change it.
type Change = (&'static str, fn(&mut ConnectParams));

/// A field, its limit, and a way to fill it.
type Filling<T> = (&'static str, usize, fn(&mut T, String));

/// One change to what was signed.
fn change(params: &mut ConnectParams, what: usize, extra: &str) -> bool {
    let client = &mut params.client;
    match what {
        0 => client.id.push_str(extra),
        1 => client.mode.push_str(extra),
        2 => client.platform = format!("{}{extra}", client.platform.trim()),
        3 => client.device_family.get_or_insert_default().push_str(extra),
        4 => params.role.get_or_insert_default().push_str(extra),
        5 => params.scopes.get_or_insert_default().push(extra.to_owned()),
        6 => params.scopes.get_or_insert_default().reverse(),
        7 => {
            params.scopes.get_or_insert_default().pop();
        }
        8 => {
            let token = Some(Secret::new(format!("tok{extra}")));
            params.auth = Some(ConnectAuth { token, ..ConnectAuth::default() });
        }
        9 => params.auth = None,
        10 => device(params).nonce.push_str(extra),
        11 => device(params).signed_at += 1,
        12 => device(params).id.push_str(extra),
        _ => device(params).public_key.push_str(extra),
    }
    // The second payload says nothing of the metadata.
    !matches!(what, 2 | 3)
}

proptest! {
    #[test]
    fn no_change_to_what_was_signed_passes(
        what in 0_usize..14,
        extra in "[a-z.]{1,8}",
        third in any::<bool>(),
    ) {
        let version = if third { PayloadVersion::V3 } else { PayloadVersion::V2 };
        let mut params = signed(version);
        let covered_by_both = change(&mut params, what, &extra);
        prop_assert_eq!(verify(&params).is_err(), third || covered_by_both);
    }

    #[test]
    fn no_changed_bit_of_a_signature_or_key_passes(bit in 0_usize..512, of_the_key in any::<bool>()) {
        let mut params = signed(PayloadVersion::V3);
        let device = device(&mut params);
        let text = if of_the_key { &mut device.public_key } else { &mut device.signature };
        let mut raw = URL_SAFE_NO_PAD.decode(&*text).unwrap();
        let bit = bit % (raw.len() * 8);
        raw[bit / 8] ^= 1 << (bit % 8);
        *text = URL_SAFE_NO_PAD.encode(&raw);
        if of_the_key {
            // An attacker knows how ids are made.
            device.id = PublicKey::parse(text).unwrap().id().as_str().to_owned();
        }
        prop_assert!(verify(&params).is_err());
    }

    #[test]
    fn whatever_is_sent_is_answered(
        words in prop::array::uniform8("\\PC{0,20}"),
        signed_at in any::<i64>(),
        now_ms in any::<u64>(),
    ) {
        let [id, mode, platform, role, scope, key, signature, nonce] = words;
        let params = ConnectParams {
            client: ClientInfo { id: id.clone(), mode, platform, ..ClientInfo::default() },
            role: Some(role),
            scopes: Some(vec![scope]),
            device: Some(DeviceParams { id, public_key: key, signature, signed_at, nonce: nonce.clone() }),
            ..ConnectParams::default()
        };
        prop_assert!(verify_device(&params, &nonce, now_ms).is_err());
    }

    #[test]
    fn every_key_passes_with_its_own_signature(
        seed in any::<[u8; 32]>(),
        nonce in "[!-~]{1,64}",
        third in any::<bool>(),
    ) {
        let version = if third { PayloadVersion::V3 } else { PayloadVersion::V2 };
        let key = DeviceKey::from_seed(seed);
        let mut params = asked();
        params.device = Some(key.prove(&params, &nonce, SIGNED_AT, version));
        let verified = verify_device(&params, &nonce, NOW).unwrap();
        prop_assert_eq!(verified.id(), &key.id());
        prop_assert_eq!(verified.public_key(), &key.public_key());
        prop_assert_eq!(verified.payload(), version);
    }
}
