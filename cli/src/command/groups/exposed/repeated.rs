//! Finds series with two samples, and labels that a scraper cannot read, for each way of scraping.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::metric::Metric;
use super::scraper::{self, Scraper};
use super::series;
use super::{Cause, MAX_PROBLEMS, Problem, shape};
use crate::gateway::exposition::Family;
use crate::reason::Code;

/// Indices of a family and of its metric.
type At = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Label(At, Code, &'static str),
    /// All metrics with a sample of one series.
    Series(Vec<At>),
}

/// The faults in the order in which they were found, each with its scrapers.
#[derive(Default)]
struct Faults {
    all: Vec<(Fault, Vec<Scraper>)>,
    known: BTreeMap<Fault, usize>,
}

/// Calls `found` with each problem, those of the default first.
pub(super) fn check(families: &[(Family, Vec<Metric>)], found: impl FnMut(Problem)) {
    let metrics = || families.iter().flat_map(|(_, metrics)| metrics);
    let needs_escaping =
        |metric: &Metric| metric.labels.iter().any(|label| scraper::needs_escaping(&label.name));
    let has_escaped = families.iter().any(|(family, _)| scraper::needs_escaping(family.name_bytes()))
        || metrics().any(needs_escaping);
    let has_native = metrics().any(|metric| metric.histogram.as_ref().is_some_and(super::native::is_native));
    let mut faults = Faults::default();
    faults.of_scraper(scraper::DEFAULT, families);
    Scraper::others(has_escaped, has_native).for_each(|scraper| faults.of_scraper(scraper, families));
    faults
        .all
        .iter()
        .take(MAX_PROBLEMS)
        .map(|(fault, scrapers)| problem(families, fault, scrapers))
        .for_each(found);
}

impl Faults {
    fn of_scraper(&mut self, scraper: Scraper, families: &[(Family, Vec<Metric>)]) {
        let mut first: HashMap<Vec<u8>, At> = HashMap::new();
        let mut repeated: BTreeMap<Vec<u8>, Vec<At>> = BTreeMap::new();
        for (index, (family, metrics)) in families.iter().enumerate() {
            let shape = shape(family);
            for (place, metric) in metrics.iter().enumerate() {
                let at = (index, place);
                if scraper != scraper::DEFAULT
                    && let Some((code, error)) = series::label_error(scraper, metric)
                {
                    self.add(scraper, Fault::Label(at, code, error));
                    continue;
                }
                series::each(scraper, family.name_bytes(), shape, metric, |series| {
                    match first.entry(series) {
                        Entry::Vacant(entry) => drop(entry.insert(at)),
                        Entry::Occupied(entry) => {
                            let all = repeated.entry(entry.key().clone());
                            all.or_insert_with(|| vec![*entry.get()]).push(at);
                        }
                    }
                });
            }
        }
        repeated.into_values().for_each(|all| self.add(scraper, Fault::Series(all)));
    }

    fn add(&mut self, scraper: Scraper, fault: Fault) {
        let index = *self.known.entry(fault.clone()).or_insert(self.all.len());
        if index == self.all.len() {
            self.all.push((fault, Vec::new()));
        }
        self.all[index].1.push(scraper);
    }
}

fn problem(families: &[(Family, Vec<Metric>)], fault: &Fault, scrapers: &[Scraper]) -> Problem {
    let name = |at: At| families[at.0].0.name_bytes();
    let text = |at: At| String::from_utf8_lossy(name(at));
    let labels = |at: At| series::exact(&families[at.0].1[at.1]);
    let names: Vec<&str> = scrapers.iter().map(|scraper| scraper.name).collect();
    let for_all = scrapers.contains(&scraper::DEFAULT);
    let only = if for_all { String::new() } else { format!("; only for scrapers {}", names.join(", ")) };
    match fault {
        Fault::Label(at, code, error) => Problem {
            family: name(*at).to_vec(),
            reason: code.because(format!("{}: {error}{only}", text(*at))),
            cause: Cause::Metrics(vec![labels(*at)]),
        },
        Fault::Series(all) => {
            let names: BTreeSet<String> = all.iter().map(|at| text(*at).into_owned()).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(" and ");
            let error = "Prometheus stores only one of two samples of a series (labels with an empty value are no \
                         labels)";
            Problem {
                family: name(all[0]).to_vec(),
                reason: Code::SeriesConflict.because(format!("{names}: {error}{only}")),
                cause: Cause::Duplicates(all.iter().map(|at| (name(*at).to_vec(), labels(*at))).collect()),
            }
        }
    }
}
