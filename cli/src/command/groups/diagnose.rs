//! Diagnoses one gateway by its `/metrics` and its API: its errors and the groups that cause them.

use anyhow::{Context, ensure};
use pushring_router::Config;
use serde::Serialize;

use super::culprits::{Blamed, Detailed};
use super::curl::Curl;
use super::exposed::{self, Exposed};
use super::{broken_api, culprits, scrape_error, suspects};
use crate::fleet::survey::GatewaySurvey;
use crate::gateway::api::{Labels, PUSH_TIME};
use crate::gateway::client::{Gateway, Scrape};
use crate::gateway::exposition::families;
use crate::reason::Reason;

/// Attempts to find the offending group before giving up.
const ATTEMPTS: usize = 5;

/// A gateway that is poisoned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Poisoned {
    pub(crate) gateway: String,
    /// Whether it is on the ring.
    pub(crate) on_ring: bool,
    /// The first error that it reports, the first problem of its exposition, or the reason why its API cannot be read.
    pub(crate) error: String,
    /// Number of errors that were understood.
    pub(crate) errors: usize,
    /// The groups that cause the errors. Empty if its answers do not identify them.
    pub(crate) culprits: Vec<Culprit>,
}

/// A group that poisons its gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Culprit {
    /// U+FFFD replaces each byte that is not UTF-8.
    pub(crate) labels: Labels,
    /// The family with the error. U+FFFD replaces each byte that is not UTF-8.
    pub(crate) family: String,
    #[serde(flatten)]
    pub(crate) reason: Reason,
    /// Command that deletes exactly this group, directly on its gateway.
    pub(crate) mend: String,
}

/// The errors of a gateway.
pub(crate) struct Diagnosis {
    pub(crate) error: String,
    pub(crate) errors: usize,
    pub(crate) culprits: Vec<Blamed>,
}

/// Diagnoses a gateway. `None` if it is healthy.
///
/// # Errors
/// Its `/metrics` cannot be read, so that nothing is known.
pub(super) fn poisoned(
    surveyed: &GatewaySurvey,
    config: &Config,
    curl: &Curl,
) -> anyhow::Result<Option<Poisoned>> {
    let mut first = None;
    // A gateway visits its groups in random order, so each answer may report other errors.
    for _ in 0..ATTEMPTS {
        let Some(diagnosis) = diagnose(surveyed)? else { break };
        let is_found = !diagnosis.culprits.is_empty();
        if is_found || first.is_none() {
            first = Some(diagnosis);
        }
        if is_found {
            break;
        }
    }
    let Some(Diagnosis { error, errors, culprits }) = first else { return Ok(None) };
    let gateway = &surveyed.gateway;
    let culprit = |blamed: Blamed| {
        let paths = blamed.paths(&config.path_prefix);
        let urls: Vec<String> = paths.iter().map(|path| gateway.push_url(path)).collect();
        Culprit {
            labels: blamed.labels(),
            mend: curl.delete(&urls),
            family: blamed.family,
            reason: blamed.reason,
        }
    };
    let culprits = culprits.into_iter().map(culprit).collect();
    let (gateway, on_ring) = (gateway.name().to_owned(), surveyed.on_ring);
    Ok(Some(Poisoned { gateway, on_ring, error, errors, culprits }))
}

fn diagnose(surveyed: &GatewaySurvey) -> anyhow::Result<Option<Diagnosis>> {
    let gateway = &surveyed.gateway;
    match gateway.scrape()? {
        // If the API cannot be read either, only the errors themselves identify groups.
        Scrape::Poisoned(answer) => {
            Ok(Some(of_scrape_error(&answer, &gateway.groups_with().unwrap_or_default())))
        }
        Scrape::Exposition(response) => {
            let exposed = exposed::check(families(response)).context("/metrics")?;
            let has_groups = surveyed.groups().is_ok_and(|groups| !groups.all.is_empty());
            ensure!(
                !has_groups || !exposed.groups.is_empty(),
                "/metrics: found no {PUSH_TIME}, expected one for each group; the exposition is incomplete"
            );
            of_exposition(surveyed, &exposed)
        }
    }
}

/// Returns the groups of a gateway whose `/metrics` answers 500 that cause it, and these groups' details. `None` if the
/// answer is another one.
///
/// # Errors
/// The gateway cannot be read.
pub(crate) fn refusing(gateway: &Gateway) -> anyhow::Result<Option<(Vec<Blamed>, Vec<Detailed>)>> {
    let Scrape::Poisoned(answer) = gateway.scrape()? else { return Ok(None) };
    let groups = gateway.groups_with()?;
    Ok(Some((of_scrape_error(&answer, &groups).culprits, groups)))
}

fn of_scrape_error(answer: &str, groups: &[Detailed]) -> Diagnosis {
    let errors = scrape_error::parse(answer);
    Diagnosis {
        error: match scrape_error::first_line(answer).trim() {
            "" => "/metrics: HTTP 500 without an error".to_owned(),
            error => error.to_owned(),
        },
        errors: errors.len(),
        culprits: culprits::blame(&errors, groups),
    }
}

fn of_exposition(surveyed: &GatewaySurvey, exposed: &Exposed) -> anyhow::Result<Option<Diagnosis>> {
    let api = surveyed.groups().err();
    let groups = if api.is_none() { surveyed.gateway.groups_with()? } else { Vec::new() };
    let mut culprits = suspects::blame(exposed, &groups);
    if api.is_some() {
        culprits.extend(broken_api::culprits(exposed));
    }
    let first = exposed.problems.first().map(|problem| problem.reason.text.clone());
    let by_chance = culprits.first().map(|blamed| blamed.reason.text.clone());
    // A problem without a culprit is one, too.
    let Some(error) = first.or(by_chance) else { return Ok(None) };
    let error = api.map_or(error, str::to_owned);
    let errors = exposed.problems.len().max(culprits.len());
    Ok(Some(Diagnosis { error, errors, culprits }))
}
