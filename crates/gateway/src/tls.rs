//! TLS on the TCP port: the owner's certificate, or one of the gateway's own making.

use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsConfig;

/// TLS, ready to be spoken.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// The SHA-256 of the certificate, as people compare it.
    pub(crate) fingerprint: String,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Only one of certificate and key is named, or none and none is to be made.
    #[error(
        "gateway.tls is enabled without a certificate; set both gateway.tls.certPath and gateway.tls.keyPath, or gateway.tls.autoGenerate: true"
    )]
    NoCertificate,
    /// A file cannot be read or written.
    #[error("cannot use {path} for TLS: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no certificate or no key.
    #[error("{path} holds no {what} in PEM")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key do not fit.
    #[error("the certificate of gateway.tls cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("a certificate could not be made: {0}")]
    NotMade(#[from] rcgen::Error),
}

impl Tls {
    /// Reads the certificate, or makes one in `directory` where none is named and that is wanted.
    /// Blocks on the disk.
    pub(crate) fn load(
        config: &TlsConfig,
        directory: &Path,
        address: IpAddr,
    ) -> Result<Self, TlsError> {
        let (certificate, key) = match (&config.cert_path, &config.key_path) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) if config.auto_generate => own(directory, address)?,
            _ => return Err(TlsError::NoCertificate),
        };
        let not_pem = |path: &Path, what| TlsError::NotPem { path: path.to_owned(), what };
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&read(&certificate)?)
                .collect::<Result<_, _>>()
                .map_err(|_| not_pem(&certificate, "certificate"))?;
        let Some(first) = chain.first() else {
            return Err(not_pem(&certificate, "certificate"));
        };
        let fingerprint = fingerprint(first);
        let key = PrivateKeyDer::from_pem_slice(&read(&key)?)
            .map_err(|_| not_pem(&key, "private key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), fingerprint })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// The gateway's own certificate and key, made where they are missing.
fn own(directory: &Path, address: IpAddr) -> Result<(PathBuf, PathBuf), TlsError> {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !address.is_loopback() && !address.is_unspecified() {
        names.push(address.to_string());
    }
    if let Some(name) = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    {
        names.push(name);
    }
    let made = rcgen::generate_simple_self_signed(names)?;
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))?;
    // The key first: a certificate is only ever there with its key.
    write(&key, &made.signing_key.serialize_pem()).map_err(at(&key))?;
    write(&certificate, &made.cert.pem()).map_err(at(&certificate))?;
    tracing::info!("a certificate was made in {}", directory.display());
    Ok((certificate, key))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let hash = Sha256::digest(certificate);
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{IpAddr, Ipv4Addr};
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Tls, TlsError};
    use crate::config::TlsConfig;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn config(auto_generate: bool) -> TlsConfig {
        TlsConfig { enabled: true, auto_generate, cert_path: None, key_path: None }
    }

    #[test]
    fn a_certificate_is_made_once_and_closed_to_others() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("tls");
        let first = Tls::load(&config(true), &directory, ADDRESS).unwrap();
        assert_eq!(first.fingerprint.len(), 95);
        let again = Tls::load(&config(true), &directory, ADDRESS).unwrap();
        assert_eq!(first.fingerprint, again.fingerprint);
        for (path, mode) in [("", 0o700), ("key.pem", 0o600), ("cert.pem", 0o600)] {
            let metadata = directory.join(path).metadata().unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{path}");
        }
    }

    #[test]
    fn half_of_a_certificate_is_none() {
        let state = tempfile::tempdir().unwrap();
        let half = TlsConfig { cert_path: Some(state.path().join("c.pem")), ..config(true) };
        for config in [config(false), half] {
            let error = Tls::load(&config, state.path(), ADDRESS).unwrap_err();
            assert!(matches!(error, TlsError::NoCertificate), "{error}");
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("c.pem");
        std::fs::write(&path, "hello").unwrap();
        let config = TlsConfig {
            cert_path: Some(path.clone()),
            key_path: Some(path.clone()),
            ..config(false)
        };
        let error = Tls::load(&config, state.path(), ADDRESS).unwrap_err();
        assert!(error.to_string().contains("c.pem holds no certificate"), "{error}");
    }
}
