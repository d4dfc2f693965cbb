//! The flags that select groups.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use jiff::SignedDuration;
use regex::Regex;

use crate::duration;
use crate::error::BadInput;
use crate::gateway::api::Labels;
use crate::text;

/// Selects groups; without flags, all of them.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Groups")]
pub(crate) struct GroupFilter {
    /// Only groups whose whole job matches, as in Prometheus: backup.* matches backup-db, and backup does not
    #[arg(long, value_name = "REGEX", value_parser = job)]
    pub(crate) job: Option<Regex>,
    /// Only groups with this grouping label. Repeatable; a group must have all of them. The value begins after the
    /// first =
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Only groups last pushed at least this long ago, by the gateway's clock. Groups with an unknown push time are
    /// excluded
    #[arg(long, value_name = "TIME", value_parser = duration::within(Duration::ZERO, duration::ANY))]
    pub(crate) older_than: Option<Duration>,
}

impl GroupFilter {
    /// Checks that some group can have all labels.
    ///
    /// # Errors
    /// [`BadInput`]: one label has two values.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mut known = BTreeMap::new();
        for (name, value) in &self.labels {
            let before = known.insert(name, value).filter(|before| *before != value);
            if let Some(before) = before {
                let found = format!("--label {}: found {before:?} and {value:?}", text::line(name));
                bail!(BadInput(format!("{found}, expected one value, because no group has both")));
            }
        }
        Ok(())
    }

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

/// As [`full_match`], for jobs: an empty one does not exist.
pub(crate) fn job(regex: &str) -> Result<Regex, String> {
    if regex.is_empty() {
        return Err("expected a regular expression, such as backup.*".to_owned());
    }
    full_match(regex).map_err(|error| error.to_string())
}

/// Parses a label `NAME=VALUE`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or_default();
    if name.is_empty() {
        Err("expected NAME=VALUE".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
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
