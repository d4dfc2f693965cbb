//! The two forms of the filter.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::envoy_files::Mode;
use crate::tools;

/// The form of the filter that an Envoy loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// The Wasm filter.
    Wasm,
    /// The dynamic module.
    Native,
}

impl Module {
    /// Returns the form that the suites test: `PUSHRING_FILTER=native` selects the dynamic module.
    #[must_use]
    pub fn chosen() -> Self {
        if env::var_os("PUSHRING_FILTER").is_some_and(|form| form == "native") {
            Self::Native
        } else {
            Self::Wasm
        }
    }

    /// Returns the name of its file.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Wasm => "pushring_filter.wasm",
            Self::Native => "libpushring_native.so",
        }
    }

    /// Returns the compiled filter.
    ///
    /// # Errors
    /// If it is not built.
    pub fn built(self) -> Result<PathBuf> {
        match self {
            Self::Wasm => tools::wasm(),
            Self::Native => tools::native(),
        }
    }

    /// Returns the shipped bootstrap.
    #[must_use]
    pub fn bootstrap(self, mode: Mode) -> PathBuf {
        let form = if self == Self::Native { "native-" } else { "" };
        tools::repository().join(format!("envoy/{form}{mode}.yaml"))
    }
}
