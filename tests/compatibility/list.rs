//! The versions.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use pushring_harness::{Pushgateway, process, tools};

/// A Pushgateway that was installed.
pub(crate) struct Version {
    /// Such as `1.4.3`.
    pub(crate) number: String,
    binary: PathBuf,
}

impl Version {
    /// Starts it at an address that no other one has used.
    pub(crate) fn start(&self, dir: &Path, flags: &[&str]) -> anyhow::Result<Pushgateway> {
        static LAST: AtomicU8 = AtomicU8::new(1);
        let address = SocketAddr::from(([127, 0, 1, LAST.fetch_add(1, Ordering::Relaxed)], 9091));
        self.start_at(dir, address, flags)
    }

    /// Starts it at an address.
    pub(crate) fn start_at(
        &self,
        dir: &Path,
        address: SocketAddr,
        flags: &[&str],
    ) -> anyhow::Result<Pushgateway> {
        // Debian's build has another default.
        let memory = ["--persistence.file="];
        let memory =
            memory.iter().filter(|_| !flags.iter().any(|flag| flag.starts_with("--persistence.file")));
        let flags: Vec<&str> = memory.chain(flags).copied().collect();
        Pushgateway::run(process::command(&self.binary), dir, address, &flags)
    }
}

/// Returns all, oldest first: one for each tools/pushgateway-VERSION, Debian's, and the one of the other tests.
pub(crate) fn pushgateways() -> Vec<Version> {
    let mut all = vec![debian(), newest()];
    for entry in fs::read_dir(tools::repository().join("tools")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(number) = name.strip_prefix("pushgateway-") {
            let binary = tools::find(&name).expect("`make pushgateways` builds it");
            all.push(Version { number: number.to_owned(), binary });
        }
    }
    let parts =
        |version: &Version| version.number.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    all.sort_by_key(parts);
    all
}

/// Returns the version that the other tests use.
pub(crate) fn newest() -> Version {
    let module = fs::read_to_string(tools::repository().join("tools/pushgateway/go.mod")).unwrap();
    let pinned =
        module.lines().find_map(|line| line.trim().strip_prefix("github.com/prometheus/pushgateway v"));
    let number = pinned.unwrap().split(' ').next().unwrap().to_owned();
    Version { number, binary: tools::find("pushgateway").unwrap() }
}

fn debian() -> Version {
    let binary = tools::debian("bin/prometheus-pushgateway").unwrap();
    let output = process::command(&binary).arg("--version").output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let number = text.split_once("version ").unwrap().1.split([' ', ',']).next().unwrap().to_owned();
    Version { number, binary }
}
