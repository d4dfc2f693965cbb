//! `metric-index top`.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;

use super::ask::{Ask, items, number, text};
use crate::error::ExitStatus;
use crate::output::{Output, print, print_json, table};

/// List the metrics, labels or values with the most series
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 no answer; 2 wrong usage.

Examples:
  metric-index top
  metric-index top labels 'http_requests_total'
  metric-index top --label job")]
pub(crate) struct TopArgs {
    /// The list
    #[arg(value_enum, default_value_t, value_name = "LIST")]
    list: List,
    /// Only series that match these selectors of PromQL
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// List the values of this label instead
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Most lines
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum List {
    /// Metrics by series
    #[default]
    Metrics,
    /// Names of labels by values
    Labels,
    /// Labels with their value by series
    Pairs,
}

impl TopArgs {
    pub(crate) fn run(self) -> Result<ExitStatus> {
        let mut parameters = vec![("limit", self.limit.to_string())];
        parameters.extend(self.selectors.iter().map(|selector| ("match[]", selector.clone())));
        parameters.extend(self.label.iter().map(|label| ("label_names[]", label.clone())));
        let path = if self.label.is_some() { "cardinality/label_values" } else { "status/tsdb" };
        let answer = self.ask.ask(path, &parameters)?;
        match self.ask.output {
            Output::Json => print_json(&answer)?,
            Output::Table => print(self.report(&answer))?,
        }
        Ok(ExitStatus::Done)
    }

    fn report(&self, answer: &Value) -> String {
        let data = &answer["data"];
        let (rows, header, total) = match (&self.label, self.list) {
            (Some(label), _) => (
                &answer["labels"][0]["cardinality"],
                [label.as_str(), "SERIES"],
                &answer["series_count_total"],
            ),
            (None, List::Metrics) => {
                (&data["seriesCountByMetricName"], ["METRIC", "SERIES"], &data["totalSeries"])
            }
            (None, List::Labels) => {
                (&data["labelValueCountByLabelName"], ["LABEL", "VALUES"], &data["totalSeries"])
            }
            (None, List::Pairs) => {
                (&data["seriesCountByLabelValuePair"], ["LABEL", "SERIES"], &data["totalSeries"])
            }
        };
        let row = |row: &Value| {
            let (name, count) =
                if self.label.is_some() { ("label_value", "series_count") } else { ("name", "value") };
            vec![text(&row[name]), number(&row[count])]
        };
        let header = header.map(|name| crate::text::line(name).into_owned());
        let header = header.each_ref().map(String::as_str);
        format!("{}\n{} series in all", table(&header, &[1], items(rows).iter().map(row)), number(total))
    }
}
