//! Certificates for a server on this machine and for its clients, signed by an authority made for the test.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// The files of an authority and of what it signed, until this is dropped.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes an authority, a certificate for a server at 127.0.0.1, and one for a client.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn make() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the certificates");
        let certificates = Self { folder };
        certificates.write().expect("the certificates can be made");
        certificates
    }

    fn write(&self) -> anyhow::Result<()> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        std::fs::write(self.authority(), authority.pem())?;
        for (name, host) in [("server", "127.0.0.1"), ("client", "client.test")] {
            let key = KeyPair::generate()?;
            let signed = CertificateParams::new([host.to_owned()])?.signed_by(&key, &authority)?;
            std::fs::write(self.path(name, "pem"), signed.pem())?;
            std::fs::write(self.path(name, "key"), key.serialize_pem())?;
        }
        Ok(())
    }

    /// Whom to trust.
    pub fn authority(&self) -> PathBuf {
        self.path("authority", "pem")
    }

    /// A client's certificate and its key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.path("client", "pem"), self.path("client", "key"))
    }

    /// The settings of a nats-server that asks for TLS.
    pub fn nats_settings(&self) -> String {
        self.tls_settings("")
    }

    /// The settings of a nats-server that asks for TLS and for the client's certificate.
    pub fn nats_settings_verifying(&self) -> String {
        let authority = self.authority();
        self.tls_settings(&format!("ca_file: \"{}\", verify: true", authority.display()))
    }

    fn tls_settings(&self, more: &str) -> String {
        let (certificate, key) = (self.path("server", "pem"), self.path("server", "key"));
        format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", {more} }}\n",
            certificate.display(),
            key.display()
        )
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{kind}"))
    }
}
