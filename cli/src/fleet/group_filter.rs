//! Which groups a command speaks of.

use std::time::Duration;

use jiff::SignedDuration;
use regex::Regex;

use crate::gateway::api::Labels;

/// A choice of groups; what is not given takes all.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which groups")]
pub(crate) struct GroupFilter {
    /// Those whose whole job matches, as in Prometheus: backup.* takes backup-db, and backup alone does not
    #[arg(long, value_name = "REGEX", value_parser = whole)]
    pub(crate) job: Option<Regex>,
    /// Those with this grouping label, may be repeated: then with all of them. The value begins after the first =
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Those whose last push is that long ago or longer, by the clock of their gateway. One whose last push cannot be
    /// told is not among them
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) older_than: Option<Duration>,
}

impl GroupFilter {
    /// Whether it takes groups with these labels.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        let job = labels.get("job").map_or("", String::as_str);
        self.job.as_ref().is_none_or(|regex| regex.is_match(job))
            && self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

/// Whether a group of that age (`None`: it cannot be told) is at least that old.
pub(crate) fn is_older(age: Option<SignedDuration>, than: Duration) -> bool {
    let than = SignedDuration::try_from(than).unwrap_or(SignedDuration::MAX);
    age.is_some_and(|age| age >= than)
}

/// A regular expression that has to match the whole text, line ends included, as Prometheus takes them.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn whole(regex: &str) -> Result<Regex, regex::Error> {
    // Compiled by itself first: an error then shows what was written.
    Regex::new(regex)?;
    Regex::new(&format!("^(?s:{regex})$"))
}

/// A label as `NAME=VALUE`.
///
/// # Errors
/// When there is no `=`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("allowed: NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_matches_as_a_whole() {
        let matches = |regex: &str, job: &str| whole(regex).unwrap().is_match(job);
        assert!(matches("a|b", "b"));
        assert!(!matches("a|b", "ab") && !matches("a", "ba") && !matches("a|bc", "abc"));
        assert!(matches("a.*", "a\nb") && matches("", "") && !matches("", "a"));
        assert!(!matches("a", "a\n"));
        // What closes the group that is put around it is no regular expression by itself.
        assert!(whole("a)|(b").is_err());
    }

    #[test]
    fn labels_are_exact_and_all_of_them() {
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
    fn an_age_that_cannot_be_told_is_not_older() {
        let ten = Duration::from_secs(10);
        assert!(is_older(Some(SignedDuration::from_secs(10)), ten));
        assert!(!is_older(Some(SignedDuration::from_secs(9)), ten) && !is_older(None, Duration::ZERO));
        // Pushed "in the future": its clock was set back.
        assert!(!is_older(Some(SignedDuration::from_secs(-1)), Duration::ZERO));
        assert!(!is_older(Some(SignedDuration::from_secs(10)), Duration::MAX));
    }
}
