//! The programs of images.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use pushring_harness::tools;

/// An image, as far as a container needs it.
pub(crate) struct Image {
    /// The program on this machine.
    pub(crate) program: PathBuf,
    /// Where the image has it.
    pub(crate) path: &'static str,
    /// Whether it starts without a `command`.
    pub(crate) is_entrypoint: bool,
}

/// Returns an image by its reference, whatever its registry and tag.
pub(crate) fn find(reference: &str) -> Result<Image> {
    let image = |program, path, is_entrypoint| Ok(Image { program, path, is_entrypoint });
    match name(reference) {
        "pushring" => image(tools::pushring()?, "/usr/local/bin/pushring", true),
        "pushgateway" => image(tools::find("pushgateway")?, "/usr/local/bin/pushgateway", true),
        "envoy" => image(tools::find("envoy")?, "/usr/local/bin/envoy", false),
        "curl" => image(PathBuf::from("/usr/bin/curl"), "/usr/local/bin/curl", true),
        _ => bail!("the test has no image {reference:?}"),
    }
}

/// Copies the files of an image that is mounted as a volume.
pub(crate) fn unpack(reference: &str, folder: &Path) -> Result<()> {
    match name(reference) {
        "pushring-filter" => std::fs::copy(tools::wasm()?, folder.join("plugin.wasm"))?,
        _ => bail!("the test has no image {reference:?} for a volume"),
    };
    Ok(())
}

fn name(reference: &str) -> &str {
    let (_, last) = reference.rsplit_once('/').unwrap_or(("", reference));
    last.split([':', '@']).next().unwrap_or_default()
}
