//! One Pushgateway under two addresses would be two members: `register` finds it, with a real Consul and real Pushgateways.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use pushring_harness::command::{CommandOutput, pushring};
use pushring_harness::http::Client;
use pushring_harness::raw_server::serve_raw;
use pushring_harness::{Consul, Pushgateway, tools};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Setup {
    dir: TempDir,
    consul: Consul,
    gateway: Pushgateway,
}

impl Setup {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let consul = Consul::start(dir.path()).unwrap();
        let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
        Self { dir, consul, gateway }
    }

    fn register(&self, args: &[&str]) -> CommandOutput {
        let consul = self.consul.address.to_string();
        pushring([&["register", "--consul", &consul, "--output", "json"], args].concat()).unwrap()
    }

    /// Registers, which succeeds without a warning.
    fn registers(&self, args: &[&str]) {
        let output = self.register(args);
        assert_eq!((output.code, &*output.stderr), (0, ""), "{args:?}: {}", output.stdout);
        assert_eq!(output.json().unwrap()["warnings"], json!([]));
    }

    /// Registers, which is refused with these texts and changes nothing.
    fn refused(&self, args: &[&str], texts: &[&str]) -> String {
        let before = self.ids();
        let output = self.register(args);
        assert_eq!(output.code, 2, "{args:?}: {}{}", output.stdout, output.stderr);
        for text in texts {
            assert!(output.stderr.contains(text), "{text}: {}", output.stderr);
        }
        assert_eq!(self.ids(), before);
        output.stderr
    }

    fn ids(&self) -> Vec<String> {
        let services = Client::new(self.consul.address).unwrap().get("/v1/agent/services").unwrap();
        services.json().unwrap().as_object().unwrap().keys().cloned().collect()
    }

    /// The gateway under the name of this machine.
    fn localhost(&self) -> String {
        format!("localhost:{}", self.gateway.address.port())
    }
}

/// Forwards a port to a server, as a container runtime does.
fn forward(to: SocketAddr) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(to).unwrap());
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut back, &mut forth));
            thread::spawn(move || io::copy(&mut client, &mut server));
        }
    });
    address
}

/// Answers every request as a Pushgateway that started at this time; keeps the requests.
fn fake(start_time: &str) -> (String, Arc<Mutex<String>>) {
    let data =
        json!({"start_time": start_time, "build_information": {}, "flags": {"persistence.interval": "5m0s"}});
    let body = json!({"status": "success", "data": data}).to_string();
    let answer =
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let requests = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&requests);
    let address = serve_raw(move |head, stream| {
        kept.lock().unwrap().push_str(head);
        stream.write_all(answer.as_bytes())
    });
    (address.unwrap().to_string(), requests)
}

#[test]
fn a_gateway_is_refused_under_a_second_address() {
    let setup = Setup::start();
    let (own, port) = (setup.gateway.address.to_string(), setup.gateway.address.port());
    let (localhost, forwarded) = (setup.localhost(), forward(setup.gateway.address));
    // In one command.
    let both = format!("{own} and {localhost} are one gateway: both answer with the start time \"2");
    setup.refused(&[&localhost, &own], &[&both]);
    let second = Pushgateway::start(setup.dir.path(), &[]).unwrap();
    setup.registers(&[&own, &second.address.to_string()]);
    for address in [&localhost, &forwarded] {
        let named = format!("{address} is the gateway that is registered as {own}: both answer");
        let registered = format!("registered as ID 127.0.0.1_{port} on node ");
        for more in [&[][..], &["--dry-run"]] {
            setup.refused(&[&[address.as_str()], more].concat(), &[&named, &registered]);
        }
    }
    // The gateway of Consul's agent cannot be asked from here, but its address is known.
    let text = setup.refused(&["--no-probe", &localhost], &[&format!("both are port {port} of 127.0.0.1")]);
    setup.registers(&["--no-probe", "localhost:1"]);
    setup.refused(&["--no-probe", "127.0.0.1:1"], &["registered as localhost:1"]);

    // The command of the message, and then the other address.
    let remove = text.lines().find(|line| line.starts_with("  pushring deregister")).unwrap();
    let removed =
        Command::new("sh").args(["-c", remove]).env("PATH", tools::path().unwrap()).output().unwrap();
    assert!(removed.status.success(), "{remove}: {}", String::from_utf8_lossy(&removed.stderr));
    setup.registers(&[&localhost]);
    setup.refused(&[&own], &[&format!("{own} is the gateway that is registered as {localhost}")]);
    assert!(setup.ids().contains(&format!("localhost_{port}")));
}

/// Elsewhere in the catalog, in another spelling, and not passing.
#[test]
fn the_whole_catalog_is_compared() {
    let setup = Setup::start();
    let forwarded = forward(setup.gateway.address);
    let address = format!("::ffff:{}", setup.gateway.address.ip());
    let service = json!({"ID": "it's", "Service": "pushgateway", "Address": address, "Port": setup.gateway.address.port()});
    let check = json!({"CheckID": "c", "Name": "c", "ServiceID": "it's", "Status": "critical"});
    let body = json!({"Node": "gone", "Address": "10.9.9.9", "Service": service, "Check": check});
    setup.consul.put("/v1/catalog/register", &body).unwrap();
    let texts = [
        &*format!("{forwarded} is the gateway that is registered as {}", setup.gateway.address),
        "registered as ID it's on node gone (agent at 10.9.9.9, which is gone); remove it:\n  curl -X PUT",
    ];
    setup.refused(&[&forwarded], &texts);
    // The address itself is no second one.
    setup.registers(&[&setup.gateway.address.to_string()]);
}

/// As it was registered before this check; a run that changes nothing continues.
#[test]
fn a_gateway_that_is_registered_twice_is_a_warning() {
    let setup = Setup::start();
    let (own, localhost) = (setup.gateway.address.to_string(), setup.localhost());
    for host in ["127.0.0.1", "localhost"] {
        let id = format!("{host}_{}", setup.gateway.address.port());
        let service =
            json!({"Name": "pushgateway", "ID": id, "Address": host, "Port": setup.gateway.address.port()});
        setup.consul.put("/v1/agent/service/register", &service).unwrap();
    }
    let output = setup.register(&[&own, &localhost]);
    let warning = output.json().unwrap()["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains("are one gateway, and registered twice: both answer"), "{warning}");
    assert!(output.code == 0 && output.stderr.contains(&warning), "{}", output.stderr);
}

/// Milliseconds are no proof: one program can start two gateways at once.
#[test]
fn equal_start_times_without_nanoseconds_are_a_warning() {
    let setup = Setup::start();
    let [(first, requests), (second, _)] =
        [fake("2026-11-26T03:41:26.929Z"), fake("2026-11-26T03:41:26.929Z")];
    let (third, _) = fake("2026-11-26T03:41:26.929102943Z");
    setup.registers(&[&first]);
    requests.lock().unwrap().clear();
    let output = setup.register(&[&second, "--check-header", "authorization: Basic c2VjcmV0"]);
    let warnings = output.json().unwrap()["warnings"].clone();
    assert_eq!((output.code, warnings.as_array().unwrap().len()), (0, 1), "{}", output.stderr);
    assert!(
        warnings[0]
            .as_str()
            .unwrap()
            .contains(&format!("{second} may be the gateway that is registered as {first}")),
        "{warnings}"
    );
    // The header is for the gateways of the command.
    let asked = requests.lock().unwrap().to_ascii_lowercase();
    assert!(asked.contains("get /api/v1/status") && !asked.contains("authorization"), "{asked}");
    setup.registers(&[&third]);
}

#[test]
fn a_member_that_does_not_answer_here_is_a_warning() {
    let setup = Setup::start();
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    for (id, status) in [("passing", "passing"), ("critical", "critical")] {
        let port = if id == "passing" { free.port() } else { 1 };
        let service = json!({"Name": "pushgateway", "ID": id, "Address": "127.0.0.1", "Port": port,
                             "Check": {"TTL": "24h", "Status": status}});
        setup.consul.put("/v1/agent/service/register", &service).unwrap();
    }
    let output = setup.register(&[&setup.gateway.address.to_string()]);
    let warnings: Value = output.json().unwrap()["warnings"].clone();
    let text = format!(
        "registered gateways that do not answer here cannot be compared with the new ones, which may be one of them under \
         another address: {free}"
    );
    assert_eq!((output.code, warnings), (0, json!([text])), "{}", output.stderr);
}
