//! Checks the compiled filter against the golden vectors.

use pushring_router::{Router, labels_to_path};

use crate::host::Vm;
use crate::{DESTINATION, forged, vectors, vm};

fn configured(set: &vectors::Set, prefix: &str, route_by: &str, utf8_names: bool) -> Vm {
    let config = set.config(prefix, route_by, utf8_names);
    assert!(Router::parse(config.as_bytes()).is_ok());
    vm(&config)
}

fn push(vm: &mut Vm, path: &[u8]) -> crate::host_state::Outcome {
    vm.request(forged("PUT", path)).expect("no trap")
}

/// Pushes every key that a push path can have.
#[test]
fn owners_of_keys_match_the_vectors() {
    let mut checked = 0;
    for set in vectors::sets() {
        let mut vm = configured(&set, "", if set.points.is_some() { "group" } else { "path" }, false);
        for row in vectors::lookups().filter(|row| row.set == set.name) {
            let Some(path) = path_of(&row.key, set.points.is_some()) else { continue };
            let outcome = push(&mut vm, &path);
            assert_eq!(
                outcome.values(DESTINATION),
                [row.owner.as_bytes()],
                "{} in {}",
                path.escape_ascii(),
                set.name
            );
            checked += 1;
        }
    }
    assert!(checked > 300, "only {checked} rows checked");
}

/// Returns a path with this key, which consists of labels separated by 0xFF or is the decoded path.
fn path_of(key: &[u8], labels: bool) -> Option<Vec<u8>> {
    if !labels {
        let encode = |b: &u8| if b.is_ascii_graphic() { vec![*b] } else { format!("%{b:02X}").into_bytes() };
        return key.starts_with(b"/metrics/job/").then(|| key.iter().flat_map(encode).collect());
    }
    let parts: Vec<&[u8]> = key.split(|&b| b == 0xFF).collect();
    let pairs: Vec<(&[u8], &[u8])> = parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let mut sorted = pairs.clone();
    sorted.sort();
    // No push has the other keys: their labels are out of order, lack a value, or have no job.
    let canonical = sorted.iter().flat_map(|&(name, value)| [name, value]).collect::<Vec<_>>() == parts;
    labels_to_path("", false, pairs).filter(|_| canonical).map(String::into_bytes)
}

#[test]
fn owners_of_paths_match_the_vectors() {
    let (ten, three) = (vectors::set("ten"), vectors::set("ds-three"));
    let mut vms: Vec<((&str, &str, bool), Vm)> = Vec::new();
    for row in vectors::pushes() {
        let settings = (row.prefix, row.route_by, row.utf8_names);
        if vms.iter().all(|(known, _)| *known != settings) {
            let set = if row.route_by == "path" { &three } else { &ten };
            vms.push((settings, configured(set, row.prefix, row.route_by, row.utf8_names)));
        }
        let (_, vm) = vms.iter_mut().find(|(known, _)| *known == settings).expect("pushed above");
        let outcome = push(vm, row.path.as_bytes());
        let destination = outcome.values(DESTINATION);
        match row.outcome {
            "group" | "malformed" => assert_eq!(destination, [row.owner.as_bytes()], "{}", row.path),
            "poison" => assert_eq!(outcome.reply.map(|reply| reply.0), Some(400), "{}", row.path),
            _ => assert!(destination.is_empty() && outcome.reply.is_none(), "{}", row.path),
        }
    }
    assert!(vms.len() >= 5, "{} settings", vms.len());
}
