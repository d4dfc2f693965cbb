//! `pushring plan --live` with real Pushgateways.

use std::fs;

use pushring_harness::{Pushgateway, command};
use serde_json::{Value, json};

/// The command counts each stored group once, and those that move between the rings of both files.
#[test]
fn counts_the_groups_on_the_gateways() {
    let dir = tempfile::tempdir().unwrap();
    let mut gateways: Vec<_> = (0..2).map(|_| Pushgateway::start(dir.path(), &[]).unwrap()).collect();
    for number in 0..200 {
        let path = format!("/metrics/job/j{}/instance/{number}", number % 5);
        gateways[number % 2].client().unwrap().put(&path, "x 1\n").unwrap();
    }
    // A group on both gateways counts once.
    gateways[1].client().unwrap().put("/metrics/job/j0/instance/0", "x 1\n").unwrap();
    let addresses: Vec<String> = gateways.iter().map(|gateway| gateway.address.to_string()).collect();
    let [from, to] = [("from", &addresses[..]), ("to", &addresses[..1])].map(|(name, members)| {
        let path = dir.path().join(name);
        fs::write(&path, json!({"members": members}).to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    });

    let args = ["plan", "--from", &from, "--to", &to, "--live", "--output", "json"];
    let output = command::pushring(args).unwrap();
    assert_eq!(output.code, 0, "{}", output.stderr);
    let plan = output.json().unwrap();
    let paths = (0..200).map(|number| format!("/metrics/job/j{}/instance/{number}", number % 5));
    let owners =
        command::pushring(["owner".to_owned(), "--config".into(), from.clone()].into_iter().chain(paths));
    let leaving = owners.unwrap().stdout.matches(&format!("owner       {}", addresses[1])).count();
    assert!(leaving > 50, "{leaving}");
    assert_eq!(plan["groups"], json!({"counted": 200, "moved": leaving, "skipped": 0}));
    let flow = json!({"from": addresses[1], "to": addresses[0], "groups": leaving});
    assert_eq!(without(&plan["flows"][0], "share"), flow);

    gateways[1].process.kill();
    let output = command::pushring(args).unwrap();
    assert_eq!(output.code, 1, "fewer groups than there are: {}", output.stdout);
    assert!(output.stderr.contains(&addresses[1]), "{}", output.stderr);
}

fn without(object: &Value, field: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(field);
    object
}
