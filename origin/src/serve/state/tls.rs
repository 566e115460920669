//! TLS: the certificate and the key of the service, which are read again when their files change.

use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// What tells a changed file: time of the change and size, of the certificate and of the key.
type Stamp = [(Option<SystemTime>, u64); 2];

/// The certificate and key in use.
#[derive(Debug)]
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<(Stamp, Arc<ServerConfig>)>,
}

impl Tls {
    /// Reads the certificate chain and its key from PEM files.
    ///
    /// # Errors
    /// A file cannot be read, or the key is not that of the certificate.
    pub(crate) fn open(certificate: &Path, key: &Path) -> Result<Self> {
        let current = RwLock::new((stamp(certificate, key)?, read(certificate, key)?));
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), current })
    }

    /// Accepts connections with the current certificate.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.1))
    }

    /// Reads the files again if they changed; whether they did. The certificate in use stays if they cannot be read.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub(crate) fn refresh(&self) -> Result<bool> {
        let found = stamp(&self.certificate, &self.key)?;
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == found {
            return Ok(false);
        }
        let config = read(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (found, config);
        Ok(true)
    }
}

fn stamp(certificate: &Path, key: &Path) -> Result<Stamp> {
    let of = |path: &Path| {
        let file = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::Ok((file.modified().ok(), file.len()))
    };
    Ok([of(certificate)?, of(key)?])
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.with_context(|| format!("cannot read the certificate {}", certificate.display()))?;
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.with_context(|| format!("cannot read the key {}", key.display()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret);
    let mut config = config.with_context(|| {
        format!("the certificate {} and the key {} do not match", certificate.display(), key.display())
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }

    #[test]
    fn a_changed_certificate_is_taken_over_and_a_damaged_one_is_not() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (certificate, key) = write(dir.path(), "localhost");
        let tls = Tls::open(&certificate, &key).unwrap();
        assert!(!tls.refresh().unwrap());
        let (_, foreign) = write(other.path(), "shop.example");
        let mismatch = format!("{:#}", Tls::open(&certificate, &foreign).unwrap_err());
        assert!(mismatch.contains("do not match"), "{mismatch}");
        let before = Arc::as_ptr(&tls.current.read().unwrap().1);
        fs::write(&certificate, "-----BEGIN CERTIFICATE-----\n").unwrap();
        assert!(tls.refresh().is_err());
        assert_eq!(Arc::as_ptr(&tls.current.read().unwrap().1), before, "the one in use stays");
        write(dir.path(), "shop.example.org");
        assert!(tls.refresh().unwrap() && !tls.refresh().unwrap());
        fs::remove_file(&key).unwrap();
        assert!(tls.refresh().is_err());
    }
}
