//! Passwords and tokens never appear in an output, and never reach another server.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::header::{AUTHORIZATION, LOCATION};
use pushring_harness::command::{command, prepare, pushring};
use pushring_harness::http::{Client, Response};
use pushring_harness::server::serve;
use pushring_harness::{Process, process, tools};
use rustix::process::Signal;
use serde_json::json;

const SECRET: &str = "s3cret";

fn config(dir: &Path, address: &str) -> String {
    let path = dir.join("pushring.json");
    fs::write(&path, json!({"members": [address], "status_path": "/-/pushring"}).to_string()).unwrap();
    path.display().to_string()
}

fn refused() -> String {
    // The port is free again once the listener is dropped.
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().to_string()
}

fn status(status: u16) -> String {
    serve(move |_| Ok(Response { status, ..Response::ok("no") })).unwrap().to_string()
}

/// Every command with a URL or a credential, against servers that refuse, fail, redirect, or are no servers.
#[test]
fn no_output_has_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let elsewhere = serve(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Response::ok("{}"))
    })
    .unwrap();
    let redirect = serve(move |request| {
        assert!(
            request.headers.contains_key(AUTHORIZATION) || request.headers.contains_key("x-consul-token")
        );
        let location = format!("http://user:{SECRET}@{elsewhere}{}", request.path).parse()?;
        Ok(Response { status: 307, headers: [(LOCATION, location)].into_iter().collect(), body: "".into() })
    });
    let servers = [
        refused(),
        status(401),
        status(500),
        status(200),
        redirect.unwrap().to_string(),
        "host:x".into(),
        "".into(),
    ];
    let registrations = dir.path().join("registrations.json");
    fs::write(&registrations, json!({"registrations": [{"address": "10.0.0.1", "port": 1}]}).to_string())
        .unwrap();
    let settings = dir.path().join("settings.yaml");
    fs::write(&settings, "filter: {}\n").unwrap();
    let live = dir.path().join("live");
    let [registrations, settings, live] =
        [&registrations, &settings, &live].map(|path| path.to_str().unwrap());
    let publish = ["publish", "--registrations", registrations, "--settings", settings, "--live", live];
    // The first publication finds no ring and therefore asks no Envoy; the second one finds another member.
    assert_eq!(pushring(publish).unwrap().code, 0);
    fs::write(registrations, json!({"registrations": [{"address": "10.0.0.2", "port": 1}]}).to_string())
        .unwrap();

    for (index, server) in servers.iter().enumerate() {
        let config =
            config(dir.path(), if server.ends_with(char::is_numeric) { server } else { "10.0.0.1:1" });
        // The parser of URLs comes before the server, so one server is enough for odd URLs.
        let kinds = if index == 0 { 4 } else { 1 };
        for scheme in ["http://", "https://", "ftp://", ""].into_iter().take(kinds.max(2)) {
            // Reserved characters that a user forgot to encode must not show a part of it.
            for credentials in
                ["ops:s3cret@", "s3cret@", "ops:12/s3cret@", "ops:x@s3cret@"].into_iter().take(kinds)
            {
                let url = &format!("{scheme}{credentials}{server}");
                for args in [
                    &["owner", "--config", &config, "--consul", url, "/metrics/job/a"][..],
                    &["groups", "--config", &config, "--consul", url, "--output", "json"],
                    &["register", "--consul", url, "10.0.0.1:1", "--output", "json"],
                    &["deregister", "--consul", url, "10.0.0.1:1"],
                    &["register", url],
                    &["sweep", "--config", &config, "--settle", "0s", "--envoy", url],
                    &["drain", "--config", &config, "--settle", "0s", "--envoy", url, "10.0.0.9:1"],
                    &["drain", "--config", &config, url],
                    &["sweep", "--config", &config, "--listen", url],
                    &["sweep", url],
                    &[&publish[..], &["--admin", url, "--timeout", "10ms", "--delay", "0s"]].concat(),
                ] {
                    let output = format!("{:?}", pushring(args).unwrap());
                    assert!(!output.contains(SECRET), "{args:?}: {output}");
                }
            }
        }
        for (flags, variables) in [
            (&["--gateway-user", "ops", "--gateway-password", SECRET][..], &[][..]),
            (&["--gateway-token", SECRET], &[]),
            (&["--gateway-user", "ops"], &[("PUSHRING_GATEWAY_PASSWORD", SECRET)]),
            (&["--gateway-scheme", "https"], &[("PUSHRING_GATEWAY_TOKEN", SECRET)]),
            (&["--consul", server, "--consul-token", SECRET], &[]),
            (&["--consul", server], &[("CONSUL_HTTP_TOKEN", SECRET)]),
            (&["--gateway-token", "s3cret\u{1b}"], &[]),
            (&["--consul", server, "--consul-token", "s3cret\n"], &[]),
            (&["--help"], &[("PUSHRING_GATEWAY_TOKEN", SECRET), ("CONSUL_HTTP_TOKEN", SECRET)]),
        ] {
            for args in [&["groups", "--conflicts"][..], &["delete", "--job", "a", "--yes"]] {
                for output in ["table", "json"] {
                    let mut command = command().unwrap();
                    command.args(args).args(["--config", &config, "--output", output]).args(flags);
                    command.envs(variables.iter().copied());
                    let output = format!("{:?}", command.output().unwrap());
                    assert!(!output.contains(SECRET), "{args:?} {flags:?}: {output}");
                }
            }
        }
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0, "a redirect was followed");
}

/// Nor has the log of the watcher, or its metrics.
#[test]
fn log_and_metrics_have_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    for server in [refused(), status(401), status(500), status(200)] {
        let config = config(dir.path(), &server);
        let url = format!("http://ops:{SECRET}@{server}");
        for flags in [&["--envoy", &url, "--single"][..], &["--consul", &url]] {
            let mut command = prepare(process::command(&tools::pushring().unwrap()));
            command.args([
                "sweep",
                "--watch",
                "1s",
                "--listen",
                "127.0.0.1:0",
                "--settle",
                "0s",
                "--config",
                &config,
            ]);
            command.args(["--gateway-user", "ops", "--gateway-password", SECRET, "--consul-token", SECRET]);
            command.args(flags);
            let name = format!("{server} {}", flags[0]);
            let mut sweeper = Process::start(&name, command, dir.path()).unwrap();
            let said = |process: &Process| (process.log().lines().count() >= 2).then(|| process.log());
            let log = sweeper.wait_until("an event after the start", said).unwrap();
            let (_, address) = log.split_once("http://").unwrap();
            let address = address.split_once("/metrics").unwrap().0.parse().unwrap();
            let metrics = Client::new(address).unwrap().get("/metrics").unwrap().text();
            assert_eq!(sweeper.stop(Signal::TERM).unwrap().code(), Some(0));
            let log = sweeper.log();
            assert!(!log.contains(SECRET) && !metrics.contains(SECRET), "{flags:?}: {log} {metrics}");
        }
    }
}
