//! Several configurations and many requests in one VM: each request uses its own configuration, and no memory leaks.

use crate::host::Vm;
use crate::{DESTINATION, forged, vm};

/// Returns a configuration with one member, whose name identifies the configuration.
fn config(member: usize) -> String {
    format!(r#"{{"members": ["10.0.0.{member}:1"]}}"#)
}

#[track_caller]
fn check(vm: &mut Vm, request: u32, member: usize) {
    let outcome = vm.finish(request, forged("PUT", b"/metrics/job/a")).expect("no trap");
    assert_eq!(outcome.values(DESTINATION), [format!("pushgateway-10.0.0.{member}:1").as_bytes()]);
}

/// Envoy keeps several root contexts while requests of an old configuration are in flight, and when plugins share a VM.
#[test]
fn a_request_uses_the_configuration_under_which_it_began() {
    let mut vm = vm(&config(0));
    let mut roots = vec![vm.root().expect("in force")];
    for member in 1..4 {
        assert!(vm.configure_additional(config(member).as_bytes()).expect("no trap"));
        roots.push(vm.root().expect("in force"));
    }
    assert!(!vm.configure_additional(b"{}").expect("no trap"));
    for _ in 0..3 {
        let mut requests: Vec<(u32, usize)> = Vec::new();
        for i in 0..12 {
            requests.push((vm.begin_under(roots[i % 4]).expect("no trap"), i % 4));
        }
        // Neither in the order in which they began nor in reverse.
        for i in [5, 0, 11, 3, 6, 1, 10, 2, 9, 4, 8, 7] {
            check(&mut vm, requests[i].0, requests[i].1);
        }
    }
}

/// Envoy deletes the roots of old configurations while their requests are still in flight, in any order.
#[test]
fn a_request_outlives_its_configuration() {
    let mut vm = vm(&config(0));
    let waiting: Vec<u32> = (0..4)
        .map(|member| {
            let request = vm.begin().expect("no trap");
            assert!(vm.configure(config(member + 1).as_bytes()).expect("no trap"));
            request
        })
        .collect();
    for member in [2, 0, 3, 1] {
        check(&mut vm, waiting[member], member);
    }
    let last = vm.begin().expect("no trap");
    check(&mut vm, last, 4);
}

/// An earlier filter may answer a request: its context is created and deleted, but its headers never arrive.
#[test]
fn a_request_without_headers_leaks_nothing() {
    let mut vm = vm(&config(0));
    let mut run = |requests: u32| {
        for _ in 0..requests {
            let never = vm.begin().expect("no trap");
            let asked = vm.begin().expect("no trap");
            check(&mut vm, asked, 0);
            vm.delete(never).expect("no trap");
        }
        (vm.memory(), vm.instructions().expect("they are counted"))
    };
    let (memory, start) = run(1000);
    let (_, thousand) = run(1000);
    let (after, end) = run(100_000);
    assert_eq!(memory, after);
    // A table that grows would also take longer to search.
    assert!(end - thousand < (thousand - start) * 101, "{} after {}", end - thousand, thousand - start);
}

/// A ring is freed together with its root or with the last request that was in flight.
#[test]
fn a_ring_is_freed() {
    let members: Vec<String> = (0..200).map(|i| format!("\"10.0.0.{i}:9091\"")).collect();
    let json = format!(r#"{{"members": [{}]}}"#, members.join(","));
    let mut vm = vm(&json);
    let mut reload = || {
        let (asked, never) = (vm.begin().expect("no trap"), vm.begin().expect("no trap"));
        assert!(vm.configure(json.as_bytes()).expect("no trap"));
        vm.finish(asked, forged("PUT", b"/metrics/job/a")).expect("no trap");
        vm.delete(never).expect("no trap");
        vm.memory()
    };
    let memory = (0..3).map(|_| reload()).last();
    let after = (0..20).map(|_| reload()).last();
    assert_eq!(memory, after);
}
