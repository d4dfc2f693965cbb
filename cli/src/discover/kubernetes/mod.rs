//! Members from the EndpointSlices of a Kubernetes service.
//!
//! A list, which is consistent and whole, then a watch from its version on. The server ends each watch after [`WATCH`]; the
//! next one continues from the last version. If the server no longer has that version (410), the list begins again.
//! Every server has these two requests; a watch that begins with the list (`sendInitialEvents`) saves the server memory
//! for large lists only, and needs a version that has it.

mod merge;
mod scale;
mod slice;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::StatusCode;

use self::merge::{NameBy, Rules, registrations};
use self::scale::StatefulSets;
use self::slice::{Change, Slices};
use super::source::{Out, Source};
use crate::http::AnswerLimits;
use crate::kubernetes::access::{HEADING, KubernetesArgs, check_label};
use crate::kubernetes::client::{Failure, Kubernetes, TIMEOUT};

/// Time after which the server ends a watch. A server that hangs is noticed at the latest [`TIMEOUT`] after it.
const WATCH: Duration = Duration::from_secs(60);
/// Pause before the next watch if the last one was shorter: a server that ends each at once must not be flooded.
const MIN_WATCH: Duration = Duration::from_secs(1);
/// Longest event: a slice has at most 1,000 endpoints.
const MAX_EVENT: u64 = 16 << 20;
/// The label by which a slice belongs to a service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// Flags of this source.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct KubernetesSourceArgs {
    #[command(flatten)]
    access: KubernetesArgs,
    /// Name of the service's port; required if it has several
    #[arg(long, help_heading = HEADING, value_name = "NAME")]
    port_name: Option<String>,
    /// Source of the names of members
    #[arg(long, help_heading = HEADING, value_enum, value_name = "WHAT", default_value_t)]
    name_by: NameBy,
}

impl KubernetesSourceArgs {
    pub(crate) fn access(&self) -> &KubernetesArgs {
        &self.access
    }
}

/// A service.
pub(crate) struct KubernetesSource {
    access: KubernetesArgs,
    rules: Rules,
}

impl KubernetesSource {
    /// Checks the flags and reads the credentials once; sends no request.
    ///
    /// # Errors
    /// [`crate::error::BadInput`]: a flag, the kubeconfig or the pod's service account is of no use.
    pub(crate) fn new(args: &KubernetesSourceArgs, service: String) -> anyhow::Result<Self> {
        check_label("--service", &service)?;
        Kubernetes::new(&args.access)?;
        let rules = Rules { service, port_name: args.port_name.clone(), name_by: args.name_by };
        Ok(Self { access: args.access.clone(), rules })
    }

    /// Lists the slices and watches them until their version expires.
    fn list_and_watch(&self, api: &StatefulSets, out: &Out) -> anyhow::Result<()> {
        let mut slices = self.list(&api.api)?;
        self.publish(api, &slices, out)?;
        loop {
            let began = Instant::now();
            match self.watch(api, &mut slices, out) {
                Ok(()) => thread::sleep(MIN_WATCH.saturating_sub(began.elapsed())),
                Err(error) if Failure::is(&error, StatusCode::GONE) => {
                    thread::sleep(MIN_WATCH.saturating_sub(began.elapsed()));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn list(&self, api: &Kubernetes) -> anyhow::Result<Slices> {
        let request = api.client().get(self.url(api, &[]));
        let answer = api.send(request, AnswerLimits::of_agent(TIMEOUT))?;
        Slices::of_list(answer.json("a Kubernetes API server")?)
    }

    /// Applies changes until the server ends the watch.
    fn watch(&self, sets: &StatefulSets, slices: &mut Slices, out: &Out) -> anyhow::Result<()> {
        let api = &sets.api;
        let seconds = WATCH.as_secs().to_string();
        let query = [
            ("watch", "1"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", &*slices.version),
            ("timeoutSeconds", &*seconds),
        ];
        let request = api.client().get(self.url(api, &query)).timeout(WATCH + TIMEOUT);
        let answer = api.send(request, AnswerLimits::endless())?;
        for line in answer.lines(MAX_EVENT) {
            if slices.apply(&line.context("the watch")?)? == Change::Slices {
                self.publish(sets, slices, out)?;
            }
        }
        Ok(())
    }

    fn publish(&self, sets: &StatefulSets, slices: &Slices, out: &Out) -> anyhow::Result<()> {
        let mut registrations = registrations(slices, &self.rules)?;
        sets.mark_leaving(&mut registrations.found);
        out.send(registrations.into())
    }

    fn url(&self, api: &Kubernetes, query: &[(&str, &str)]) -> reqwest::Url {
        let mut url = api.url("discovery.k8s.io", "v1", "endpointslices", None);
        let selector = format!("{SERVICE_LABEL}={}", self.rules.service);
        url.query_pairs_mut().append_pair("labelSelector", &selector).extend_pairs(query);
        url
    }
}

impl Source for KubernetesSource {
    fn follow(&mut self, out: &Out) -> anyhow::Result<Infallible> {
        // A new client, because certificates may have been replaced.
        let api = StatefulSets::new(Kubernetes::new(&self.access)?);
        loop {
            self.list_and_watch(&api, out)?;
        }
    }
}
