//! Executes the blocks of a document in their order, as a reader would.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pushring_harness::{Process, command, process, tools};
use serde_json::Value;
use tempfile::TempDir;

use crate::blocks::{self, Block, Kind};
use crate::output;

/// Ends a command that hangs; no command of a document takes that long.
const LIMIT_SECONDS: &str = "170";

/// A document that is being executed. Its background commands end when it is dropped.
pub(crate) struct Walk {
    document: String,
    blocks: Vec<Block>,
    next: usize,
    /// Standard output of the last commands.
    pub(crate) printed: String,
    running: Vec<Process>,
    replacements: Vec<(String, String)>,
    folder: PathBuf,
    dir: TempDir,
}

impl Walk {
    /// Prepares a document. Its commands start in `folder`.
    pub(crate) fn of(document: &str, folder: &Path) -> Self {
        let mut blocks = blocks::read(document).unwrap_or_else(|error| panic!("{error}"));
        blocks.retain(|block| !matches!(block.kind, Kind::NotExecuted { .. }));
        let dir = tempfile::tempdir().unwrap();
        let (document, folder) = (document.to_owned(), folder.to_owned());
        let (printed, running, replacements) = (String::new(), Vec::new(), Vec::new());
        Self { document, blocks, next: 0, printed, running, replacements, folder, dir }
    }

    /// Replaces texts of blocks, for the alternative that a document names in a sentence.
    pub(crate) fn replace(mut self, replacements: &[(&str, &str)]) -> Self {
        self.replacements = replacements.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        self
    }

    /// Executes the next block and what it prints; it must be in the section with this heading.
    #[track_caller]
    pub(crate) fn next(&mut self, heading: &str) {
        let block = self.peek().expect("the document has another block").clone();
        assert_eq!(block.section, heading, "{}: the next block is in another section", self.at(&block));
        self.execute(&block);
        self.next += 1;
        if let Some(output) = self.peek().filter(|block| block.kind == Kind::Output).cloned() {
            self.execute(&output);
            self.next += 1;
        }
    }

    /// Executes all blocks that are left in the section with this heading.
    #[track_caller]
    pub(crate) fn section(&mut self, heading: &str) {
        assert!(self.peek().is_some_and(|block| block.section == heading), "no block is left in {heading:?}");
        while self.peek().is_some_and(|block| block.section == heading) {
            self.next(heading);
        }
    }

    /// Executes all blocks that are left.
    #[track_caller]
    pub(crate) fn rest(mut self) -> Self {
        while let Some(block) = self.peek() {
            let section = block.section.clone();
            self.next(&section);
        }
        self
    }

    /// Fails if a block was not executed, so that no new block is forgotten.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        if let Some(block) = self.peek() {
            panic!("{}: the test does not execute this block", self.at(block));
        }
        for process in &mut self.running {
            process.kill();
        }
    }

    fn peek(&self) -> Option<&Block> {
        self.blocks.get(self.next)
    }

    fn at(&self, block: &Block) -> String {
        format!("{}:{}", self.document, block.line)
    }

    #[track_caller]
    fn execute(&mut self, block: &Block) {
        let at = self.at(block);
        println!("{at}: {:?}", block.kind);
        let text = self.replacements.iter().fold(block.text.clone(), |text, (a, b)| text.replace(a, b));
        match &block.kind {
            Kind::Commands { exit } => {
                let (code, stdout, stderr) = self.shell(&text, false);
                self.printed = stdout;
                assert_eq!(code, *exit, "{at}: exit code of\n{text}\n{}{stderr}", self.printed);
            }
            Kind::Background => self.start(block, &text),
            Kind::Unit => self.start(block, &unit(&text)),
            Kind::Output => {
                output::compare(&text, &self.printed).unwrap_or_else(|error| panic!("{at}: {error}"));
            }
            Kind::Console => {
                for (command, expected) in console(&text) {
                    let (_, found, _) = self.shell(&command, true);
                    output::compare(&expected, &found)
                        .unwrap_or_else(|error| panic!("{at}: $ {command}: {error}"));
                }
            }
            Kind::File { path } => fs::write(self.folder.join(path), &text).unwrap(),
            Kind::Edit { path } => {
                edit(&self.folder.join(path), &text).unwrap_or_else(|error| panic!("{at}: {error}"))
            }
            Kind::NotExecuted { .. } => {}
        }
    }

    fn start(&mut self, block: &Block, text: &str) {
        let script = self.script(text);
        let command = self.environment(process::command(Path::new("bash")).arg(script));
        let name = format!("line-{}", block.line);
        self.running.push(Process::start(&name, command, self.dir.path()).unwrap());
    }

    /// Runs commands until one of them fails. Returns exit code, standard output and standard error.
    fn shell(&self, text: &str, merged: bool) -> (i32, String, String) {
        let script = self.script(&format!("{}{text}", if merged { "exec 2>&1\n" } else { "" }));
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", LIMIT_SECONDS, "bash"]).arg(script).stdin(Stdio::null());
        let output = self.environment(&mut command).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    fn script(&self, text: &str) -> PathBuf {
        // Bash reads the script of a background command later.
        let path = self.dir.path().join(format!("{}.sh", self.next));
        fs::write(&path, format!("set -e -o pipefail\n{text}")).unwrap();
        path
    }

    /// Gives a command the programs under test as if they were installed.
    fn environment(&self, command: &mut Command) -> Command {
        let mut owned = Command::new(command.get_program());
        owned.args(command.get_args()).stdin(Stdio::null());
        let mut owned = command::prepare(owned);
        let servers = tools::repository().join("target/tools/bin");
        let path = tools::path().unwrap();
        let folders: Vec<_> = [servers].into_iter().chain(env::split_paths(&path)).collect();
        owned.env("PATH", env::join_paths(folders).unwrap()).current_dir(&self.folder);
        owned
    }
}

/// Returns the command of a systemd unit with its environment.
fn unit(text: &str) -> String {
    let joined = text.replace("\\\n", "");
    let value = |name: &'static str| joined.lines().filter_map(move |line| line.strip_prefix(name));
    let variables: String = value("Environment=").map(|variable| format!("export {variable}\n")).collect();
    let command: String = value("ExecStart=").collect();
    // The program under test is in PATH.
    variables + command.trim_start_matches("/usr/local/bin/")
}

/// Splits a console block into commands and what each prints.
fn console(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut continued = false;
    for line in text.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.to_owned(), String::new())),
            (None, Some((command, _))) if continued => command.extend(["\n", line]),
            (None, Some((_, output))) => output.extend([line, "\n"]),
            (None, None) => panic!("found {line:?}; a console block starts with `$ `"),
        }
        continued = line.ends_with('\\') && (continued || line.starts_with("$ "));
    }
    found
}

/// Sets fields of a YAML file; the other fields stay.
fn edit(path: &Path, fields: &str) -> Result<(), String> {
    let parse = |text: &str| serde_saphyr::from_str::<Value>(text).map_err(|error| error.to_string());
    let mut all = parse(&fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?)?;
    merge(&mut all, parse(fields)?)?;
    let text = serde_saphyr::to_string(&all).map_err(|error| error.to_string())?;
    // Renamed, as editors do.
    let new = path.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, path)).map_err(|error| error.to_string())
}

fn merge(all: &mut Value, fields: Value) -> Result<(), String> {
    let (Value::Object(all), Value::Object(fields)) = (all, fields) else {
        return Err("an edit sets fields of a mapping".to_owned());
    };
    for (name, value) in fields {
        let old = all.get_mut(&name).ok_or_else(|| format!("the file has no field {name:?}"))?;
        // A placement is one value: its type decides which other fields it has.
        if old.is_object() && value.is_object() && value.get("type").is_none() {
            merge(old, value)?;
        } else {
            *old = value;
        }
    }
    Ok(())
}
