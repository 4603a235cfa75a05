//! TLS: whom we trust, and what we speak inside.

use std::sync::Arc;

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;

use crate::error::EgressError;

/// The certificates in these files (PEM, one or more in each).
pub(crate) fn certificates(files: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, EgressError> {
    let mut all = Vec::new();
    for pem in files {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.map_err(|error| setup(format!("root certificates: {error}")))?;
        if found.is_empty() {
            return Err(setup(
                "a file of root certificates holds none in PEM form".to_owned(),
            ));
        }
        all.extend(found);
    }
    Ok(all)
}

/// Makes TLS sessions with hosts that the machine's root certificates, or one of `extra_roots`, vouch for.
pub(crate) fn connector(
    extra_roots: Vec<CertificateDer<'static>>,
) -> Result<TlsConnector, EgressError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = if extra_roots.is_empty() {
        Verifier::new(Arc::clone(&provider))
    } else {
        Verifier::new_with_extra_roots(extra_roots, Arc::clone(&provider))
    };
    let verifier = verifier.map_err(|error| setup(error.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn setup(detail: String) -> EgressError {
    EgressError::Setup { detail }
}
