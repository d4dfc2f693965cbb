//! Headers that Consul sends with the health check, such as credentials.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use reqwest::header::{HeaderName, HeaderValue};

use crate::error::BadInput;
use crate::file;
use crate::text;

/// Start of the names with which a request asks something of pushring: a check with them would not reach the gateway.
const OURS: &str = "x-pushring-";

/// Parses the values of `--check-header`: `Name: value`, or `@FILE` with one such header on each line. An error shows the
/// source and the number of the line, but no value, because it may be a password.
///
/// # Errors
/// [`BadInput`]: a file cannot be read, or a line is not a header.
pub(crate) fn parse(given: &[String]) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (index, text) in given.iter().enumerate() {
        let (source, lines) = match text.strip_prefix('@') {
            Some(file) => (file.to_owned(), file_text(Path::new(file))?),
            None if given.len() == 1 => ("--check-header".to_owned(), text.clone()),
            None => (format!("--check-header ({} of {})", index + 1, given.len()), text.clone()),
        };
        ensure!(
            !lines.trim().is_empty(),
            BadInput(format!("{source}: found no header; allowed \"Name: value\" on each line"))
        );
        for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let header = header(line);
            let ours = header.as_ref().is_some_and(|(name, _)| name.to_ascii_lowercase().starts_with(OURS));
            let message = "is a header for pushring itself, which an Envoy obeys; allowed any other name";
            ensure!(!ours, BadInput(format!("{source}: line {} {message}", number + 1)));
            ensure!(
                header.is_some(),
                BadInput(format!("{source}: line {} is no header; allowed \"Name: value\"", number + 1))
            );
            if let Some((name, value)) = header {
                headers.entry(name).or_default().push(value);
            }
        }
    }
    Ok(headers)
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    HeaderName::try_from(name).ok()?;
    HeaderValue::try_from(value).ok()?;
    Some((name.to_owned(), value.to_owned()))
}

fn file_text(path: &Path) -> anyhow::Result<String> {
    file::read_text(path).with_context(|| BadInput(text::path(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers_from_arguments_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("headers");
        std::fs::write(&file, "Authorization: Basic YTpi\n\nX-Scope:  a: b \n").unwrap();
        let headers = parse(&["X-Scope: c".to_owned(), format!("@{}", file.display())]).unwrap();
        assert_eq!(headers["Authorization"], ["Basic YTpi"]);
        assert_eq!(headers["X-Scope"], ["c", "a: b"]);
    }

    #[test]
    fn headers_of_pushring_are_refused() {
        let error = parse(&["X-Pushring-Gateway: 10.0.0.1:9091".to_owned()]).unwrap_err();
        assert!(
            error.is::<BadInput>() && error.to_string().contains("line 1 is a header for pushring"),
            "{error}"
        );
    }

    #[test]
    fn an_error_does_not_show_the_value() {
        for text in ["Authorization Basic secret", "A B: secret", "Authorization: secret\u{7}"] {
            let error = parse(&[text.to_owned()]).unwrap_err();
            assert!(error.is::<BadInput>() && !error.to_string().contains("secret"), "{error}");
        }
        let good = "X-Scope: a".to_owned();
        let error = parse(&[good.clone(), "secret".to_owned(), good]).unwrap_err().to_string();
        assert!(error.starts_with("--check-header (2 of 3): line 1 is no header"), "{error}");
        assert!(parse(&["@/nowhere".to_owned()]).unwrap_err().to_string().contains("/nowhere"));
    }
}
