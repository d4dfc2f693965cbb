//! The code blocks of a document, and which of them a test executes. docs/style.md explains the marks to writers.

use std::fs;
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use pushring_harness::tools;

/// Starts the comment before a block that is not executed; the reason follows.
const NOT_EXECUTED: &str = "<!-- not executed: ";

/// A code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// The last heading before it.
    pub(crate) section: String,
    /// The line of the document where it begins, from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// How to treat a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `sh`, `sh exit=2`: commands; the exit code of the last one.
    Commands { exit: i32 },
    /// `sh background`: a command that keeps running.
    Background,
    /// `text` right after commands: what they print.
    Output,
    /// `console`: commands after `$ ` and what they print.
    Console,
    /// `… file=PATH`: the content of a file.
    File { path: String },
    /// `yaml edit=PATH`: fields to set in a YAML file.
    Edit { path: String },
    /// `ini unit`: the command of a systemd unit, which keeps running.
    Unit,
    /// With the reason.
    NotExecuted { reason: String },
}

/// Returns the blocks of a document, by its path in the repository.
pub(crate) fn read(document: &str) -> Result<Vec<Block>, String> {
    let path = tools::repository().join(document);
    let text = fs::read_to_string(&path).map_err(|error| format!("{document}: {error}"))?;
    parse(&text).map_err(|error| format!("{document}{error}"))
}

/// Returns the Markdown files of the repository that users and contributors read.
pub(crate) fn documents() -> Vec<String> {
    let root = tools::repository();
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/command", "docs/index", "docs/install", "examples"] {
        collect(&root, Path::new(folder), folder == "examples", &mut found);
    }
    found.sort();
    found
}

fn collect(root: &Path, folder: &Path, deep: bool, found: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if deep && entry.path().is_dir() {
            collect(root, &path, deep, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path.display().to_string());
        }
    }
}

/// Parses the text of a document.
pub(crate) fn parse(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut section, mut in_heading) = (String::new(), false);
    let mut reason = None;
    let mut open: Option<(usize, Option<String>, String)> = None;
    for (event, range) in Parser::new(text).into_offset_iter() {
        let line = text[..range.start].matches('\n').count() + 1;
        match event {
            Event::Start(Tag::Heading { .. }) => (in_heading, section) = (true, String::new()),
            Event::End(TagEnd::Heading(_)) => in_heading = false,
            Event::Text(part) | Event::Code(part) if in_heading => section.push_str(&part),
            Event::Html(html) => {
                if let Some(found) = html.trim().strip_prefix(NOT_EXECUTED) {
                    reason = Some(found.trim_end_matches("-->").trim().to_owned());
                }
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => Some(info.to_string()),
                    CodeBlockKind::Indented => None,
                };
                open = Some((line, info, String::new()));
            }
            Event::Text(part) if open.is_some() => {
                if let Some((_, _, text)) = &mut open {
                    text.push_str(&part);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                let Some((line, info, text)) = open.take() else { continue };
                let follows = blocks.last().is_some_and(|last| matches!(last.kind, Kind::Commands { .. }));
                let kind = kind(info.as_deref(), reason.take(), follows)
                    .map_err(|error| format!(":{line}: {error}"))?;
                blocks.push(Block { section: section.clone(), line, kind, text });
            }
            // The comment belongs to the block right after it.
            Event::Start(Tag::Paragraph) => reason = None,
            _ => {}
        }
    }
    Ok(blocks)
}

fn kind(info: Option<&str>, reason: Option<String>, after_commands: bool) -> Result<Kind, String> {
    let info = info.ok_or("found an indented code block; expected a fenced one with a language")?;
    if let Some(reason) = reason {
        return match reason.len() {
            0 => Err("found `not executed` without a reason".to_owned()),
            _ => Ok(Kind::NotExecuted { reason }),
        };
    }
    let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
    let path = |mark: &str| mark.to_owned();
    match (language, mark.split_once('=').unwrap_or((mark, ""))) {
        ("sh", ("", "")) => Ok(Kind::Commands { exit: 0 }),
        ("sh", ("exit", code)) => {
            let exit = code.parse().map_err(|_| format!("found exit={code:?}; expected a number"))?;
            Ok(Kind::Commands { exit })
        }
        ("sh", ("background", "")) => Ok(Kind::Background),
        ("ini", ("unit", "")) => Ok(Kind::Unit),
        ("console", ("", "")) => Ok(Kind::Console),
        ("text", ("", "")) if after_commands => Ok(Kind::Output),
        ("yaml", ("edit", file)) => Ok(Kind::Edit { path: path(file) }),
        (_, ("file", file)) => Ok(Kind::File { path: path(file) }),
        _ => Err(format!(
            "found a code block with {info:?}; expected one of the marks of docs/style.md#code-blocks, or the comment \
             `{NOT_EXECUTED}<reason> -->` before it"
        )),
    }
}
