//! Reads the current context of a kubeconfig.
//!
//! Credentials that another program must fetch (exec plugins) are refused, and so is an API server that anyone can
//! impersonate (`insecure-skip-tls-verify`): its answers decide where pushes go.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::access::{Access, Token};
use crate::error::BadInput;
use crate::file;
use crate::http::ServerUrl;
use crate::parse as read_as;
use crate::text;

/// Fields of a cluster or a user that are refused, and the advice.
const REFUSED: [(&str, &str); 10] = [
    ("insecure-skip-tls-verify", "set certificate-authority to the server's CA"),
    ("tls-server-name", "give the server by a name of its certificate"),
    ("proxy-url", "use an address that is reachable without a proxy"),
    ("exec", EXTERNAL),
    ("auth-provider", EXTERNAL),
    ("username", EXTERNAL),
    ("password", EXTERNAL),
    ("as", IMPERSONATION),
    ("as-uid", IMPERSONATION),
    ("as-groups", IMPERSONATION),
];
const EXTERNAL: &str =
    "use token, tokenFile or a client certificate, or the address of `kubectl proxy` as the server";
const IMPERSONATION: &str = "use credentials of the user itself";

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "current-context", default)]
    current_context: String,
    #[serde(default)]
    contexts: Option<Vec<NamedContext>>,
    #[serde(default)]
    clusters: Option<Vec<NamedCluster>>,
    #[serde(default)]
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: KubeContext,
}

#[derive(Deserialize)]
struct KubeContext {
    cluster: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Map<String, Value>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    user: Option<Map<String, Value>>,
}

/// # Errors
/// [`BadInput`] with the file and the field.
pub(super) fn read(path: &Path) -> anyhow::Result<Access> {
    let found = file::read_text(path).with_context(|| BadInput(text::path(path)))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(&found, folder).map_err(|error| BadInput(format!("{}: {error:#}", text::path(path))).into())
}

fn parse(found: &str, folder: &Path) -> anyhow::Result<Access> {
    let document: Document = read_as::yaml(found).map_err(|error| anyhow!(error))?;
    let name = document.current_context;
    ensure!(!name.is_empty(), "current-context: missing");
    let context = document.contexts.into_iter().flatten().find(|one| one.name == name);
    let context =
        context.with_context(|| format!("contexts: found none named {name:?} (current-context)"))?.context;
    let cluster = document.clusters.into_iter().flatten().find(|one| one.name == context.cluster);
    let cluster = cluster.with_context(|| format!("clusters: found none named {:?}", context.cluster))?;
    let user = document.users.into_iter().flatten().find(|one| one.name == context.user);
    ensure!(user.is_some() || context.user.is_empty(), "users: found none named {:?}", context.user);
    let user = user.and_then(|user| user.user).unwrap_or_default();

    let cluster = Fields { at: format!("clusters[{:?}]", cluster.name), fields: cluster.cluster, folder };
    let user = Fields { at: format!("users[{:?}]", context.user), fields: user, folder };
    cluster.refuse()?;
    user.refuse()?;
    let server = cluster.text("server")?.with_context(|| format!("{}.server: missing", cluster.at))?;
    let certificate = user.pem("client-certificate")?;
    let key = user.pem("client-key")?;
    ensure!(
        certificate.is_some() == key.is_some(),
        "{}: found one of client-certificate and client-key, expected both or none",
        user.at
    );
    let token = match (user.file("tokenFile")?, user.text("token")?) {
        (Some(file), _) => Token::File(file),
        (None, Some(token)) => Token::Given(token.to_owned()),
        (None, None) => Token::None,
    };
    Ok(Access {
        server: ServerUrl::parse(&format!("{}.server", cluster.at), server)?,
        ca: cluster.pem("certificate-authority")?,
        identity: certificate.zip(key).map(|(certificate, key)| [certificate, key].join(&b'\n')),
        token,
        namespace: if context.namespace.is_empty() { "default".to_owned() } else { context.namespace },
    })
}

/// The fields of a cluster or a user.
struct Fields<'a> {
    at: String,
    fields: Map<String, Value>,
    /// Folder of the kubeconfig, to which its paths are relative.
    folder: &'a Path,
}

impl Fields<'_> {
    fn refuse(&self) -> anyhow::Result<()> {
        let empty = |value: &Value| matches!(value, Value::Null | Value::Bool(false)) || value == "";
        for (field, advice) in REFUSED {
            let refused = self.fields.get(field).is_some_and(|value| !empty(value));
            ensure!(!refused, "{}.{field}: not supported; {advice}", self.at);
        }
        Ok(())
    }

    /// Returns the text of a field. The error does not repeat it: it may be secret.
    fn text(&self, field: &str) -> anyhow::Result<Option<&str>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => anyhow::bail!("{}.{field}: expected a text", self.at),
        }
    }

    fn file(&self, field: &str) -> anyhow::Result<Option<PathBuf>> {
        Ok(self.text(field)?.map(|path| self.folder.join(path)))
    }

    /// Returns the content of `field`-data, which takes precedence, or of the file that `field` names.
    fn pem(&self, field: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let data = format!("{field}-data");
        if let Some(text) = self.text(&data)? {
            let bytes = BASE64_STANDARD.decode(text.split_whitespace().collect::<String>());
            // The error of the decoder would show a byte of a key.
            return Ok(Some(bytes.ok().with_context(|| format!("{}.{data}: expected base64", self.at))?));
        }
        let Some(path) = self.file(field)? else { return Ok(None) };
        let bytes =
            file::read(&path).with_context(|| format!("{}.{field}: {}", self.at, text::path(&path)))?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: other\n  context: {{cluster: x, user: y}}\n\
             - name: c\n  context: {{cluster: k, user: u, namespace: monitoring}}\n\
             clusters:\n- name: k\n  cluster: {{server: 'https://10.0.0.1:6443', {cluster}}}\n\
             users:\n- name: u\n  user: {{{user}}}\n"
        )
    }

    fn error(cluster: &str, user: &str) -> String {
        format!("{:#}", parse(&config(cluster, user), Path::new("/")).err().unwrap())
    }

    #[test]
    fn reads_the_current_context() {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [("ca.pem", "CA"), ("cert.pem", "CERT"), ("key.pem", "KEY")] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        let read = |cluster: &str, user: &str| parse(&config(cluster, user), folder.path()).unwrap();
        let found = read(
            "certificate-authority: ca.pem, insecure-skip-tls-verify: false",
            "client-certificate: cert.pem, client-key-data: S0VZMg==, token: secret",
        );
        assert_eq!(
            (found.server.to_string().as_str(), &*found.namespace),
            ("https://10.0.0.1:6443", "monitoring")
        );
        assert_eq!((found.ca.unwrap(), found.identity.unwrap()), (b"CA".to_vec(), b"CERT\nKEY2".to_vec()));
        assert_eq!(found.token.read().unwrap().as_deref(), Some("secret"));
        // As for kubectl, data goes before a file, and a file of a token before a token.
        let found = read(
            "certificate-authority: ca.pem, certificate-authority-data: Q0Ey",
            "token: a, tokenFile: ca.pem",
        );
        assert_eq!((found.ca.unwrap(), found.identity), (b"CA2".to_vec(), None));
        assert_eq!(found.token.read().unwrap().as_deref(), Some("CA"));
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        for (cluster, user, found) in [
            (
                "insecure-skip-tls-verify: true",
                "",
                "clusters[\"k\"].insecure-skip-tls-verify: not supported; set certificate-a",
            ),
            ("proxy-url: 'http://p'", "", "clusters[\"k\"].proxy-url: not supported"),
            ("", "exec: {command: aws}", "users[\"u\"].exec: not supported; use token"),
            ("", "username: s3cret", "users[\"u\"].username: not supported"),
            ("", "as: s3cret", "users[\"u\"].as: not supported"),
            (
                "",
                "client-certificate-data: QQ==",
                "users[\"u\"]: found one of client-certificate and client-key",
            ),
            ("", "client-key-data: 's3cret!'", "users[\"u\"].client-key-data: expected base64"),
            ("", "token: [s3cret]", "users[\"u\"].token: expected a text"),
            ("certificate-authority: none.pem", "", "clusters[\"k\"].certificate-authority: /none.pem: "),
        ] {
            let error = error(cluster, user);
            assert!(error.starts_with(found) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn names_what_is_missing() {
        for (text, found) in [
            ("{}", "current-context: missing"),
            ("current-context: c", "contexts: found none named \"c\" (current-context)"),
            (
                "{current-context: c, contexts: [{name: c, context: {cluster: k}}]}",
                "clusters: found none named \"k\"",
            ),
            (
                "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], clusters: [{name: k, cluster: {}}]}",
                "users: found none named \"u\"",
            ),
            (
                "{current-context: c, contexts: [{name: c, context: {cluster: k}}], clusters: [{name: k, cluster: {}}]}",
                "clusters[\"k\"].server: missing",
            ),
        ] {
            assert_eq!(format!("{:#}", parse(text, Path::new("/")).err().unwrap()), found);
        }
        assert!(parse("- 1", Path::new("/")).is_err());
    }
}
