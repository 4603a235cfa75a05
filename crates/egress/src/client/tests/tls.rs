//! TLS as receivers get it wrong.

use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Authority of a test");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let (chain, key) = certificate(Some(&self.0), change);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }
}

fn certificate(
    issuer: Option<&Issuer<'static, KeyPair>>,
    change: impl FnOnce(&mut CertificateParams),
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    (vec![certificate.der().clone()], key.into())
}

async fn serve(config: ServerConfig) -> Peer {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Peer::start(move |stream| {
        let acceptor = acceptor.clone();
        Box::pin(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut buffer = [0; 4_096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            let _ = stream.shutdown().await;
        })
    })
    .await
}

async fn sent(authority: &Authority, peer: &Peer, host: &str) -> Result<Answer, EgressError> {
    let clock = Arc::new(SystemClock::new());
    let egress = Egress::with_roots(loopback(), clock, &[authority.pem()]).unwrap();
    let url = Url::parse(&format!("https://{host}:{}/", peer.address.port())).unwrap();
    egress.send(post(url)).await
}

#[tokio::test]
async fn a_private_authority_is_trusted_once_it_is_given() {
    let authority = Authority::new();
    let peer = serve(authority.server(|_| {})).await;
    for host in ["localhost", "127.0.0.1"] {
        let answer = sent(&authority, &peer, host).await.unwrap();
        assert_eq!(&answer.body[..], b"ok");
    }
    let error = sent(&Authority::new(), &peer, "localhost")
        .await
        .unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn bad_certificates_are_tls_failures_that_say_what_is_wrong() {
    let authority = Authority::new();
    let expired = authority.server(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    });
    let wrong_name = authority.server(|params| {
        *params = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    });
    let (chain, key) = certificate(None, |_| {});
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let self_signed = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let mut clients = RootCertStore::empty();
    clients.add(authority.0.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider))
            .build()
            .unwrap();
    let (chain, key) = certificate(Some(&authority.0), |_| {});
    let wants_client = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    for (server, said) in [
        (expired, "expired"),
        (wrong_name, "not valid for name"),
        (self_signed, "UnknownIssuer"),
        (wants_client, "CertificateRequired"),
    ] {
        let peer = serve(server).await;
        let error = sent(&authority, &peer, "localhost").await.unwrap_err();
        assert!(matches!(error, EgressError::Tls { .. }), "{said}: {error}");
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_handshake_that_breaks_is_a_tls_failure_and_one_that_stalls_ends_at_the_deadline() {
    let closing = Peer::start(|mut stream| {
        Box::pin(async move {
            let mut buffer = [0; 4_096];
            let _ = stream.read(&mut buffer).await;
        })
    })
    .await;
    let url = |peer: &Peer| Url::parse(&format!("https://{}/", peer.address)).unwrap();
    let error = open_egress().send(post(url(&closing))).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error}");

    let plain = Peer::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    // Nothing in a TLS hello looks like the end of a request: this peer never answers.
    let (egress, clock) = open_egress_by_hand();
    let sending = send(&egress, post(url(&plain)));
    while clock.next_wake().is_none() || plain.accepted() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(15));
    let error = outcome(sending).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { .. }), "{error}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let clock = Arc::new(SystemClock::new());
    let error = Egress::with_roots(loopback(), clock, &[b"nothing".to_vec()]).unwrap_err();
    assert!(error.to_string().contains("holds none"), "{error}");
}
