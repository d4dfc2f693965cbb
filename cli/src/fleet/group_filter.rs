//! The flags that select groups.

use std::time::Duration;

use jiff::SignedDuration;
use regex::Regex;

use crate::gateway::api::Labels;

/// Selects groups; without flags, all of them.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Groups")]
pub(crate) struct GroupFilter {
    /// Only groups whose whole job matches, as in Prometheus: backup.* matches backup-db, and backup does not
    #[arg(long, value_name = "REGEX", value_parser = full_match)]
    pub(crate) job: Option<Regex>,
    /// Only groups with this grouping label. Repeatable; a group must have all of them. The value begins after the
    /// first =
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Only groups last pushed at least this long ago, by the gateway's clock. Groups with an unknown push time are
    /// excluded
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<Duration>,
}

impl GroupFilter {
    /// Returns whether it selects groups with these labels, at any age.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        let job = labels.get("job").map_or("", String::as_str);
        self.job.as_ref().is_none_or(|regex| regex.is_match(job))
            && self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// Returns whether an age (`None`: unknown) is at least `than`.
pub(crate) fn is_older(age: Option<SignedDuration>, than: Duration) -> bool {
    let than = SignedDuration::try_from(than).unwrap_or(SignedDuration::MAX);
    age.is_some_and(|age| age >= than)
}

/// Compiles a regular expression that must match the whole text, line breaks included, as in Prometheus.
pub(crate) fn full_match(regex: &str) -> Result<Regex, regex::Error> {
    // Compiled unchanged first, so that an error shows the user's text.
    Regex::new(regex)?;
    Regex::new(&format!("^(?s:{regex})$"))
}

/// Parses a label `NAME=VALUE`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_job() {
        let matches = |regex: &str, job: &str| full_match(regex).unwrap().is_match(job);
        assert!(matches("a|b", "b"));
        assert!(!matches("a|b", "ab") && !matches("a", "ba") && !matches("a|bc", "abc"));
        assert!(matches("a.*", "a\nb") && matches("", "") && !matches("", "a"));
        assert!(!matches("a", "a\n"));
        // Valid only inside the added group.
        assert!(full_match("a)|(b").is_err());
    }

    #[test]
    fn requires_all_labels_exactly() {
        let labels = Labels::from(
            [("job", "j"), ("a", "1"), ("b", "=")].map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let select = |all: &[&str]| GroupFilter {
            labels: all.iter().map(|text| label(text).unwrap()).collect(),
            ..GroupFilter::default()
        };
        assert!(select(&["a=1", "b=="]).matches(&labels));
        assert!(!select(&["a=1", "b="]).matches(&labels) && !select(&["c="]).matches(&labels));
        assert!(label("a").is_err());
    }

    #[test]
    fn unknown_age_is_not_older() {
        let ten = Duration::from_secs(10);
        assert!(is_older(Some(SignedDuration::from_secs(10)), ten));
        assert!(!is_older(Some(SignedDuration::from_secs(9)), ten) && !is_older(None, Duration::ZERO));
        // Pushed "in the future": the gateway's clock was set back.
        assert!(!is_older(Some(SignedDuration::from_secs(-1)), Duration::ZERO));
        assert!(!is_older(Some(SignedDuration::from_secs(10)), Duration::MAX));
    }
}
