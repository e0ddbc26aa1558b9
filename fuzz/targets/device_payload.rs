//! A device and its signature: nothing passes but what was signed.
#![no_main]

use hatchery_access::{PublicKey, device_payload, verify_device};
use hatchery_protocol::ConnectParams;
use libfuzzer_sys::fuzz_target;

/// What the seeds are signed with.
const NONCE: &str = "nonce-1";
const NOW: u64 = 1_760_000_000_000;
const ID: &str = "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9";

/// The two texts that were ever signed.
const SIGNED: [&str; 2] = [
    "v2|21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9|cli|cli|operator\
        |operator.admin,operator.read|1760000000000|tok|nonce-1",
    "v3|21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9|cli|cli|operator\
        |operator.admin,operator.read|1760000000000|tok|nonce-1|linux|desktop",
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(params) = serde_json::from_slice::<ConnectParams>(bytes) else { return };
    if let Some(key) =
        params.device.as_ref().and_then(|device| PublicKey::parse(&device.public_key).ok())
    {
        assert_eq!(PublicKey::parse(&key.to_string()), Ok(key));
    }
    let Ok(verified) = verify_device(&params, NONCE, NOW) else { return };
    let device = params.device.as_ref().expect("there is a device");
    let text = device_payload(&params, ID, device.signed_at, NONCE, verified.payload());
    assert_eq!(verified.id().as_str(), ID, "another device passed");
    assert!(SIGNED.contains(&text.as_str()), "something else passed: {text}");
});
