//! The device door over TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::client::IntoClientRequest as _;

use crate::device_wire::{DeviceWire, hello, tcp};
use crate::home::Home;

#[test]
fn a_certificate_of_its_own_is_made_shown_and_spoken() {
    let home =
        Home::with_config("", r#"{gateway: {auth: {token: "s3cret"}, tls: {enabled: true}}}"#);
    let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
    let port = u16::try_from(said.json()["port"].as_u64().unwrap()).unwrap();
    let file = home.state_directory().join("tls/cert.pem");
    let certificate = CertificateDer::from_pem_file(&file).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let request = format!("wss://localhost:{port}/").into_client_request().unwrap();
    let mut wire = DeviceWire::over(StreamOwned::new(client, tcp(port)), request).unwrap();
    assert_eq!(wire.connect(&hello("s3cret"))["ok"], true);

    let status = home.ask(&["gateway", "status"]);
    let fingerprint = status["tlsFingerprint"].as_str().unwrap();
    assert_eq!(fingerprint.len(), 95, "{status}");
    let log = std::fs::read_to_string(home.state_directory().join("gateway.log")).unwrap();
    assert!(log.contains(fingerprint), "{log}");
    // Without TLS nobody is served.
    assert!(DeviceWire::open_with(port, &[]).is_err());
}
