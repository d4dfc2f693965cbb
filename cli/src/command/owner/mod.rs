//! `pushring owner`.

pub(crate) mod lookup;
pub(crate) mod request_target;

use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter, IsTerminal};
use std::os::unix::ffi::OsStrExt;

use crate::error::{BadInput, ExitStatus};
use crate::fleet::group_filter;
use crate::fleet::source::FleetArgs;
use crate::output::{self, Output, Table};
use crate::text;
use anyhow::{Context, bail, ensure};
use lookup::{Answer, Named};
use pushring_router::{Router, labels_to_path};

/// Size of the buffers in bytes. They are large, because a million paths are about 80 MB.
const BUFFER: usize = 1 << 20;

/// Show the owner of a group
///
/// Shows the decision of Envoy's filter for a push. Specify the group as a push path, with or without a query, or as a
/// job and labels. Without either, or with `-`, paths are read from standard input, one per line. Each results in one
/// line, in the same order: owner, address, verdict and path, separated by tabs (`--output json`: a JSON object).
///
/// A path may be any request target that Envoy accepts, such as http://host/metrics/job/backup.
///
/// Verdicts: push (stored by the owner); unclean (redirected to the path without `//`, `/./` and `/../`, then stored);
/// malformed (rejected by the gateway); poison (rejected by Envoy, because the gateway would reject every later push);
/// no-push (not a push path); bad-request (rejected by Envoy, such as a space, # or a byte that is not ASCII: percent-encode
/// it); no-members (503, the ring is empty).
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 every push is stored; 1 a path is malformed, poison, a bad request or not a push path, or has no owner.

Examples:
  pushring owner --config pushring.json /metrics/job/backup/instance/db1
  pushring owner --config live/ring.yaml --job backup --label instance=db1 --label path=/a=b
  pushring owner --config live/ring.yaml < paths | cut -f 1 | sort | uniq -c")]
pub(crate) struct OwnerArgs {
    /// Push paths, such as /metrics/job/backup/instance/db1; - for standard input
    #[arg(value_name = "PATH")]
    paths: Vec<OsString>,
    /// Job of the group, instead of a path
    #[arg(long, conflicts_with = "paths")]
    job: Option<String>,
    /// Another label of the group; the value starts after the first =. Repeatable
    #[arg(long = "label", value_name = "NAME=VALUE", requires = "job", value_parser = group_filter::label)]
    labels: Vec<(String, String)>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    fleet: FleetArgs,
}

impl OwnerArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitStatus> {
        let stdin = self.job.is_none() && (self.paths.is_empty() || self.paths == ["-"]);
        if stdin && self.paths.is_empty() && io::stdin().is_terminal() {
            bail!(BadInput(
                "nothing to look up; expected a PATH, --job, or - for paths from standard input".to_owned()
            ));
        }
        let alone = self.paths.len() <= 1 || self.paths.iter().all(|path| path != "-");
        ensure!(
            alone,
            BadInput("PATH: found - next to other paths, expected it alone or only paths".to_owned())
        );
        let fleet = self.fleet.source()?.read()?;
        for skipped in &fleet.skipped {
            output::warn(format_args!("skipped: {}", text::line(skipped)));
        }
        if stdin {
            return self.stream(&fleet.router);
        }
        let answers: Vec<Answer> = match &self.job {
            Some(job) => vec![lookup::answer(&fleet.router, self.path_of(&fleet.router, job)?.as_bytes())],
            None => self.paths.iter().map(|path| lookup::answer(&fleet.router, path.as_bytes())).collect(),
        };
        match self.output {
            Output::Json => output::print_json(&answers)?,
            Output::Table => output::print(table(&answers))?,
        }
        Ok(ExitStatus::found(!answers.iter().all(|answer| answer.verdict.is_good())))
    }

    fn stream(&self, router: &Router) -> anyhow::Result<ExitStatus> {
        let input = BufReader::with_capacity(BUFFER, io::stdin().lock());
        let output = BufWriter::with_capacity(BUFFER, io::stdout().lock());
        match lookup::stream(router, input, output, self.output == Output::Json) {
            Ok(all_good) => Ok(ExitStatus::found(!all_good)),
            // `pushring owner | head` closes the pipe, which is not an error.
            Err(error) if is_broken_pipe(&error) => Ok(ExitStatus::Done),
            Err(error) => Err(error),
        }
    }

    /// Returns the push path of the group that the flags describe.
    fn path_of(&self, router: &Router, job: &str) -> anyhow::Result<String> {
        ensure!(
            !job.is_empty(),
            BadInput("--job: found an empty value, allowed one character or more".to_owned())
        );
        let mut labels = vec![("job", job)];
        for (name, value) in &self.labels {
            let twice = labels.iter().any(|(known, _)| known == name);
            ensure!(
                !twice,
                BadInput(format!("--label {name}: found twice, allowed each name once (set job with --job)"))
            );
            labels.push((name, value));
        }
        let config = router.config();
        let path = |labels: &[(&str, &str)]| {
            let pairs = labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let path = labels_to_path(&config.path_prefix, config.utf8_names, pairs)?;
            router.group(path.as_bytes()).is_some_and(|group| group.labels.is_some()).then_some(path)
        };
        path(&labels).with_context(|| {
            let is_bad = |label: (&str, &str)| path(&[("job", job), label]).is_none();
            let (name, _) = labels[1..].iter().copied().find(|label| is_bad(*label)).unwrap_or(labels[0]);
            let allowed =
                if config.utf8_names { "any name" } else { "[a-zA-Z_][a-zA-Z0-9_]* (utf8_names is off)" };
            BadInput(format!(
                "--label: found the name {name:?}, expected {allowed} that does not start with __"
            ))
        })
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|error| io_error_kind(error) == Some(io::ErrorKind::BrokenPipe))
}

fn io_error_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => Some(error.kind()),
        None => error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind),
    }
}

fn table(answers: &[Answer]) -> Table {
    let mut table = output::table(&[]);
    for (index, answer) in answers.iter().enumerate() {
        if index > 0 {
            table.add_row(["", ""]);
        }
        let member = |member: &Named| match member.name == member.address {
            true => member.name.clone(),
            false => format!("{} ({})", member.name, member.address),
        };
        let word = answer.verdict.word();
        let verdict = answer.status.map_or_else(|| word.to_owned(), |status| format!("{word} ({status})"));
        let successors = Some(answer.successors.join(", ")).filter(|names| !names.is_empty());
        let rows = [
            ("path", Some(answer.path.clone())),
            ("verdict", Some(verdict)),
            ("group", answer.labels.as_ref().map(output::group)),
            ("key", answer.key.clone()),
            ("hash", answer.hash.clone()),
            ("owner", answer.owner.as_ref().map(member)),
            ("replica", answer.replica.as_ref().map(member)),
            ("successors", successors),
            ("url", answer.url.clone()),
        ];
        // Without `mirror: all`, no group has a replica.
        for (name, value) in rows.into_iter().filter(|(name, value)| *name != "replica" || value.is_some()) {
            table.add_row([name, &value.unwrap_or_else(|| "-".to_owned())]);
        }
    }
    table
}
