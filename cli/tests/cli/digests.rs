//! The version of the files of clusters and endpoints: equal if Envoy has the same upstreams, however it got them.

use std::fs;

use pushring::command::publish::{CLUSTERS_FILE, ENDPOINTS_FILE};
use serde_json::json;

use crate::folders::Folders;

const A: &str = "10.0.0.1:9091";
const B: &str = "10.0.0.2:9091";
const C: &str = "10.0.0.3:9091";

fn version(folders: &Folders, file: &str) -> String {
    folders.live_yaml(file)["version_info"].as_str().unwrap().to_owned()
}

#[test]
fn kept_and_registered_upstreams_count_the_same() {
    for (mode, file) in [("cluster", CLUSTERS_FILE), ("endpoint", ENDPOINTS_FILE)] {
        let (merged, rendered) = (Folders::new(), Folders::new());
        for folders in [&merged, &rendered] {
            folders.settings(&json!({"mode": mode}));
        }
        rendered.register(&[C, B, A], &[]);
        rendered.publish();
        // B leaves and stays for the grace time while C joins.
        merged.register(&[A, B], &[]);
        merged.publish();
        let before = version(&merged, file);
        merged.register(&[A, C], &[]);
        assert_eq!(merged.publish().kept.len(), 1);
        assert_eq!(version(&merged, file), version(&rendered, file), "{mode}");
        assert_ne!(version(&merged, file), before, "{mode}");
    }
}

/// A file of an earlier version of the command.
#[test]
fn a_file_without_a_version_gets_one() {
    for (mode, file) in [("cluster", CLUSTERS_FILE), ("endpoint", ENDPOINTS_FILE)] {
        let folders = Folders::new();
        folders.settings(&json!({"mode": mode}));
        folders.register(&[A], &[]);
        folders.publish();
        let text = fs::read_to_string(folders.live(file)).unwrap();
        let line = format!("version_info: \"{}\"\n", version(&folders, file));
        assert!(text.contains(&line), "{text}");
        fs::write(folders.live(file), text.replace(&line, "")).unwrap();
        assert_eq!(folders.publish().moved, [file]);
        assert_eq!(fs::read_to_string(folders.live(file)).unwrap(), text);
        assert!(folders.publish().moved.is_empty());
    }
}
