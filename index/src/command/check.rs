//! `metric-index check`.

use std::path::PathBuf;

use crate::config::Config;
use crate::error::ExitStatus;

/// Check a configuration file
#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 valid; 2 invalid: the message has the line, the field and the accepted values."
)]
pub(crate) struct CheckArgs {
    /// Configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl CheckArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let config = Config::read(&self.file)?;
        println!("{} is valid: {}", self.file.display(), config.summary());
        Ok(ExitStatus::Done)
    }
}
