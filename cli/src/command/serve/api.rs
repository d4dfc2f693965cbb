//! The API of a Pushgateway for all groups of the fleet. Each group also has the field `gateway`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::json;
use super::metric::{self, Metric};
use super::number::go;
use super::view::{FamilyView, FleetView, GatewayState, GatewayView, GroupView};
use crate::gateway::api::{Labels, PUSH_FAILED, PUSH_TIME};

/// Headers of every answer, so that pages of other sites may read it.
pub(super) const HEADERS: [(&str, &str); 5] = [
    ("access-control-allow-headers", "Accept, Authorization, Content-Type, Origin"),
    ("access-control-allow-methods", "GET, POST, DELETE, OPTIONS"),
    ("access-control-allow-origin", "*"),
    ("access-control-expose-headers", "Date"),
    ("cache-control", "no-cache, no-store, must-revalidate"),
];

/// The flags and the start of this process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) flags: BTreeMap<&'static str, String>,
    pub(super) started: Timestamp,
}

impl Process {
    /// Returns tables for the page, with their titles.
    pub(super) fn facts(&self) -> Vec<(&'static str, Vec<(String, String)>)> {
        let version = ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let started = ("started".to_owned(), self.started.to_string());
        let flags = self.flags.iter().map(|(name, value)| (format!("--{name}"), value.clone()));
        vec![("This server", vec![version, started]), ("Flags", flags.collect())]
    }
}

/// Returns the answer of `/api/v1/metrics`. Groups without a family that counts are left out.
pub(super) fn metrics(view: &FleetView) -> String {
    let groups = view.groups.iter().filter(|group| !group.families.is_empty());
    success(|out| json::list(out, groups, |out, group| write_group(out, view, group)))
}

/// Returns the answer of `/api/v1/status`.
pub(super) fn status(view: &FleetView, process: &Process) -> String {
    let build = ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"];
    success(|out| {
        json::object(
            out,
            ["build_information", "flags", "gateways", "start_time"].map(|name| (name, name)),
            |out, name| match name {
                "build_information" => json::object(out, build.map(|name| (name, name)), |out, name| {
                    json::string(out, if name == "version" { env!("CARGO_PKG_VERSION") } else { "" });
                }),
                "flags" => {
                    let flags = process.flags.iter().map(|(name, value)| (*name, value));
                    json::object(out, flags, |out, value| json::string(out, value));
                }
                "gateways" => json::list(out, &view.gateways, write_gateway),
                _ => json::string(out, &process.started.to_string()),
            },
        );
    })
}

fn success(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::from(r#"{"status":"success","data":"#);
    write(&mut out);
    out.push('}');
    out
}

fn write_gateway(out: &mut String, gateway: &GatewayView) {
    let (state, reason) = match &gateway.state {
        GatewayState::Up => ("up", None),
        GatewayState::Poisoned(reason) => ("poisoned", Some(reason.clone())),
        GatewayState::Down(reason) => ("down", Some(reason.clone())),
    };
    let started = gateway.started.map(|started| started.to_string());
    let fields = [
        ("address", Some(gateway.address.clone())),
        ("name", Some(gateway.name.clone())),
        ("on_ring", Some(gateway.on_ring.to_string())),
        ("reason", reason),
        ("start_time", started),
        ("state", Some(state.to_owned())),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    json::object(out, fields, |out, value| json::string(out, &value));
}

/// The value of a field of a group.
enum Field<'v> {
    Family(&'v FamilyView),
    Labels(&'v Labels),
    Successful(bool),
    Gateway(&'v str),
}

fn write_group(out: &mut String, view: &FleetView, group: &GroupView) {
    let family = |name| group.families.iter().find(|family| &*family.name == name);
    let seconds = |name| family(name).and_then(|family| metric::decode(family.metrics.first()?).ok()?.gauge);
    let is_successful = match (seconds(PUSH_FAILED), seconds(PUSH_TIME)) {
        (Some(failed), Some(pushed)) => failed.value() <= pushed.value(),
        _ => true,
    };
    let on = family(PUSH_TIME).or_else(|| group.families.first()).map(|family| family.on);
    let name = on.and_then(|on| view.gateways.get(on)).map_or("", |gateway| &gateway.name);
    let mut fields = BTreeMap::from([
        ("gateway", Field::Gateway(name)),
        ("labels", Field::Labels(&group.labels)),
        ("last_push_successful", Field::Successful(is_successful)),
    ]);
    // As in a Pushgateway, a family replaces a field of its name.
    fields.extend(group.families.iter().map(|family| (&*family.name, Field::Family(family))));
    json::object(out, fields, |out, field| match field {
        Field::Family(family) => write_family(out, family),
        Field::Labels(labels) => write_labels(out, labels.iter().map(|(name, value)| (&**name, &**value))),
        Field::Successful(is_successful) => *out += if is_successful { "true" } else { "false" },
        Field::Gateway(name) => json::string(out, name),
    });
}

fn write_family(out: &mut String, family: &FamilyView) {
    *out += r#"{"time_stamp":"#;
    json::string(out, &family.time_stamp.to_string());
    *out += r#","type":"#;
    json::string(out, family.kind);
    let help = if family.json.is_some() { &family.listed_help } else { &family.help };
    if let Some(help) = help.as_deref().filter(|help| !help.is_empty()) {
        *out += r#","help":"#;
        json::string(out, help);
    }
    *out += r#","metrics":"#;
    match &family.json {
        Some(json) => *out += json.get(),
        None => {
            let metrics = family.metrics.iter().filter_map(|raw| metric::decode(raw).ok());
            json::list(out, metrics, |out, metric| write_metric(out, family.kind, &metric));
        }
    }
    out.push('}');
}

/// Writes a metric whose JSON the gateway's API did not have. A native histogram shows its classic buckets only.
fn write_metric(out: &mut String, kind: &str, metric: &Metric) {
    let mut fields: BTreeMap<&str, Texts> = BTreeMap::new();
    let labels = metric.labels.iter().map(|label| (lossy(label.name()), lossy(label.value())));
    fields.insert("labels", Texts::Many(labels.collect()));
    let one = |number: f64| Texts::One(go(number));
    match (kind, &metric.summary, &metric.histogram) {
        ("SUMMARY", Some(summary), _) => {
            let quantile = |quantile: &metric::Quantile| (go(quantile.quantile()), go(quantile.value()));
            fields.insert("quantiles", Texts::Many(summary.quantiles.iter().map(quantile).collect()));
            fields.insert("count", Texts::One(summary.count().to_string()));
            fields.insert("sum", one(summary.sum()));
        }
        ("HISTOGRAM", _, Some(histogram)) => {
            let bucket = |bucket: &metric::Bucket| {
                (go(bucket.upper_bound()), count(bucket.count_float(), bucket.count()))
            };
            fields.insert("buckets", Texts::Many(histogram.buckets.iter().map(bucket).collect()));
            fields.insert("count", Texts::One(count(histogram.count_float(), histogram.count())));
            fields.insert("sum", one(histogram.sum()));
        }
        _ => {
            let value = metric.gauge.or(metric.counter).or(metric.untyped);
            fields.insert("value", one(value.map_or(0.0, |value| value.value())));
        }
    }
    json::object(out, fields, |out, texts| match texts {
        Texts::One(text) => json::string(out, &text),
        Texts::Many(texts) => write_labels(out, texts.iter().map(|(name, value)| (&**name, &**value))),
    });
}

enum Texts {
    One(String),
    Many(BTreeMap<String, String>),
}

fn write_labels<'l>(out: &mut String, labels: impl Iterator<Item = (&'l str, &'l str)>) {
    json::object(out, labels, json::string);
}

fn count(float: f64, whole: u64) -> String {
    if float > 0.0 { go(float) } else { whole.to_string() }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
