//! A file with a list of gateways, which the user edits.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use super::{Place, Registry, Server, Step};
use crate::screen;

/// The file.
#[derive(Debug)]
pub(super) struct GatewaysFile {
    path: PathBuf,
}

impl GatewaysFile {
    pub(super) fn create(place: &Place<'_>) -> Result<Self> {
        let path = place.dir.join("gateways.yaml");
        let list: String = place.gateways.iter().map(|address| format!("- {address}\n")).collect();
        fs::write(&path, list)?;
        Ok(Self { path })
    }
}

impl Registry for GatewaysFile {
    fn flags(&self) -> Vec<String> {
        vec!["--from=file".to_owned(), format!("--file={}", screen::short(&self.path))]
    }

    fn guide(&self, spare: SocketAddr, _members: &[(SocketAddr, u32)]) -> Vec<Step> {
        let path = screen::short(&self.path);
        vec![
            Step::new(
                format!("Edit {path}; the ring follows when you save it. Add the spare gateway:"),
                [format!("echo '- {spare}' >> {path}")],
            ),
            Step::new(
                "Let it leave, so that it no longer counts as registered; then remove it:",
                [
                    format!("sed -i.bak 's/^- {spare}$/- {{address: \"{spare}\", leaving: true}}/' {path}"),
                    format!("sed -i.bak '/{spare}/d' {path}"),
                ],
            ),
        ]
    }

    fn servers(&mut self) -> Vec<Server<'_>> {
        Vec::new()
    }
}
