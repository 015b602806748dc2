use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Which certificates a client trusts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trust<'a> {
    /// None: for plain HTTP alone. (Reading this machine's roots takes milliseconds that most local runs do not need.)
    Nobody,
    /// This machine's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are respected), and one file more.
    Machine(Option<&'a Path>),
}

/// TLS with ring's cryptography and HTTP/2 where a server offers it; why not, otherwise.
pub(super) fn config(trust: Trust<'_>) -> Result<ClientConfig, String> {
    let mut certificates = Vec::new();
    if let Trust::Machine(more) = trust {
        // A machine may well have one unreadable certificate among hundreds, or none at all and a private one.
        certificates = rustls_native_certs::load_native_certs().certs;
        if let Some(path) = more {
            let loaded = rustls_native_certs::load_certs_from_paths(Some(path), None);
            if loaded.certs.is_empty() {
                let why = loaded.errors.first().map_or_else(|| "no certificate in it".to_owned(), ToString::to_string);
                return Err(format!("cannot read the certificates of `{}`: {why}", path.display()));
            }
            certificates.extend(loaded.certs);
        }
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = if roots.is_empty() {
        builder.with_root_certificates(roots).with_no_client_auth()
    } else {
        let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        let verifier = Verifier { by_authority, trusted: certificates.into_iter().collect() };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// webpki's rules, and one of Go's and so of Docker's: a certificate that is itself among the trusted ones is good for its names even if it
/// calls itself an authority, as the self-signed certificates of private registries do.
#[derive(Debug)]
struct Verifier {
    by_authority: Arc<WebPkiServerVerifier>,
    trusted: HashSet<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.by_authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // "Other" is what an authority in the place of a server is; a time out of its validity is found before and stays an error.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) if self.trusted.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}
