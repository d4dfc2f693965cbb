//! The volumes of a pod: folders on the node.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::environment::{field, object_path};
use super::{Api, images, list, text};

type Files = BTreeMap<String, Vec<u8>>;

/// The volumes of one pod.
pub(crate) struct Volumes {
    folder: PathBuf,
    claims: PathBuf,
    ip: String,
    /// The files of projected volumes by name, with the number of the version.
    written: BTreeMap<String, (usize, Files)>,
    tokens: BTreeMap<String, String>,
}

impl Volumes {
    /// `claims` has the data of claims, which outlives the pod.
    pub(crate) fn new(folder: PathBuf, claims: PathBuf, ip: &str) -> Self {
        let (written, tokens) = (BTreeMap::new(), BTreeMap::new());
        Self { folder, claims, ip: ip.to_owned(), written, tokens }
    }

    /// Creates the volumes, and brings those that show objects up to date.
    pub(crate) fn refresh(&mut self, api: &Api, pod: &Value) -> Result<()> {
        for volume in list(&pod["spec"]["volumes"]) {
            let name = text(&volume["name"]);
            self.refresh_one(api, pod, volume, &name).with_context(|| format!("volume {name}"))?;
        }
        Ok(())
    }

    /// Returns the folder of a volume.
    pub(crate) fn source(&self, pod: &Value, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        let known = list(&pod["spec"]["volumes"]).iter().any(|volume| volume["name"] == name);
        ensure!(known && folder.exists(), "no volume {name}");
        Ok(folder)
    }

    fn refresh_one(&mut self, api: &Api, pod: &Value, volume: &Value, name: &str) -> Result<()> {
        let folder = self.folder.join(name);
        let is_new = !folder.exists();
        let sources = if volume["projected"].is_null() {
            vec![volume.clone()]
        } else {
            list(&volume["projected"]["sources"]).to_vec()
        };
        if !volume["emptyDir"].is_null() {
            return Ok(fs::create_dir_all(folder)?);
        }
        if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
            return if is_new { self.link_claim(api, pod, claim, &folder) } else { Ok(()) };
        }
        if let Some(reference) = volume["image"]["reference"].as_str() {
            if is_new {
                fs::create_dir_all(&folder)?;
                images::unpack(reference, &folder)?;
            }
            return Ok(());
        }
        let mut files = Files::new();
        for source in &sources {
            files.extend(self.files(api, pod, source)?);
        }
        self.write(name, &folder, files)
    }

    fn link_claim(&self, api: &Api, pod: &Value, claim: &str, folder: &Path) -> Result<()> {
        let object = api.get(&object_path(pod, "persistentvolumeclaims", claim))?;
        let object = object.with_context(|| format!("no claim {claim}"))?;
        let data = self.claims.join(text(&object["metadata"]["uid"]));
        fs::create_dir_all(&data)?;
        fs::create_dir_all(&self.folder)?;
        Ok(symlink(data, folder)?)
    }

    /// Returns the files of a volume or of one source of a projected volume.
    fn files(&mut self, api: &Api, pod: &Value, source: &Value) -> Result<Files> {
        if let Some(token) = source["serviceAccountToken"].as_object() {
            let path = token["path"].as_str().unwrap_or("token").to_owned();
            return Ok([(path.clone(), self.token(api, pod, &path, source)?.into_bytes())].into());
        }
        if !source["downwardAPI"].is_null() {
            let items = list(&source["downwardAPI"]["items"]).iter().map(|item| {
                let value = field(pod, &text(&item["fieldRef"]["fieldPath"]), &self.ip)?;
                Ok((text(&item["path"]), value.into_bytes()))
            });
            return items.collect();
        }
        for (field, key, kind) in [
            ("configMap", "name", "configmaps"),
            ("secret", "name", "secrets"),
            ("secret", "secretName", "secrets"),
        ] {
            if let Some(name) = source[field][key].as_str() {
                return objects(api, pod, kind, name, &source[field]);
            }
        }
        bail!("not supported: {source}")
    }

    /// Returns the token of the pod's account. It is valid for longer than any test, so it does not rotate.
    fn token(&mut self, api: &Api, pod: &Value, path: &str, source: &Value) -> Result<String> {
        if let Some(token) = self.tokens.get(path) {
            return Ok(token.clone());
        }
        let account = text(&pod["spec"]["serviceAccountName"]);
        let mut spec = json!({"expirationSeconds": source["serviceAccountToken"]["expirationSeconds"]});
        let metadata = &pod["metadata"];
        spec["boundObjectRef"] =
            json!({"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]});
        if let Some(audience) = source["serviceAccountToken"]["audience"].as_str() {
            spec["audiences"] = json!([audience]);
        }
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let path_of = format!("{}/token", object_path(pod, "serviceaccounts", &account));
        let token = text(&api.post(&path_of, &request)?["status"]["token"]);
        self.tokens.insert(path.to_owned(), token.clone());
        Ok(token)
    }

    /// Writes files as a kubelet does: into a new folder, to which a link is then moved.
    fn write(&mut self, name: &str, folder: &Path, files: Files) -> Result<()> {
        let version = match self.written.get(name) {
            Some((_, old)) if *old == files => return Ok(()),
            Some((version, _)) => version + 1,
            None => 0,
        };
        let target = format!("..{version}");
        for (path, content) in &files {
            let file = folder.join(&target).join(path);
            fs::create_dir_all(file.parent().context("a folder")?)?;
            fs::write(file, content)?;
            let first = path.split('/').next().unwrap_or_default();
            if !folder.join(first).is_symlink() {
                symlink(format!("..data/{first}"), folder.join(first))?;
            }
        }
        fs::create_dir_all(folder.join(&target))?;
        symlink(&target, folder.join("..new"))?;
        fs::rename(folder.join("..new"), folder.join("..data"))?;
        if version > 0 {
            fs::remove_dir_all(folder.join(format!("..{}", version - 1)))?;
        }
        self.written.insert(name.to_owned(), (version, files));
        Ok(())
    }
}

/// Returns the files of a ConfigMap or a Secret.
fn objects(api: &Api, pod: &Value, kind: &str, name: &str, source: &Value) -> Result<Files> {
    let Some(object) = api.get(&object_path(pod, kind, name))? else {
        ensure!(source["optional"] == true, "no {kind} {name}");
        return Ok(Files::new());
    };
    let mut files = Files::new();
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        let value = text(value);
        files.insert(
            key.clone(),
            if kind == "secrets" { STANDARD.decode(value)? } else { value.into_bytes() },
        );
    }
    for (key, value) in object["binaryData"].as_object().into_iter().flatten() {
        files.insert(key.clone(), STANDARD.decode(text(value))?);
    }
    if source["items"].is_null() {
        return Ok(files);
    }
    let items = list(&source["items"]).iter().map(|item| {
        let key = text(&item["key"]);
        let content = files.get(&key).with_context(|| format!("{kind} {name}: no key {key}"))?;
        Ok((text(&item["path"]), content.clone()))
    });
    items.collect()
}
