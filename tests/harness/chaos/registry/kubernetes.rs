//! EndpointSlices in the API server of Kubernetes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::State;
use crate::Process;
use crate::http::Client;
use crate::kubernetes::{Kubernetes, NAMESPACE, PORT};

/// A service with many endpoints has several slices.
const SLICES: usize = 2;

/// The slices of a service, written as its controller writes them: a gateway that is not ready stays in its slice.
#[derive(Debug)]
pub(crate) struct Slices {
    cluster: Kubernetes,
    _proxy: Process,
    api: Client,
    all: Vec<SocketAddr>,
    /// The registered gateways, and whether each is ready.
    ready: BTreeMap<SocketAddr, bool>,
}

impl Slices {
    /// `all` must have the port [`PORT`].
    pub(super) fn start(dir: &Path, all: &[SocketAddr]) -> Result<Self> {
        let cluster = Kubernetes::start(dir)?;
        let (proxy, address) = cluster.proxy()?;
        let api = Client::new(address)?;
        let slices = Self { cluster, _proxy: proxy, api, all: all.to_vec(), ready: BTreeMap::new() };
        (0..SLICES).try_for_each(|slice| slices.write(slice))?;
        Ok(slices)
    }

    pub(super) fn flags(&self) -> Vec<String> {
        vec!["--from=kubernetes".to_owned(), format!("--kubeconfig={}", self.cluster.kubeconfig().display())]
    }

    pub(super) fn member(&self, address: SocketAddr) -> String {
        self.index(address).map(pod).unwrap_or_default()
    }

    pub(super) fn set_state(&mut self, address: SocketAddr, to: State) -> Result<()> {
        match to {
            State::Absent => self.ready.remove(&address),
            State::Critical | State::Passing => self.ready.insert(address, to == State::Passing),
        };
        self.write(self.index(address).context("an unknown gateway")? % SLICES)
    }

    pub(super) fn restart(&mut self, away: Duration) -> Result<()> {
        self.cluster.api.kill();
        thread::sleep(away);
        self.cluster.restart_api()
    }

    fn index(&self, address: SocketAddr) -> Option<usize> {
        self.all.iter().position(|one| *one == address)
    }

    fn write(&self, slice: usize) -> Result<()> {
        let gateways = self.all.iter().enumerate().skip(slice).step_by(SLICES);
        let endpoint = |(index, address): (usize, &SocketAddr)| {
            let ready = self.ready.get(address)?;
            let conditions = json!({"ready": ready, "serving": ready, "terminating": false});
            Some(json!({"addresses": [address.ip()], "hostname": pod(index), "conditions": conditions}))
        };
        let endpoints: Vec<Value> = gateways.filter_map(endpoint).collect();
        let name = format!("pushgateway-{slice}");
        let object = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "pushgateway"}},
            "ports": [{"name": "http", "port": PORT}], "endpoints": endpoints,
        });
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{name}");
        // Creates or replaces it.
        let path = format!("{path}?fieldManager=chaos&force=true");
        let headers = [("content-type", "application/apply-patch+yaml")];
        let answer = self.api.send("PATCH", &path, &headers, object.to_string())?;
        ensure!(matches!(answer.status, 200 | 201), "{path}: {} {}", answer.status, answer.text());
        Ok(())
    }
}

/// Returns the host name of a gateway.
fn pod(index: usize) -> String {
    format!("pushgateway-{index}")
}
