//! How Envoy reaches the Pushgateways: TLS and credentials, from the section `gateways` of `settings.yaml`.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde::Deserialize;

use crate::error::BadInput;
use crate::text;

/// CA certificates of the system where Debian, Ubuntu, Alpine and Envoy's own image have them.
const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The protocol of a Pushgateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Without TLS.
    #[default]
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// Returns the scheme as URLs have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Parses the scheme of a registration; `None` if it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.as_str() == text)
    }
}

/// The section `gateways` of `settings.yaml`. All paths are those at which Envoy finds the files; none of the files is
/// read here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object such as {scheme: https}")]
pub struct Access {
    /// Protocol of registrations that name none. `https`: of all, because a registration must not be able to get pushes and
    /// credentials without TLS.
    pub scheme: Scheme,
    /// CA certificates (PEM) that sign the gateways' certificates.
    pub ca_file: PathBuf,
    /// DNS name that every gateway's certificate must contain, and the SNI; `None`: the host of its address.
    pub server_name: Option<String>,
    /// Client certificate (PEM); requires `key_file`.
    pub cert_file: Option<PathBuf>,
    /// Key of the client certificate (PEM).
    pub key_file: Option<PathBuf>,
    /// File with the value of the `Authorization` header.
    pub authorization_file: Option<PathBuf>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            scheme: Scheme::Http,
            ca_file: SYSTEM_CAS.into(),
            server_name: None,
            cert_file: None,
            key_file: None,
            authorization_file: None,
        }
    }
}

impl Access {
    /// Checks what the parser does not.
    ///
    /// # Errors
    /// [`BadInput`] with the field.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.cert_file.is_some() == self.key_file.is_some(),
            BadInput("gateways: found one of cert_file and key_file, allowed both or none".to_owned())
        );
        for (field, path) in self.files() {
            ensure!(
                path.is_absolute(),
                // Not repeated: it may be the secret itself instead of its file.
                BadInput(format!(
                    "gateways.{field}: found no absolute path, expected one such as /etc/pushring/{field}"
                ))
            );
        }
        let name = self.server_name.as_deref();
        ensure!(
            name.is_none_or(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())),
            BadInput(format!(
                "gateways.server_name: found {:?}, allowed a DNS name",
                name.unwrap_or_default()
            ))
        );
        Ok(())
    }

    /// Returns a note for each file that does not exist here. Envoy may run elsewhere, so this is no error.
    pub(crate) fn missing_files(&self) -> Vec<String> {
        let missing = self.files().filter(|(_, path)| !path.exists());
        let note = |(field, path): (&str, &Path)| {
            format!(
                "gateways.{field}: {} is not on this machine; without it, Envoy does not use the new clusters or credentials",
                text::path(path)
            )
        };
        missing.map(note).collect()
    }

    fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let optional = [
            ("cert_file", &self.cert_file),
            ("key_file", &self.key_file),
            ("authorization_file", &self.authorization_file),
        ];
        let optional = optional.into_iter().filter_map(|(field, path)| Some((field, path.as_deref()?)));
        [("ca_file", self.ca_file.as_path())].into_iter().chain(optional)
    }
}
