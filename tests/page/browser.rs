//! Drives Chromium by `browse.js`.

use std::process::Command;

use pushring_harness::tools;
use serde_json::{Value, json};

/// A window.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    url: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) script: bool,
    pub(crate) dark: bool,
}

impl Browser {
    /// Opens a wide window, with JavaScript, for the server at an address.
    pub(crate) fn new(address: impl std::fmt::Display) -> Self {
        Self { url: format!("http://{address}/"), width: 1440, height: 1000, script: true, dark: false }
    }

    /// Does steps, which must cause no error in the browser, and returns the result of each.
    #[track_caller]
    pub(crate) fn run(&self, steps: Value) -> Vec<Value> {
        let (results, errors) = self.run_with_errors(steps);
        assert_eq!(errors, Vec::<String>::new(), "errors of the browser");
        results
    }

    /// As [`Browser::run`], and returns the errors.
    #[track_caller]
    pub(crate) fn run_with_errors(&self, steps: Value) -> (Vec<Value>, Vec<String>) {
        let script = tools::repository().join("target/page/browse.js");
        assert!(script.exists(), "{} is missing: run `make e2e-page`", script.display());
        let Self { url, width, height, script: javascript, dark } = self;
        let task = json!({
            "url": url, "steps": steps, "width": width, "height": height, "script": javascript, "dark": dark,
        });
        let output = Command::new("node").arg(script).arg(task.to_string()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let take = |name: &str| report[name].as_array().unwrap().clone();
        let errors = take("errors").iter().map(|error| error.as_str().unwrap().to_owned()).collect();
        (take("results"), errors)
    }
}
