//! Certificate authorities and the certificates that they sign.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        // Its name differs from those of its certificates, because equal names look self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes the certificate and the key of a server for these IP addresses and DNS names.
    pub(crate) fn server(&self, names: &[&str], cert: &Path, key: &Path) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        self.sign(CertificateParams::new(names).unwrap(), ExtendedKeyUsagePurpose::ServerAuth, cert, key);
    }

    /// Writes the certificate and the key of a client that this URI identifies.
    pub(crate) fn client(&self, uri: &str, cert: &Path, key: &Path) {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth, cert, key);
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose, cert: &Path, key: &Path) {
        let pair = KeyPair::generate().unwrap();
        params.extended_key_usages = vec![usage];
        replace(key, &pair.serialize_pem());
        replace(cert, &params.signed_by(&pair, &self.0).unwrap().pem());
    }
}

/// Moves a complete file into place, as the documents advise for files that Envoy watches.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}
