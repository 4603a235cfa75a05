//! A certificate authority of the emulator's own, for clients that insist on `https`.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// No authority or certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate could be made: {0}")]
pub struct AuthorityError(String);

/// A certificate authority with one certificate, for the names under which an emulator is called.
#[derive(Clone, Debug)]
pub struct Authority {
    ca_pem: String,
    config: Arc<ServerConfig>,
}

impl Authority {
    /// An authority with a new key, and a certificate for `localhost`, `127.0.0.1`, `::1` and `names` (host names or
    /// addresses).
    pub fn new(names: &[String]) -> Result<Self, AuthorityError> {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name
            .push(DnType::CommonName, "Tidings emulator CA");
        // Long enough for any clock that a test sets.
        ca.not_before = date_time_ymd(2000, 1, 1);
        ca.not_after = date_time_ymd(2100, 1, 1);
        let ca_key = KeyPair::generate().map_err(failed)?;
        let ca_pem = ca.self_signed(&ca_key).map_err(failed)?.pem();
        let issuer = Issuer::new(ca, ca_key);

        let mut all = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        for name in names {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        let mut leaf = CertificateParams::new(all).map_err(failed)?;
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        leaf.distinguished_name
            .push(DnType::CommonName, "Tidings emulator");
        leaf.not_before = date_time_ymd(2000, 1, 1);
        leaf.not_after = date_time_ymd(2100, 1, 1);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = leaf.signed_by(&key, &issuer).map_err(failed)?;

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(failed)?;
        Ok(Self {
            ca_pem,
            config: Arc::new(config),
        })
    }

    /// The authority's certificate, which clients must be told to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// How to serve under it.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

fn failed(error: impl std::fmt::Display) -> AuthorityError {
    AuthorityError(error.to_string())
}
