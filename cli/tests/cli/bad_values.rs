//! A bad value of an option ends with exit code 2 and a message that names the option, the value and the expected ones.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::tempdir;

fn error(dir: &Path, args: &[&[u8]]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
    command.current_dir(dir).args(args.iter().map(|arg| OsStr::from_bytes(arg))).stdin(Stdio::null());
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
    assert!(!stderr.contains(['\u{1b}', '\u{7f}']) && !stderr.contains("s3cret"), "{args:?}: {stderr}");
    stderr
}

/// Arguments, separated by `|`, and parts of the message.
const CASES: &[(&str, &[&str])] = &[
    (
        "plan|--from|c",
        &["--to: found no change of --from", "expected --to FILE, --add, --remove or --weight"],
    ),
    ("plan|--from|c|--remove|", &["--remove: found \"\"", "expected a member; members: 10.0.0.1:9091"]),
    ("plan|--from|c|--remove|x\u{1b}", &["--remove: found \"x\\u{1b}\""]),
    ("plan|--from|c|--add|a:1=-1", &["--add: found weight \"-1\"", "expected a whole number from 1 to 100"]),
    ("plan|--from|c|--add|a:1=+1", &["--add: found weight \"+1\"", "expected"]),
    ("plan|--from|c|--add|", &["--add: address: found \"\"", "host:port"]),
    ("plan|--from|c|--weight|10.0.0.1:9091", &["--weight: found \"10.0.0.1:9091\"", "expected NAME=N"]),
    ("plan|--from|c|--weight|10.0.0.1:9091=2|--weight|10.0.0.1:9091=3", &["--weight: found", "twice"]),
    (
        "plan|--from|c|--to|c|--svg|link",
        &["--svg: link: found a link", "expected a file or a name that is free"],
    ),
    ("plan|--from|c|--to|c|--svg|.", &["--svg: .: found a directory", "expected a file"]),
    ("plan|--from|c|--to|c|--svg|none/x", &["--svg: none/x: ", "check the path"]),
    ("deregister", &["ADDRESS: found none", "expected host:port", "--from-dynamic-sharding"]),
    ("register", &["ADDRESS: found none", "expected host:port", "--from-dynamic-sharding"]),
    (
        "register|10.0.0.1:9091|--stay|--no-probe|--etcd|http://127.0.0.1:1|--name|a\nb",
        &["--name: found \"a\\nb\"", "allowed 1 to 253 visible ASCII"],
    ),
    (
        "discover|--from|etcd|--consul|a:1",
        &["--consul: only for --from consul, found --from etcd", "remove --consul, or change --from"],
    ),
    ("discover|--from|file|--file|c|--etcd|http://a:1", &["--etcd: only for --from etcd, found --from file"]),
    (
        "discover|--from|file|--file|c|--service|x",
        &["--service: only for --from consul or etcd or kubernetes"],
    ),
    ("discover|--from|consul|--file|c", &["--file: only for --from file, found --from consul"]),
    (
        "discover|--from|dns|--dns|a.b|--namespace|x",
        &["--namespace: only for --from kubernetes, found --from dns"],
    ),
    ("discover|--from|consul|--dns|a.b|--once", &["--dns: only for --from dns, found --from consul"]),
    (
        "discover|--from|file|--file|c|--plugin|a/b",
        &["--plugin: only for --to wasmplugin, found --to files", "remove --plugin, or change --to"],
    ),
    ("discover|--from|file|--file|c|--state|s", &["--state: only for --to wasmplugin, found --to files"]),
    (
        "discover|--from|file|--file|c|--to|wasmplugin|--plugin|a|--service-entry|b|--live|out",
        &["--live: only for --to files, found --to wasmplugin"],
    ),
    (
        "discover|--from|file|--file|c|--to|wasmplugin|--plugin|a|--service-entry|b|--admin|http://a:1",
        &["--admin: only for --to files, found --to wasmplugin"],
    ),
    (
        "discover|--from|file|--file|c|--to|wasmplugin|--plugin|a/B|--service-entry|b",
        &["--plugin: found \"B\"", "lower-case letters"],
    ),
    (
        "discover|--from|file|--file|c|--to|wasmplugin|--plugin|A/b|--service-entry|b",
        &["--plugin, namespace: found \"A\""],
    ),
    (
        "discover|--from|file|--file|c|--to|wasmplugin|--plugin|a/b|--service-entry|a/b/c",
        &["--service-entry: found \"b/c\""],
    ),
    (
        "sweep|--config|c|--watch|1m|--single|--etcd|http://a:1",
        &["--etcd: only for --lock etcd; remove it, or add --lock etcd"],
    ),
    (
        "sweep|--config|c|--watch|1m|--lock|etcd|--etcd|http://a:1|--namespace|x",
        &["--namespace: only for --lock kubernetes"],
    ),
    ("register|a:1|--service|a.b", &["--service: found \"a.b\""]),
    ("register|a:1|--failures-before-critical|0", &["--failures-before-critical", "'0'", "from 1 to"]),
    ("register|a:1|--failures-before-critical|-1", &["--failures-before-critical", "'-1'", "from 1 to"]),
    ("register|a:1|--deregister-after|1s", &["--deregister-after", "'1s'", "expected 1m or more"]),
    ("register|a:1|--path-prefix|/a b", &["--path-prefix", "'/a b'", "allowed"]),
    ("register|a:1|--path-prefix|/a?b", &["--path-prefix", "'/a?b'", "allowed"]),
    ("register|a:1|--check-tls-server-name|", &["--check-tls-server-name", "''", "expected a DNS name"]),
    ("register|a:1|--check-header|", &["--check-header: found no header", "\"Name: value\""]),
    ("register|a:1|--consul|unix://x", &["--consul: found \"unix://x\"", "unix:///path"]),
    ("owner|--config|c|--job|a|--label|1b=c", &["--label: found the name \"1b\"", "expected [a-zA-Z_]"]),
    ("owner|--config|c|--job|a|--label|b=1|--label|__c=1", &["--label: found the name \"__c\""]),
    ("owner|--config|c|--job|a|--label|=c", &["--label", "'=c'", "expected NAME=VALUE"]),
    ("owner|--config|c|-|/metrics/job/a", &["PATH: found - next to other paths"]),
    ("groups|--config|c|--gateway-concurrency|1e3", &["--gateway-concurrency", "'1e3'", "from 1 to 256"]),
    ("groups|--config|c|--gateway-timeout|-1s", &["--gateway-timeout", "'-1s'", "expected 1ms to 1h"]),
    ("groups|--config|c|--older-than|NaN", &["--older-than", "'NaN'", "expected 0s or more"]),
    ("groups|--config|c|--job|", &["--job", "''", "expected a regular expression"]),
    (
        "groups|--config|c|--label|a=1|--label|a=2",
        &["--label a: found \"1\" and \"2\"", "expected one value"],
    ),
    ("groups|--config|c|--older-than|2h|--younger-than|2h", &["--younger-than: found", "expected more"]),
    ("groups|--config|c|--consul|", &["--consul: found \"\"", "expected host:port"]),
    ("groups|--config|c|--consul|a|--tag| ", &["--tag: found an empty tag", "expected"]),
    (
        "groups|--config|c|--consul|a|--min-members-share|-1",
        &["--min-members-share", "'-1'", "expected 0 to 1"],
    ),
    ("expire|--config|c|--job|=1h", &["--job", "'=1h'", "expected a regular expression"]),
    ("delete|--config|c|--yes|--label|a=1|--label|a=2", &["--label a: found", "no group has both"]),
    (
        "sweep|--config|c|--watch|1m|--single|--listen|x",
        &["--listen", "'x'", "expected an IP address and a port"],
    ),
    ("publish|--live|c", &["--live: found c, which is no directory"]),
];

#[test]
fn an_error_names_the_option_the_value_and_the_expected_ones() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("c"), json!({"members": ["10.0.0.1:9091"]}).to_string()).unwrap();
    symlink("c", dir.path().join("link")).unwrap();
    for (line, parts) in CASES {
        let args: Vec<&[u8]> = line.split('|').map(str::as_bytes).collect();
        let message = error(dir.path(), &args);
        for part in *parts {
            assert!(message.contains(part), "{line}: no {part:?} in {message}");
        }
    }
}

#[test]
fn an_argument_that_is_not_utf8_is_named() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("c"), json!({"members": ["10.0.0.1:9091"]}).to_string()).unwrap();
    for (args, start) in [
        (&[&b"owner"[..], b"--config", b"c", b"--job", b"a\xff"][..], "--job: found a\\xff, expected UTF-8"),
        (&[b"owner", b"--config", b"c", b"--job", b"a", b"--label", b"x=\xff"], "--label: found x=\\xff"),
        (
            &[b"groups", b"--config", b"c", b"--consul", b"http://a:s3cret@h\xff"],
            "--consul: found http://***@h\\xff",
        ),
        (&[b"owner", b"--config", b"c", b"--job=a\xff"], "--job: found a\\xff, expected UTF-8"),
        (
            &[b"groups", b"--config", b"c", b"--gateway-token", b"s3cret\xff"],
            "--gateway-token: found ***, expected",
        ),
        (
            &[b"groups", b"--config", b"c", b"--gateway-password=s3cret\xff"],
            "--gateway-password: found ***, expected",
        ),
        (&[b"register", b"a:1", b"--check-header", b"a: s3cret\xff"], "--check-header: found ***, expected"),
        (&[b"drain", b"--config", b"c", b"\xff:1"], "argument: found \\xff:1, expected UTF-8"),
        (&[b"owner", b"--config", b"\xff", b"/metrics/job/a"], "--config: \\xff: "),
    ] {
        let message = error(dir.path(), args);
        assert!(message.starts_with(&format!("pushring: {start}")), "{message}");
    }
}

/// Containers and shells often pass a variable that has no value.
#[test]
fn an_empty_variable_counts_as_not_set() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("settings.yaml"), "filter: {}\n").unwrap();
    for args in [
        ["discover", "--from", "kubernetes", "--once", "--settings", "settings.yaml", "--live", "live"]
            .as_slice(),
        &["sweep", "--config", "c", "--watch", "1m", "--lock", "kubernetes"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushring"));
        command
            .current_dir(dir.path())
            .args(args)
            .env("KUBECONFIG", "")
            .env_remove("KUBERNETES_SERVICE_HOST");
        for empty in
            ["CONSUL_HTTP_TOKEN", "CONSUL_CACERT", "PUSHRING_GATEWAY_TOKEN_FILE", "PUSHRING_SLOW_API"]
        {
            command.env(empty, "");
        }
        let message = String::from_utf8(command.output().unwrap().stderr).unwrap();
        assert!(message.contains("not in a pod") && message.contains("pass --kubeconfig"), "{message}");
    }
}

/// The filter's part of the settings is checked before the registrations, so the message names the file.
#[test]
fn a_bad_file_is_named_with_its_field() {
    let dir = tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("good.yaml", "filter: {}\n");
    write("good.json", r#"{"registrations": [{"address": "10.0.0.1", "port": 9091}]}"#);
    let publish = |settings: &str, registrations: &str| {
        let args = ["publish", "--live", "live", "--settings", settings, "--registrations", registrations];
        error(dir.path(), &args.map(str::as_bytes))
    };
    let discover = |settings: &str, name: &str, live: &str| {
        let args =
            ["discover", "--from", "dns", "--dns", name, "--once", "--settings", settings, "--live", live];
        error(dir.path(), &args.map(str::as_bytes))
    };
    for (text, part) in [
        ("", "found no field"),
        ("# all: out", "found no field"),
        ("filter: {mode: x}", "filter: mode: found \"x\""),
        ("filter: {mode: ", "filter"),
        ("filter: [1]", "filter: found something else, expected an object"),
        ("filters: {}", "filters: unknown field `filters`, expected one of consul"),
        ("filter: {}\nfilter: {}", "duplicate mapping key: filter"),
        ("filter: {}\n---\nfilter: {}", "found a second YAML document"),
        ("min_members_share: .nan", "min_members_share: found NaN, allowed 0 to 1"),
        ("min_members_share: half", "min_members_share: found no number"),
        ("consul: {service: a, tags: ['']}", "consul.tags: found an empty tag"),
        ("gateways: {ca_file: [x]}", "gateways.ca_file: found something else, expected text"),
    ] {
        write("bad.yaml", text);
        let message = publish("bad.yaml", "good.json");
        assert!(message.starts_with("pushring: --settings: bad.yaml: "), "{text}: {message}");
        assert!(message.contains(part), "{text}: {message}");
        let message = discover("bad.yaml", "a.b", "live");
        assert!(message.starts_with("pushring: bad.yaml: ") && message.contains(part), "{text}: {message}");
    }
    for name in ["", "."] {
        let message = discover("good.yaml", name, "other");
        assert!(
            message.contains(&format!("--dns: found {name:?}")) && message.contains("empty"),
            "{message}"
        );
    }
    for (text, part) in [
        ("", "found nothing, expected JSON"),
        ("\u{feff}{}", "found a byte order mark"),
        ("[]", "invalid length 0, expected an object with the list registrations"),
        ("{}", "missing field `registrations`"),
        (r#"{"registrations": {}}"#, "registrations: invalid type: map, expected a list"),
        (r#"{"registrations": [{"port": 1}"#, "registrations: EOF while parsing a list"),
        (r#"{"registrations": []} x"#, "trailing characters"),
        (r#"{"registrations": [], "registrations": []}"#, "duplicate field `registrations`"),
    ] {
        write("bad.json", text);
        let message = publish("good.yaml", "bad.json");
        assert!(message.starts_with("pushring: --registrations: bad.json: "), "{text}: {message}");
        assert!(message.contains(part), "{text}: {message}");
    }
    assert!(!dir.path().join("live").exists());
}
