//! nginx and HAProxy in front of Envoy, with their defaults: both speak HTTP/1.0 to it, nginx for pushes and HAProxy for
//! health checks.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use pushring_harness::http::Client;
use pushring_harness::{EnvoyFixture, Mode, Process, haproxy, poll_until, process, tools};

#[test]
fn nginx_passes_pushes() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 2);
        let dir = tempfile::tempdir().unwrap();
        let (_nginx, address) = nginx(dir.path(), fleet.envoy.push);
        push(&fleet, address);
    }
}

#[test]
fn haproxy_passes_pushes_and_finds_envoy_healthy() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 2);
        let dir = tempfile::tempdir().unwrap();
        let (_haproxy, address) = haproxy(dir.path(), fleet.envoy.push);
        let client = Client::new(address).unwrap();
        for backend in ["bare,envoy,", "ready,envoy,"] {
            let state = poll_until("a health check", || {
                let text = client.get("/haproxy?stats;csv").ok()?.text();
                let line = text.lines().find(|line| line.starts_with(backend))?;
                ["L7OK", "L7STS", "L4CON", "L7RSP"].into_iter().find(|state| line.contains(state))
            });
            assert_eq!(state.unwrap(), "L7OK", "{mode}: {backend}");
        }
        push(&fleet, address);
    }
}

/// Pushes groups through a proxy and deletes one of them.
fn push(fleet: &EnvoyFixture, proxy: SocketAddr) {
    let mode = fleet.layout.mode();
    let client = Client::new(proxy).unwrap();
    let expected = |status: u16| if mode == Mode::Redirect { 307 } else { status };
    // The last body is larger than the buffers of the proxies, which then forward it in pieces.
    for (number, body) in
        ["x 1\n".to_owned(), format!("x 1\n#{}\n", "y".repeat(1 << 20))].into_iter().enumerate()
    {
        for method in ["PUT", "POST"] {
            let path = format!("/metrics/job/{method}/n/{number}%20%C3%A4");
            assert_eq!(
                client.send(method, &path, &[], body.clone()).unwrap().status,
                expected(200),
                "{mode} {path}"
            );
            assert_eq!(
                !fleet.gateways[fleet.owner(&path)].groups().unwrap().is_empty(),
                mode != Mode::Redirect
            );
        }
    }
    let stored = |count: usize| if mode == Mode::Redirect { 0 } else { count };
    assert_eq!(fleet.holders().len(), stored(4), "{mode}");
    assert_eq!(client.delete("/metrics/job/PUT/n/0%20%C3%A4").unwrap().status, expected(202), "{mode}");
    poll_until("the group to be deleted", || (fleet.holders().len() == stored(3)).then_some(())).unwrap();
}

fn nginx(dir: &Path, envoy: SocketAddr) -> (Process, SocketAddr) {
    let address = free();
    // nginx's own folders belong to root. All settings that concern requests are its defaults, except the size of a body,
    // which Envoy limits.
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events {{ }}
http {{
  access_log off; client_max_body_size 16m;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {{ listen {address}; location / {{ proxy_pass http://{envoy}; }} }}
}}
"
    );
    fs::write(dir.join("nginx.conf"), config).unwrap();
    let mut command = process::command(&tools::debian("sbin/nginx").unwrap());
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf"));
    (started("nginx", command, address, dir), address)
}

fn haproxy(dir: &Path, envoy: SocketAddr) -> (Process, SocketAddr) {
    let address = free();
    let backends = format!(
        "backend bare
  option httpchk
  server envoy {envoy} check
backend ready
  option httpchk GET /-/ready
  server envoy {envoy} check
"
    );
    (haproxy::start(dir, address, "bare", &backends).unwrap(), address)
}

/// Returns a port that is free now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn started(name: &str, command: std::process::Command, address: SocketAddr, dir: &Path) -> Process {
    let mut process = Process::start(name, command, dir).unwrap();
    process.wait_until("listening", |_| TcpStream::connect(address).ok()).unwrap();
    process
}
