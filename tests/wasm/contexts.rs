//! Several configurations and many requests in one VM: each request goes by its own, and nothing of either stays.

use crate::host::Vm;
use crate::{DESTINATION, forged, vm};

/// A ring of one member, whose name tells them apart.
fn config(member: usize) -> String {
    format!(r#"{{"members": ["10.0.0.{member}:1"]}}"#)
}

#[track_caller]
fn check(vm: &mut Vm, request: u32, member: usize) {
    let outcome = vm.finish(request, forged("PUT", b"/metrics/job/a")).expect("no trap");
    assert_eq!(outcome.values(DESTINATION), [format!("pushgateway-10.0.0.{member}:1").as_bytes()]);
}

/// As while requests of an old configuration are under way, and when plugins share the id of the VM.
#[test]
fn a_request_goes_by_the_configuration_that_it_began_under() {
    let mut vm = vm(&config(0));
    let mut roots = vec![vm.root().expect("in force")];
    for member in 1..4 {
        assert!(vm.configure_beside(config(member).as_bytes()).expect("no trap"));
        roots.push(vm.root().expect("in force"));
    }
    assert!(!vm.configure_beside(b"{}").expect("no trap"));
    for _ in 0..3 {
        let mut requests: Vec<(u32, usize)> = Vec::new();
        for i in 0..12 {
            requests.push((vm.begin_under(roots[i % 4]).expect("no trap"), i % 4));
        }
        // Asked neither in the order in which they began nor in the opposite one.
        for i in [5, 0, 11, 3, 6, 1, 10, 2, 9, 4, 8, 7] {
            check(&mut vm, requests[i].0, requests[i].1);
        }
    }
}

/// The roots of old configurations go while requests wait that began under them, in any order.
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

/// As one that an earlier filter answered: it is created and deleted, and never comes as far as here.
#[test]
fn a_request_that_is_never_asked_about_is_forgotten() {
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
    // A list that grows is searched for longer as well.
    assert!(end - thousand < (thousand - start) * 101, "{} after {}", end - thousand, thousand - start);
}

/// A ring is freed with the last that needs it: its root, or a request that was under way, asked about or not.
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
