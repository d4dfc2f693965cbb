//! The cells of a version.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use pushring_harness::{Pushgateway, poll_until};
use pushring_vectors as vectors;

use crate::game::Game;
use crate::gateway::{self, Gateway};
use crate::list::Version;
use crate::{persisted, ring, table};

/// A gateway that has not answered after this time never will.
const PATIENCE: Duration = Duration::from_secs(30);
const HANGS: &str = "400, hangs";

/// Returns the row of a version in the table.
pub(crate) fn row(version: &Version) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let gateway = version.start(dir.path(), &[]).unwrap();
    let redirect = redirect(&gateway);
    let empty_instance = empty_instance(&gateway);
    let not_utf8 = not_utf8(&gateway);
    let broken_base64 = broken_base64(&gateway);
    let hangs = broken_base64 == HANGS;
    vec![
        version.number.clone(),
        agreement(version, false, hangs),
        agreement(version, true, hangs),
        redirect,
        not_utf8,
        empty_instance,
        broken_base64,
        ring::sweep(version),
        ring::drain(version),
        persisted::there_and_back(version),
    ]
}

/// Pushes every golden path, and reads each group back: key, redirect, rejection and poison are as the router predicts.
fn agreement(version: &Version, utf8_names: bool, hangs: bool) -> String {
    let flag: &[&str] = if utf8_names { &["--push.enable-utf8-names"] } else { &[] };
    let dir = tempfile::tempdir().unwrap();
    let server = match version.start(dir.path(), flag) {
        Ok(server) => server,
        Err(error) if utf8_names && format!("{error:#}").contains("unknown long flag") => {
            return "no flag".to_owned();
        }
        Err(error) => panic!("{}: {error:#}", version.number),
    };
    let play = || -> Result<_> {
        let mut game = Game::new(Gateway::of(server, "", dir), "", utf8_names)?;
        for row in vectors::pushes().filter(|row| row.prefix.is_empty() && row.utf8_names == utf8_names) {
            if !(hangs && row.outcome == "malformed" && row.path.contains("job@base64")) {
                game.play(row.path.as_bytes())?;
            }
        }
        Ok(game.finish())
    };
    let (verdicts, others) = play().unwrap_or_else(|error| panic!("{}: {error:#}", version.number));
    let paths: usize = verdicts.values().sum();
    assert!(paths > 100 && verdicts.len() >= 4, "{verdicts:?}");
    for (path, difference) in &others {
        assert!(table::document().contains(&format!("`{path}`")), "undocumented: {path}\n{difference}");
    }
    match others.len() {
        0 => "same".to_owned(),
        count => format!("{count} others"),
    }
}

/// Returns the status for a path that is not clean. A client that follows a 301 pushes nothing.
fn redirect(gateway: &Pushgateway) -> String {
    let client = gateway.client().unwrap();
    let of = |path| client.put(path, "m 1\n").unwrap().status;
    let statuses =
        ["//metrics/job/a", "/metrics//job/a", "/metrics/job/a/../b", "/metrics/job/a/./b"].map(of);
    assert!(statuses.iter().all(|status| *status == statuses[0]), "{statuses:?}");
    assert_eq!(gateway.groups().unwrap(), []);
    statuses[0].to_string()
}

/// Pushes a label value that is not UTF-8.
fn not_utf8(gateway: &Pushgateway) -> String {
    let path = "/metrics/job/a/b/%ff";
    let result = format!("{}, {}", status(gateway, path), poisoned(gateway));
    delete(gateway, &[path]);
    result
}

/// Pushes a group with an empty `instance` next to the same group without it.
fn empty_instance(gateway: &Pushgateway) -> String {
    let paths = ["/metrics/job/a", "/metrics/job/a/instance/"];
    let statuses = paths.map(|path| status(gateway, path));
    let result = format!("{}, {}", statuses[1], poisoned(gateway));
    delete(gateway, &paths);
    result
}

fn status(gateway: &Pushgateway, path: &str) -> String {
    match gateway::answer(gateway, "PUT", path.as_bytes(), "m 1\n").unwrap().0 {
        gateway::NO_ANSWER => "no answer".to_owned(),
        status => status.to_string(),
    }
}

fn delete(gateway: &Pushgateway, paths: &[&str]) {
    for path in paths {
        gateway::answer(gateway, "DELETE", path.as_bytes(), "").unwrap();
    }
    poll_until("the groups to be gone", || gateway.groups().unwrap().is_empty().then_some(())).unwrap();
}

/// Pushes with a job that is no base64, then with one that is.
fn broken_base64(gateway: &Pushgateway) -> String {
    let answered = |path: &str| {
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "PUT {path} HTTP/1.0\r\nHost: a\r\nContent-Length: 4\r\n\r\nm 1\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok().and_then(|_| answer.split(' ').nth(1).map(str::to_owned))
    };
    let status = answered("/metrics/job@base64/Y").unwrap();
    match answered("/metrics/job@base64/YQ") {
        None => HANGS.to_owned(),
        Some(later) => {
            assert_eq!(later, "200");
            status
        }
    }
}

fn poisoned(gateway: &Pushgateway) -> &'static str {
    let status = gateway.client().unwrap().get("/metrics").unwrap().status;
    if status == 200 { "no poison" } else { "poison" }
}
