//! How to reach the API server: a kubeconfig, or the service account of the pod.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::kubeconfig;
use crate::error::BadInput;
use crate::file;
use crate::http::{Secret, SecretKind, ServerUrl};
use crate::text;

/// Where the kubelet puts the credentials of a pod.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Longest name of a namespace or a service: a DNS label.
const MAX_LABEL: usize = 63;

/// Heading of the flags in the help. A heading for a whole struct would be that of the flags after it, too.
pub(crate) const HEADING: &str = "Kubernetes";

/// Flags for access to Kubernetes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct KubernetesArgs {
    /// Kubeconfig whose current context names the API server; default: the service account of the pod
    #[arg(long, help_heading = HEADING, env = "KUBECONFIG", hide_env_values = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Namespace; default: that of the kubeconfig's context, or of the pod
    #[arg(long, help_heading = HEADING, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

/// Server and credentials as they are now: the files are read, except that of the token.
pub(super) struct Access {
    pub(super) server: ServerUrl,
    /// CA certificates (PEM) that alone are trusted; `None`: the system's.
    pub(super) ca: Option<Vec<u8>>,
    /// Client certificate and key (PEM).
    pub(super) identity: Option<Vec<u8>>,
    pub(super) token: Token,
    pub(super) namespace: String,
}

/// A bearer token; its `Debug` hides it.
#[derive(Clone)]
pub(super) enum Token {
    None,
    Given(String),
    /// Read for each request: the kubelet replaces the token of a pod every hour.
    File(PathBuf),
}

impl Access {
    /// Reads the kubeconfig, or finds the service account.
    ///
    /// # Errors
    /// [`BadInput`]: a file or a field is missing or of no use.
    pub(super) fn read(args: &KubernetesArgs) -> anyhow::Result<Self> {
        let mut access = match args.kubeconfig.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => kubeconfig::read(path)?,
            None => Self::in_cluster(Path::new(SERVICE_ACCOUNT))?,
        };
        if let Some(namespace) = &args.namespace {
            access.namespace.clone_from(namespace);
        }
        check_label("--namespace", &access.namespace)?;
        access.token.read()?;
        Ok(access)
    }

    fn in_cluster(folder: &Path) -> anyhow::Result<Self> {
        let variable = |name| env::var(name).ok().filter(|text| !text.is_empty());
        let (Some(host), Some(port)) =
            (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))
        else {
            let advice = "not in a pod (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set): pass --kubeconfig";
            return Err(BadInput(advice.to_owned()).into());
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let namespace = folder.join("namespace");
        let namespace = file::read_text(&namespace).with_context(|| BadInput(text::path(&namespace)))?;
        let ca = folder.join("ca.crt");
        Ok(Self {
            server: ServerUrl::parse("KUBERNETES_SERVICE_HOST", &format!("https://{host}:{port}"))?,
            ca: Some(file::read(&ca).with_context(|| BadInput(text::path(&ca)))?),
            identity: None,
            token: Token::File(folder.join("token")),
            namespace: namespace.trim().to_owned(),
        })
    }
}

impl Token {
    /// Returns the token as it is now.
    ///
    /// # Errors
    /// [`BadInput`]: the file cannot be read, or is empty.
    pub(super) fn read(&self) -> anyhow::Result<Option<String>> {
        match self {
            Self::None => Ok(None),
            Self::Given(token) => secret(None, Some(token)),
            Self::File(path) => secret(Some(path), None),
        }
    }
}

fn secret(file: Option<&Path>, given: Option<&str>) -> anyhow::Result<Option<String>> {
    Secret { kind: SecretKind::Token, flag: "token", variable: "kubeconfig", file, given }.read()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Checks the name of a namespace, a service or a Lease, which become a part of a path or a selector.
///
/// # Errors
/// [`BadInput`] with the field.
pub(crate) fn check_label(field: &str, name: &str) -> anyhow::Result<()> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let ok = (1..=MAX_LABEL).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-');
    let found: String = name.chars().take(MAX_LABEL + 1).collect();
    ensure!(
        ok,
        BadInput(format!(
            "{field}: found {found:?}, allowed 1 to {MAX_LABEL} lower-case letters, digits and - (not at an end)"
        ))
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names() {
        for good in ["pushgw", "a", "0-1", &"a".repeat(63)] {
            check_label("--service", good).unwrap();
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a,b=c", "a/b", "a b", "ä", "a\n", &"a".repeat(64)] {
            let error = check_label("--service", bad).unwrap_err();
            assert!(error.is::<BadInput>() && error.to_string().starts_with("--service: found "), "{error}");
        }
    }

    #[test]
    fn an_empty_token_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "abc\n").unwrap();
        assert_eq!(Token::File(file.clone()).read().unwrap().as_deref(), Some("abc"));
        fs::write(&file, "\n").unwrap();
        assert!(Token::File(file).read().unwrap_err().to_string().contains("found nothing"));
    }
}
