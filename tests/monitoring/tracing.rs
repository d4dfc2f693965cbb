//! The blocks zipkin and opentelemetry of examples/observability/, with a real Zipkin and a real Jaeger: a push carries its
//! context to the gateway, and one trace shows every gateway that was tried.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pushring_harness::http::{Client, Response};
use pushring_harness::server::{Request, serve};
use pushring_harness::{
    Envoy, Layout, Member, Mode, Ports, Process, envoy_files, machine, poll_until, process, tools,
};
use pushring_router::Router;
use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const B3_TRACE: &str = "463ac35c9f6413ad48485a3953bb6124";
const DEAD: &str = "127.0.0.1:1";

/// An Envoy with a block, one member that accepts pushes and one that is down.
struct Fleet {
    envoy: Envoy,
    alive: SocketAddr,
    /// A push to a group of the dead member.
    path: String,
    seen: Arc<Mutex<Vec<Request>>>,
    _dir: tempfile::TempDir,
}

impl Fleet {
    fn start(mode: Mode, block: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let alive = serve(move |request| {
            log.lock().unwrap().push(request.clone());
            Ok(Response { status: 200, headers: Default::default(), body: Default::default() })
        })
        .unwrap();
        let members: Vec<Member> = vec![alive.into(), DEAD.parse::<SocketAddr>().unwrap().into()];
        let config = envoy_files::config(mode, &members).unwrap();
        let router = Router::parse(config.to_string().as_bytes()).unwrap();
        let dead = |path: &String| router.owner_of(path.as_bytes()).unwrap().owner.unwrap().name == DEAD;
        let path = (0..).map(|n| format!("/metrics/job/{n}")).find(dead).unwrap();
        let layout = Layout::patched(dir.path(), mode, Ports::default(), &[block]).unwrap();
        layout.write(&config).unwrap();
        Self { envoy: Envoy::start(&layout, 1).unwrap(), alive, path, seen, _dir: dir }
    }

    fn push(&self, headers: &[(&str, &str)]) -> u16 {
        self.envoy.client().unwrap().send("PUT", &self.path, headers, "x 1\n").unwrap().status
    }

    /// Returns a header of the last push that reached the gateway.
    fn last_header(&self, name: &str) -> String {
        let seen = self.seen.lock().unwrap();
        let value = seen.last().unwrap().headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    }
}

fn get(server: &str, path: &str) -> Option<Value> {
    let answer = Client::new(server.parse().unwrap()).ok()?.get(path).ok()?;
    if answer.status == 200 { answer.json().ok() } else { None }
}

fn zipkin(dir: &Path) -> Process {
    let mut command = process::command(Path::new("java"));
    command.args(["-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar"]);
    command.arg(tools::repository().join("target/tools/zipkin-server.jar"));
    let mut process = Process::start("zipkin", command, dir).unwrap();
    process.wait_until("Zipkin", |_| get("127.0.0.1:9411", "/health").map(drop)).unwrap();
    process
}

/// Waits for a trace with this number of spans, and returns them.
fn zipkin_spans(trace: &str, count: usize) -> Vec<Value> {
    poll_until(&format!("{count} spans of {trace} in Zipkin"), || {
        let spans = get("127.0.0.1:9411", &format!("/api/v2/trace/{trace}"))?;
        spans.as_array().filter(|spans| spans.len() == count).cloned()
    })
    .unwrap()
}

#[test]
fn zipkin_shows_the_failed_owner_and_its_successor() {
    machine::isolated("tracing::zipkin_shows_the_failed_owner_and_its_successor", || {
        let dir = tempfile::tempdir().unwrap();
        let _zipkin = zipkin(dir.path());
        let fleet = Fleet::start(Mode::Endpoint, "zipkin");
        let parent = "b7ad6b7169203331";
        assert_eq!(fleet.push(&[("traceparent", &format!("00-{TRACE}-{parent}-01"))]), 200);
        let of_the_gateway = fleet.last_header("traceparent");
        let spans = zipkin_spans(TRACE, 3);
        let server = spans.iter().find(|span| span["kind"] == "SERVER").unwrap();
        assert_eq!(
            (&server["parentId"], &server["tags"]["http.status_code"]),
            (&parent.into(), &"200".into())
        );
        let attempt = |address: &str| {
            let tried =
                |span: &&Value| span["kind"] == "CLIENT" && span["tags"]["upstream_address"] == address;
            spans.iter().find(tried).unwrap_or_else(|| panic!("no attempt at {address}: {spans:#?}"))
        };
        let (owner, next) = (attempt(DEAD), attempt(&fleet.alive.to_string()));
        assert_eq!(
            (&owner["tags"]["error"], &owner["tags"]["response_flags"]),
            (&"true".into(), &"UF".into())
        );
        assert_eq!(next["tags"]["http.status_code"], "200");
        assert_eq!(
            of_the_gateway,
            format!("00-{TRACE}-{}-01", next["id"].as_str().unwrap()),
            "the gateway's parent"
        );

        // B3, as Zipkin's own clients send it.
        let b3 = [("x-b3-traceid", B3_TRACE), ("x-b3-spanid", parent), ("x-b3-sampled", "1")];
        assert_eq!(fleet.push(&b3), 200);
        assert_eq!(fleet.last_header("x-b3-traceid"), B3_TRACE);
        zipkin_spans(B3_TRACE, 3);
        // No context, no trace.
        assert_eq!(fleet.push(&[]), 200);
        assert_ne!(fleet.last_header("x-b3-sampled"), "1");

        let fleet = Fleet::start(Mode::Cluster, "zipkin");
        let trace = "1af7651916cd43dd8448eb211c80319c";
        assert_eq!(fleet.push(&[("traceparent", &format!("00-{trace}-{parent}-01"))]), 503);
        let spans = zipkin_spans(trace, 4);
        let attempts =
            spans.iter().filter(|span| span["tags"]["upstream_address"] == DEAD && span["kind"] == "CLIENT");
        assert_eq!(attempts.count(), 3, "{spans:#?}");
    });
}

#[test]
fn jaeger_shows_them_by_opentelemetry() {
    machine::isolated("tracing::jaeger_shows_them_by_opentelemetry", || {
        let dir = tempfile::tempdir().unwrap();
        let mut jaeger =
            Process::start("jaeger", process::command(&tools::find("jaeger").unwrap()), dir.path()).unwrap();
        let api = "127.0.0.1:16686";
        jaeger.wait_until("Jaeger", |_| get(api, "/api/services").map(drop)).unwrap();
        let fleet = Fleet::start(Mode::Endpoint, "opentelemetry");
        assert_eq!(fleet.push(&[("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-01"))]), 200);
        let of_the_gateway = fleet.last_header("traceparent");
        let spans = poll_until("3 spans in Jaeger", || {
            let found = get(api, &format!("/api/traces/{TRACE}"))?;
            found["data"][0]["spans"].as_array().filter(|spans| spans.len() == 3).cloned()
        })
        .unwrap();
        let tag = |span: &Value, key: &str| {
            let tags = span["tags"].as_array().unwrap();
            tags.iter().find(|tag| tag["key"] == key).map(|tag| tag["value"].clone()).unwrap_or_default()
        };
        let attempt = |address: &str| {
            let tried = |span: &&Value| {
                tag(span, "upstream_address") == address && tag(span, "span.kind") == "client"
            };
            spans.iter().find(tried).unwrap_or_else(|| panic!("no attempt at {address}: {spans:#?}"))
        };
        assert_eq!(tag(attempt(DEAD), "response_flags"), "UF");
        let next = attempt(&fleet.alive.to_string());
        assert_eq!(tag(next, "http.status_code"), "200");
        assert_eq!(of_the_gateway, format!("00-{TRACE}-{}-01", next["spanID"].as_str().unwrap()));
        // The client has decided not to sample.
        assert_eq!(fleet.push(&[("traceparent", &format!("00-{B3_TRACE}-b7ad6b7169203331-00"))]), 200);
        assert!(fleet.last_header("traceparent").ends_with("-00"), "{}", fleet.last_header("traceparent"));
    });
}
