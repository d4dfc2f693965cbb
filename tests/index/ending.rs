//! The end of a server, and another configuration while it runs.

use std::fs;

use pushring_harness::poll_until;
use rustix::process::Signal;

use crate::body::body;
use crate::server::Index;

/// Requests that arrive right before the end, and series of each.
const REQUESTS: usize = 40;
const SERIES: usize = 50;

#[test]
fn sigterm_loses_nothing_that_was_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::start(dir.path());
    for request in 0..REQUESTS {
        let request = request.to_string();
        let instances: Vec<String> = (0..SERIES).map(|instance| instance.to_string()).collect();
        let labels: Vec<_> = instances
            .iter()
            .map(|instance| [("__name__", "last"), ("request", &request), ("instance", instance.as_str())])
            .collect();
        let series: Vec<&[(&str, &str)]> = labels.iter().map(|labels| &labels[..]).collect();
        assert_eq!(index.write(body(&series)).status, 204);
    }
    assert!(index.process.stop(Signal::TERM).unwrap().success());
    let index = Index::start(dir.path());
    assert_eq!(index.series("last").len(), REQUESTS * SERIES);
}

#[test]
fn a_changed_configuration_is_in_effect_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("index.yaml");
    fs::write(&file, "limits: {max_labels: 64}\n").unwrap();
    let index = Index::with(dir.path(), &["--config", file.to_str().unwrap()]);
    let many = [("__name__", "many"), ("a", "1"), ("b", "2")];
    assert_eq!(index.write(body(&[&many])).status, 204);
    // Another series each time: one that is known is not parsed again.
    let mut count = 0;
    let mut other = || {
        count += 1;
        index.write(body(&[&[("__name__", "other"), ("a", "1"), ("count", &count.to_string())]])).status
    };
    fs::write(&file, "limits: {max_labels: 2}\n").unwrap();
    poll_until("the new limit", || (other() == 400).then_some(())).unwrap();
    fs::write(&file, "limits: {max_lables: 9}\n").unwrap();
    poll_until("the error", || index.process.log().contains("line 1").then_some(())).unwrap();
    assert_eq!(other(), 400, "the last good one stays");
    assert_eq!(index.metric("metric_index_config_last_reload_successful"), 0.0);
}
