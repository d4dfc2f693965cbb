//! `pushring check`.

use std::path::PathBuf;

use crate::error::ExitStatus;
use crate::fleet::members::Settings;
use crate::fleet::source;
use crate::output::{self, Output};
use crate::text;
use pushring_router::{ConfigError, Router};
use serde_json::json;

/// Validate a configuration with the filter's own parser
///
/// Reads the filter's configuration (JSON), an Envoy ring file that contains it, or settings.yaml without members, and builds
/// the ring. Run it before you deploy a file; `pushring publish` includes this check.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 good; 1 bad, the output names the error; 2 the file cannot be read.

Examples:
  pushring check pushring.json
  pushring check /etc/pushring/live/ring.yaml --output json")]
pub(crate) struct CheckArgs {
    /// The filter's configuration (JSON), an Envoy ring file that contains it, or settings.yaml
    file: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl CheckArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let text = source::read(&self.file)?;
        let result = Settings::check(&text).unwrap_or_else(|| source::parse(&text));
        // An address may have a password in front.
        let error = result.as_ref().err().map(|error| text::error(&format!("{error:#}")));
        output::show(self.output, &self.json(&result, error.as_deref()), |_| match &result {
            Ok(router) => format!("{}: good: {}", text::path(&self.file), summary(router)),
            Err(_) => format!("{}: bad: {}", text::path(&self.file), error.as_deref().unwrap_or_default()),
        })?;
        Ok(ExitStatus::found(result.is_err()))
    }

    fn json(&self, result: &anyhow::Result<Router>, error: Option<&str>) -> serde_json::Value {
        let router = result.as_ref().ok();
        let mut report = json!({
            "file": self.file.to_string_lossy(),
            "good": router.is_some(),
            "error": error,
            "members": router.map(|router| router.config().members.len()),
            "points": router.map(|router| router.points()),
            "digest": router.map(Router::digest),
            "mode": router.map(|router| router.config().mode),
        });
        if let Some(error) = result.as_ref().err().and_then(|error| error.downcast_ref::<ConfigError>()) {
            report["field"] = json!(error.field);
        }
        report
    }
}

fn summary(router: &Router) -> String {
    let members = router.config().members.len();
    let points = router.points();
    let mode = json!(router.config().mode);
    let mode = mode.as_str().unwrap_or_default();
    let plural = if members == 1 { "" } else { "s" };
    format!("{members} member{plural}, {points} points, digest {}, mode {mode}", router.digest())
}
