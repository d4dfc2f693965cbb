//! An Envoy with patches of `examples/security/` and one member behind it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use pushring_harness::http::Response;
use pushring_harness::server::{Request, serve};
use pushring_harness::{Envoy, Layout, Mode, Ports, Pushgateway, poll_until};
use tempfile::TempDir;

use crate::certificates::{Authority, replace};
use crate::curl::{Outcome, curl};

/// Stops all servers when dropped.
pub(crate) struct Front {
    pub(crate) envoy: Envoy,
    pub(crate) gateway: Pushgateway,
    pub(crate) clients: Authority,
    layout: Layout,
    dir: TempDir,
}

impl Front {
    /// Starts a Pushgateway and the shipped Envoy with these patches.
    pub(crate) fn start(mode: Mode, patches: &[&str]) -> Self {
        Self::with(mode, patches, |_| ())
    }

    /// Starts them after changes to the files in `security/`.
    pub(crate) fn with(mode: Mode, patches: &[&str], change: impl FnOnce(&Layout)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateway = Pushgateway::start(dir.path(), &[]).unwrap();
        let layout = Layout::patched(&dir.path().join("pushring"), mode, Ports::default(), patches).unwrap();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let file = |name: &str| layout.dir().join("security").join(name);
        servers.server(&["127.0.0.1"], &file("server.pem"), &file("server.key"));
        replace(&file("client-ca.pem"), &clients.pem());
        replace(&dir.path().join("ca.pem"), &servers.pem());
        change(&layout);
        layout
            .write(&pushring_harness::envoy_files::config(mode, &[gateway.address.into()]).unwrap())
            .unwrap();
        let envoy = Envoy::start(&layout, 1).unwrap();
        Self { envoy, gateway, clients, layout, dir }
    }

    /// Puts a server that records requests and stores nothing in place of the gateway; `args` let curl in.
    pub(crate) fn record(&self, args: &[&str]) -> Arc<Mutex<Vec<Request>>> {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let address = serve(move |request| {
            seen.lock().unwrap().push(request.clone());
            Ok(Response::ok(""))
        })
        .unwrap();
        let config = pushring_harness::envoy_files::config(self.layout.mode(), &[address.into()]).unwrap();
        self.layout.publish(&config, Some(self.envoy.admin)).unwrap();
        poll_until("pushes to arrive at the new member", || {
            assert_eq!(self.send("PUT", "/metrics/job/a", args), Outcome::Status(200));
            (!requests.lock().unwrap().is_empty()).then_some(())
        })
        .unwrap();
        requests
    }

    /// Returns the path of a file in the folder `security`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.layout.dir().join("security").join(name)
    }

    /// Replaces a part of a file in the folder `security`, as an operator does.
    pub(crate) fn edit(&self, name: &str, old: &str, new: &str) {
        edit(&self.layout, name, old, new);
    }

    /// Writes the certificate and the key of a client and returns curl's arguments for it.
    pub(crate) fn client(&self, authority: &Authority, uri: &str) -> Vec<String> {
        let name = uri.rsplit('/').next().unwrap();
        let path = |suffix: &str| self.dir.path().join(format!("{name}.{suffix}"));
        authority.client(uri, &path("pem"), &path("key"));
        let text = |suffix| path(suffix).display().to_string();
        vec!["--cert".to_owned(), text("pem"), "--key".to_owned(), text("key")]
    }

    /// Returns the path of the CA certificates that clients trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Sends a request to the listener for pushes.
    pub(crate) fn send(&self, method: &str, path: &str, args: &[&str]) -> Outcome {
        self.send_to(self.envoy.push, method, path, args)
    }

    /// Sends a request to a listener.
    pub(crate) fn send_to(&self, to: SocketAddr, method: &str, path: &str, args: &[&str]) -> Outcome {
        let ca = self.ca().display().to_string();
        curl(method, &format!("https://{to}{path}"), &[&["--cacert", &ca], args].concat()).0
    }

    /// Pushes to a job of its own and checks that exactly the accepted push is stored.
    #[track_caller]
    pub(crate) fn assert_push(&self, job: &str, args: &[&str], expected: &Outcome) {
        assert_eq!(self.send("PUT", &format!("/metrics/job/{job}"), args), *expected, "{job} {args:?}");
        assert_eq!(self.stores(job), *expected == Outcome::Status(200), "{job} {args:?}");
    }

    /// Waits until a push has this outcome, because Envoy reads a replaced file soon and not at once.
    pub(crate) fn wait_push(&self, args: &[&str], expected: &Outcome) {
        poll_until(&format!("a push with {args:?} to end with {expected:?}"), || {
            (self.send("PUT", "/metrics/job/rotated", args) == *expected).then_some(())
        })
        .unwrap();
    }

    pub(crate) fn stores(&self, job: &str) -> bool {
        self.gateway.groups().unwrap().iter().any(|group| group["job"] == job)
    }
}

/// Replaces a part of a file in the folder `security` of a layout.
pub(crate) fn edit(layout: &Layout, name: &str, old: &str, new: &str) {
    let path = layout.dir().join("security").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{name} does not have {old:?}");
    replace(&path, &text.replace(old, new));
}
