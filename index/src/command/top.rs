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
        let total = total.as_u64().unwrap_or_default();
        match items(rows) {
            [] if total == 0 => "no series".to_owned(),
            [] => format!("none of {total} series has the label {}", header[0]),
            rows => format!("{}\n{total} series in all", table(&header, &[1], rows.iter().map(row))),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        top: TopArgs,
    }

    #[test]
    fn an_empty_list_says_so() {
        let report = |arguments: &[&str], answer: Value| {
            Command::parse_from([&["top"], arguments].concat()).top.report(&answer)
        };
        let none = json!({"data": {"totalSeries": 0, "seriesCountByMetricName": []}});
        assert_eq!(report(&[], none), "no series");
        let no_label = json!({"series_count_total": 7, "labels": []});
        assert_eq!(report(&["--label", "x\n"], no_label), "none of 7 series has the label x\\n");
        let one =
            json!({"data": {"totalSeries": 7, "seriesCountByMetricName": [{"name": "up", "value": 7}]}});
        assert_eq!(report(&[], one), " METRIC  SERIES\n up           7\n7 series in all");
    }
}
