//! The settings of a connection to NATS: the same flags and variables in every service.

use std::path::{Path, PathBuf};

use async_nats::rustls::pki_types::pem::{self, PemObject};
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Where the broker is, and how to trust it. Flatten it into a service's own settings.
#[derive(Debug, Clone, clap::Args)]
pub struct NatsConfig {
    /// The broker. The service also starts and answers without it. `tls://` requires TLS; `nats://` uses it if the broker
    /// requires it. It may contain a user and a password: `nats://user:password@host:port`.
    #[arg(
        id = "nats_url",
        long = "nats-url",
        env = "NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        value_name = "URL"
    )]
    pub url: String,

    /// The CA certificates (PEM) that the broker's certificate is checked with; without it, those that the machine trusts.
    #[arg(
        id = "nats_ca_file",
        long = "nats-ca-file",
        env = "NATS_CA_FILE",
        value_name = "FILE"
    )]
    pub ca_file: Option<PathBuf>,

    /// This service's own certificate (PEM), for a broker that requires one.
    #[arg(
        id = "nats_cert_file",
        long = "nats-cert-file",
        env = "NATS_CERT_FILE",
        value_name = "FILE",
        requires = "nats_key_file"
    )]
    pub cert_file: Option<PathBuf>,

    /// The private key (PEM) of that certificate.
    #[arg(
        id = "nats_key_file",
        long = "nats-key-file",
        env = "NATS_KEY_FILE",
        value_name = "FILE",
        requires = "nats_cert_file"
    )]
    pub key_file: Option<PathBuf>,
}

/// A file that the settings name cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read, or is no PEM.
    #[error("{0} cannot be read")]
    Unreadable(PathBuf, #[source] pem::Error),
    /// It is readable, and nothing of use is in it.
    #[error("there is no certificate in {0}")]
    NoCertificate(PathBuf),
}

impl NatsConfig {
    /// Reads each file once, so that a wrong path ends the start and is not tried again and again. The client reads them
    /// anew for each connection, so that they may be replaced meanwhile.
    pub(crate) fn check_files(&self) -> Result<(), FileError> {
        for certificates in [&self.ca_file, &self.cert_file].into_iter().flatten() {
            check_certificates(certificates)?;
        }
        if let Some(key) = &self.key_file {
            PrivateKeyDer::from_pem_file(key).map_err(|error| FileError::Unreadable(key.clone(), error))?;
        }
        Ok(())
    }
}

fn check_certificates(file: &Path) -> Result<(), FileError> {
    let unreadable = |error| FileError::Unreadable(file.to_owned(), error);
    let certificates = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(FileError::NoCertificate(file.to_owned()));
    }
    Ok(())
}

impl<S: AsRef<str> + ?Sized> From<&S> for NatsConfig {
    /// That broker, with what the machine trusts.
    fn from(url: &S) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            ca_file: None,
            cert_file: None,
            key_file: None,
        }
    }
}
