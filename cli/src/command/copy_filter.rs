//! `pushring copy-filter`.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::command::publish::work_folder;
use crate::error::BadInput;
use crate::file;
use crate::text;

/// The first bytes of every Wasm module.
const MAGIC: &[u8] = b"\0asm";

/// Copy the Wasm module of the filter to a file, for Envoy
///
/// For containers: the image of the command contains the module and no other program, so that an init container can copy
/// it to a volume of Envoy. The file is replaced as a whole or not at all.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pushring copy-filter /etc/pushring/filter/plugin.wasm")]
pub(crate) struct CopyFilterArgs {
    /// The file to write; its folder must exist
    #[arg(value_name = "FILE")]
    target: PathBuf,
    /// The module [default: ../lib/pushring/pushring_filter.wasm, seen from the folder of the program]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

impl CopyFilterArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let from = self.from.map_or_else(installed, Ok)?;
        let module = file::read(&from).with_context(|| BadInput(format!("--from {}", text::path(&from))))?;
        ensure!(
            module.starts_with(MAGIC),
            BadInput(format!(
                "--from {}: found no Wasm module, expected pushring_filter.wasm",
                text::path(&from)
            ))
        );
        work_folder::replace(&self.target, &module)
            .with_context(|| format!("cannot write {}", text::path(&self.target)))
    }
}

/// Returns the path where the images, the Debian package and `make install` have the module.
fn installed() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the path of the program; pass --from")?;
    let prefix = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    Ok(prefix.join("lib/pushring/pushring_filter.wasm"))
}
