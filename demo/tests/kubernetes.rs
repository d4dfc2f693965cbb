//! `make run SOURCE=kubernetes`: the printed commands, in the network of the demo. `make e2e-kubernetes` runs it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a panic is how a test fails

#[path = "demo/running.rs"]
#[allow(dead_code)]
mod running;

use running::{Running, assert_gone, shell};
use rustix::process::Signal;

/// Runs a printed command in the network of the demo.
fn inside(demo: &Running, command: &str) -> String {
    let quoted = command.replace('\'', r"'\''");
    shell(&format!("{} sh -c '{quoted}'", demo.command("nsenter -t ")))
}

#[test]
fn pods_come_go_and_return() {
    let mut demo = Running::start(&["--source", "kubernetes"]);
    demo.wait("10 groups, 140 pushes: each group is on exactly one pushgateway.");
    demo.wait("Running. Press Ctrl-C to stop.");
    for push in demo.commands("--data-binary") {
        assert_eq!(inside(&demo, &push).trim(), "200");
    }
    let pods = inside(&demo, &demo.command("get pods"));
    assert_eq!(pods.matches("1/1").count(), 3, "{pods}");
    assert!(inside(&demo, &demo.command("x-pushring-gateway")).contains("pushgateway_build_info"));

    inside(&demo, &demo.command("--replicas=4"));
    demo.wait("member pushgateway-3 added");
    demo.wait("ring now 4 members, ");
    inside(&demo, &demo.command("delete pod"));
    demo.wait("member pushgateway-0 changed");
    demo.wait("ring now 4 members, 0.0% of groups moved");
    inside(&demo, &demo.command("--replicas=3"));
    demo.wait("member pushgateway-3 removed");
    demo.wait("ring now 3 members, ");
    inside(&demo, demo.commands("kill ").last().unwrap());
    demo.wait("the container of pod pushgateway-2 ended");
    demo.wait("Kubernetes started it again at 10.77.0.3:9091");
    assert!(inside(&demo, &demo.command("pushring groups")).contains("{job="));

    let children = demo.children();
    assert!(children.len() >= 9, "{children:?}");
    assert_eq!(demo.end(Signal::INT), Some(0));
    assert_gone(&children, &[]);
}
