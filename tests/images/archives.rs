//! Sizes, labels and files of the images, and that they are reproducible.

use std::fs;
use std::path::Path;
use std::process::Command;

use pushring_harness::tools;
use serde_json::Value;

use crate::registry::{PLATFORM, Registry, VERSION, dist, succeeds};

/// Compressed, in bytes.
const LIMITS: [(&str, u64); 2] = [("pushring", 8_000_000), ("pushring-filter", 120_000)];

/// Returns the platforms of an image.
fn platforms(registry: &Registry, image: &str) -> Vec<String> {
    let index: Value =
        serde_json::from_str(&registry.crane(&["manifest", &registry.reference(image)])).unwrap();
    let platform = |entry: &Value| {
        let [os, architecture] = ["os", "architecture"].map(|field| entry["platform"][field].as_str());
        format!("{}/{}", os.unwrap(), architecture.unwrap())
    };
    index["manifests"].as_array().unwrap().iter().map(platform).collect()
}

#[test]
fn are_small_and_say_where_they_come_from() {
    let registry = Registry::with_images();
    for (image, limit) in LIMITS {
        let platforms = platforms(&registry, image);
        assert!(platforms.iter().any(|platform| platform == PLATFORM), "{image}: {platforms:?}");
        for platform in &platforms {
            let manifest = registry.json("manifest", image, platform);
            let config = registry.json("config", image, platform);
            let layers = manifest["layers"].as_array().unwrap();
            let size: u64 = layers.iter().map(|layer| layer["size"].as_u64().unwrap()).sum();
            println!("{image} {platform}: {size} bytes");
            assert!(size <= limit, "{image} {platform}: {size} bytes, at most {limit}");
            assert_eq!(layers.len(), 1);
            assert_eq!(layers[0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
            for labels in [&manifest["annotations"], &config["config"]["Labels"]] {
                let label = |name: &str| &labels[format!("org.opencontainers.image.{name}")];
                assert_eq!([label("title"), label("version")], [image, VERSION]);
                assert_eq!(label("licenses"), "Apache-2.0");
                assert!(label("source").as_str().unwrap().starts_with("https://"));
                assert_ne!(label("revision").as_str().unwrap(), "");
            }
        }
    }
}

#[test]
fn have_only_the_files_that_they_need() {
    let registry = Registry::with_images();
    let files = |image| {
        let folder = registry.dir.path().join(format!("{image}-files"));
        registry.unpack(image, PLATFORM, &folder);
        let find = succeeds(Command::new("find").arg(&folder).args(["-type", "f", "-printf", "%m %P\n"]));
        let mut lines: Vec<_> = String::from_utf8(find.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        (folder, lines)
    };
    let (filter, names) = files("pushring-filter");
    assert_eq!(names, ["644 plugin.wasm"]);
    let (command, names) = files("pushring");
    let expected = [
        "644 etc/group",
        "644 etc/passwd",
        "644 etc/ssl/certs/ca-certificates.crt",
        "644 lib/pushring/pushring_filter.wasm",
        "755 bin/pushring",
    ];
    assert_eq!(names, expected);
    let module = fs::read(dist(&format!("pushring_filter-{VERSION}.wasm"))).unwrap();
    assert!(module == fs::read(filter.join("plugin.wasm")).unwrap());
    assert!(module == fs::read(command.join("lib/pushring/pushring_filter.wasm")).unwrap());
    let roots = fs::read_to_string(command.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(roots.matches("BEGIN CERTIFICATE").count() > 100);
}

/// From the files of the images, in another order and with other times and rights.
#[test]
fn are_the_same_bytes_each_time() {
    let registry = Registry::with_images();
    let labels = &registry.json("config", "pushring", PLATFORM)["config"]["Labels"];
    let label = |name: &str| labels[format!("org.opencontainers.image.{name}")].as_str().unwrap().to_owned();
    let created: jiff::Timestamp = label("created").parse().unwrap();
    let again = registry.dir.path().join("again");
    fs::create_dir(&again).unwrap();
    let mut build = Command::new(tools::find("images").unwrap());
    build.args(["-version", VERSION, "-revision", &label("revision"), "-output"]).arg(&again);
    build.arg("-created").arg(created.as_second().to_string());
    let mut module = None;
    for platform in platforms(&registry, "pushring").iter().rev() {
        let folder = registry.dir.path().join(platform.replace('/', "-"));
        registry.unpack("pushring", platform, &folder);
        let architecture = platform.split_once('/').unwrap().1;
        build.arg(format!("{architecture}={}", folder.join("bin/pushring").display()));
        module = Some(folder.join("lib/pushring/pushring_filter.wasm"));
    }
    // Flags come before the architectures.
    let architectures: Vec<_> = build.get_args().map(ToOwned::to_owned).collect();
    let (flags, architectures) = architectures.split_at(8);
    let mut build = Command::new(tools::find("images").unwrap());
    build.args(flags).arg("-module").arg(module.unwrap()).args(architectures);
    succeeds(&mut build);
    for (image, _) in LIMITS {
        let name = format!("{image}-{VERSION}.image.tar");
        let read = |path: &Path| fs::read(path).unwrap();
        assert!(read(&dist(&name)) == read(&again.join(&name)), "{name} differs");
    }
}
