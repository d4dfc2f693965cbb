//! A Pushgateway that is replaced by another version, at its address and with its file.

use rustix::process::Signal;

use crate::list::{self, Version};
use crate::ring;

/// Restarts a gateway as the newest version and as itself again: each time, every value must still be there.
pub(crate) fn there_and_back(version: &Version) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = format!("--persistence.file={}", dir.path().join("groups").display());
    let mut gateway = version.start(dir.path(), &[&file]).unwrap();
    for path in ["/metrics/job/drained", "/metrics/job/drained/n/1", "/metrics/job/drained/instance/a"] {
        assert_eq!(gateway.client().unwrap().put(path, ring::TYPES).unwrap().status, 200);
    }
    let pushed = ring::values(&gateway.metrics().unwrap());
    assert_eq!(pushed.len(), 3 * 10, "{pushed:?}");
    for next in [&list::newest(), version] {
        gateway.process.stop(Signal::TERM).unwrap();
        gateway = next.start_at(dir.path(), gateway.address, &[&file]).unwrap();
        assert_eq!(
            ring::values(&gateway.metrics().unwrap()),
            pushed,
            "{} by {}",
            version.number,
            next.number
        );
    }
    "yes".to_owned()
}
