//! One object of a custom resource: read, and changed in some of its fields.

use std::fmt;

use anyhow::{Context, ensure};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use super::access::{KubernetesArgs, check_label};
use super::client::{Failure, Kubernetes, TIMEOUT};
use crate::error::BadInput;
use crate::http::AnswerLimits;

/// Name under which the API server records who set a field.
const MANAGER: &str = "pushring";
/// How often a change is sent if something else in the object changes each time.
const ATTEMPTS: usize = 5;
/// Longest name of an object: a DNS subdomain.
const MAX_NAME: usize = 253;

/// Group, version and names of a custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
}

/// The name of an object, from a flag: `NAMESPACE/NAME`, or `NAME` in a namespace that is known otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectName {
    pub(crate) namespace: Option<String>,
    name: String,
}

impl ObjectName {
    /// # Errors
    /// [`BadInput`] with the flag.
    pub(crate) fn parse(flag: &str, text: &str) -> anyhow::Result<Self> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if let Some(namespace) = namespace {
            check_label(&format!("{flag}, namespace"), namespace)?;
        }
        ensure!(
            name.len() <= MAX_NAME,
            BadInput(format!("{flag}: found a name of {} bytes, allowed 1 to {MAX_NAME}", name.len()))
        );
        name.split('.').try_for_each(|label| check_label(flag, label))?;
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }
}

/// An object that exists, or should.
#[derive(Debug)]
pub(crate) struct Object {
    resource: Resource,
    access: KubernetesArgs,
    name: ObjectName,
    api: Kubernetes,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.resource.kind, self.api.namespace(), self.name.name)
    }
}

impl Object {
    /// Reads the credentials; sends no request.
    ///
    /// # Errors
    /// [`BadInput`]: the credentials are of no use.
    pub(crate) fn new(resource: Resource, access: &KubernetesArgs, name: ObjectName) -> anyhow::Result<Self> {
        let mut access = access.clone();
        if let Some(namespace) = &name.namespace {
            access.namespace = Some(namespace.clone());
        }
        Ok(Self { resource, api: Kubernetes::new(&access)?, access, name })
    }

    /// Returns the namespace that it is in.
    pub(crate) fn namespace(&self) -> &str {
        self.api.namespace()
    }

    /// Reads it.
    ///
    /// # Errors
    /// With its name: it does not exist, it may not be read, or the API server cannot be reached.
    pub(crate) fn get(&mut self) -> anyhow::Result<Value> {
        let request = self.api.client().get(self.url());
        let got = self.api.send(request, AnswerLimits::of_agent(TIMEOUT));
        self.json(got)
    }

    /// Sets fields (RFC 7396: a list is replaced as a whole, null removes a field) of the object as it was `read`, and returns
    /// it.
    ///
    /// # Errors
    /// As [`Object::get`], or its `spec` is no longer as it was read, or the API server rejects a value.
    pub(crate) fn patch(&mut self, read: &Value, mut fields: Value) -> anyhow::Result<Value> {
        let mut version = version(read)?.to_owned();
        let mut attempts = 0;
        loop {
            fields["metadata"]["resourceVersion"] = version.as_str().into();
            attempts += 1;
            match self.patch_version(&fields) {
                // Status and labels count as changes, too.
                Err(error) if Failure::is(&error, StatusCode::CONFLICT) && attempts < ATTEMPTS => {
                    let now = self.get()?;
                    ensure!(
                        now["spec"] == read["spec"],
                        "{self}: another client changed its spec at the same time; it is read again"
                    );
                    version = self::version(&now)?.to_owned();
                }
                result => return result,
            }
        }
    }

    fn patch_version(&mut self, fields: &Value) -> anyhow::Result<Value> {
        let mut url = self.url();
        url.query_pairs_mut().append_pair("fieldManager", MANAGER).append_pair("fieldValidation", "Strict");
        let request = self.api.client().patch(url).header(CONTENT_TYPE, "application/merge-patch+json");
        let sent = self.api.send(request.body(fields.to_string()), AnswerLimits::of_agent(TIMEOUT));
        self.json(sent)
    }

    fn url(&self) -> reqwest::Url {
        let Resource { group, version, plural, .. } = self.resource;
        self.api.url(group, version, plural, Some(&self.name.name))
    }

    fn json(&mut self, answer: anyhow::Result<crate::http::Answer>) -> anyhow::Result<Value> {
        let object = match answer.and_then(|answer| answer.json::<Value>("a Kubernetes API server")) {
            Ok(object) => object,
            Err(error) => {
                let advice = self.advice(&error);
                // A new client, because certificates may have been replaced.
                if let Ok(api) = Kubernetes::new(&self.access) {
                    self.api = api;
                }
                return Err(error.context(format!("{self}{advice}")));
            }
        };
        ensure!(
            object["kind"] == self.resource.kind && object["metadata"]["resourceVersion"].is_string(),
            "{self}: found an answer that is no {}; check the address of the API server",
            self.resource.kind
        );
        Ok(object)
    }

    fn advice(&self, error: &anyhow::Error) -> String {
        let Resource { group, plural, .. } = self.resource;
        if Failure::is(error, StatusCode::NOT_FOUND) {
            format!(": create it, and if there are no {plural}.{group}, install Istio's resource definitions")
        } else {
            String::new()
        }
    }
}

/// Returns the version of an object that was read.
fn version(object: &Value) -> anyhow::Result<&str> {
    object["metadata"]["resourceVersion"].as_str().context("metadata.resourceVersion: missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let parse = |text: &str| ObjectName::parse("--plugin", text);
        let name = parse("istio-ingress/pushring.v1").unwrap();
        assert_eq!((name.namespace.as_deref(), name.name.as_str()), (Some("istio-ingress"), "pushring.v1"));
        assert_eq!(parse("pushring").unwrap().namespace, None);
        for bad in ["", "/", "a/", "/a", "a/b/c", "A", "a..b", ".a", "a b", "../x", &"a".repeat(254)] {
            let error = parse(bad).unwrap_err();
            assert!(error.is::<BadInput>() && error.to_string().starts_with("--plugin"), "{bad}: {error}");
        }
    }
}
