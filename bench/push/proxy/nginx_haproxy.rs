//! nginx and HAProxy from Debian's packages, each with one worker and consistent hashing of the path.

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use anyhow::Result;
use pushring_harness::Process;

use super::running::{Proxy, Running, made, pinned};

/// The folder into which `make bench` unpacks Debian's packages.
const DEBIAN: &str = "tools/debian/usr";

pub(super) fn nginx(gateways: &[SocketAddr], dir: &Path) -> Result<Proxy> {
    let push = free()?;
    let mut servers = String::new();
    for gateway in gateways {
        let _ = writeln!(servers, "server {gateway};");
    }
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; client_max_body_size 16m; client_body_buffer_size 64k;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream gateways {{ hash $request_uri consistent; {servers} keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen {push};
    location / {{ proxy_pass http://gateways; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
  }}
}}
"
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = pinned(&made(&format!("{DEBIAN}/sbin/nginx")))?;
    command.arg("-p").arg(dir).arg("-c").arg(&file);
    ready("nginx", command, push, dir)
}

pub(super) fn haproxy(gateways: &[SocketAddr], dir: &Path) -> Result<Proxy> {
    let push = free()?;
    let mut servers = String::new();
    for (index, gateway) in gateways.iter().enumerate() {
        let _ = writeln!(servers, "  server g{index} {gateway}");
    }
    let config = format!(
        "global
  nbthread 1
  maxconn 4096
  tune.bufsize 32768
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 1s
frontend push
  bind {push}
  default_backend gateways
backend gateways
  option http-buffer-request
  balance uri whole
  hash-type consistent
  http-reuse always
{servers}"
    );
    let file = dir.join("haproxy.cfg");
    fs::write(&file, config)?;
    let mut command = pinned(&made(&format!("{DEBIAN}/sbin/haproxy")))?;
    command.env("LD_LIBRARY_PATH", made(&format!("{DEBIAN}/lib/x86_64-linux-gnu")));
    command.arg("-db").arg("-f").arg(&file);
    ready("haproxy", command, push, dir)
}

/// Returns a port that is free now.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn ready(name: &str, command: std::process::Command, push: SocketAddr, dir: &Path) -> Result<Proxy> {
    let mut process = Process::start(name, command, dir)?;
    process.wait_until("listening", |_| TcpStream::connect(push).ok())?;
    Ok(Proxy { push, running: Running::Other(process) })
}
