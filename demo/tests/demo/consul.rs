//! `make run CONSUL=1`: members join and leave in Consul, and the demo prints it.

use std::process::{Child, Command, Stdio};

use pushring_harness::tools;
use rustix::process::Signal;

use crate::running::{Running, shell};
use crate::{check_table_and_curl_lines, end_in_order};

/// Killed when dropped, also by a failing test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts in the background what the demo prints for another terminal.
fn start(command: &str) -> Started {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]).current_dir(tools::repository());
    Started(shell.stderr(Stdio::null()).spawn().unwrap())
}

#[test]
fn members_come_and_go_in_consul() {
    let mut demo = Running::start(&["--consul"]);
    check_table_and_curl_lines(&mut demo);
    let [_, second, last] = demo.gateways()[..] else { panic!("{:?}", demo.gateways()) };

    shell(&demo.command("kill -STOP"));
    let line = demo.wait(&format!("pushgateway {second} critical, ring now 2 members, "));
    assert!(line.ends_with("% of groups moved"), "{line}");
    shell(&demo.command("kill -CONT"));
    demo.wait(&format!("pushgateway {second} passing, ring now 3 members, "));
    shell(&demo.command("enable=true"));
    demo.wait(&format!("pushgateway {second} critical, ring now 2 members, "));
    shell(&demo.command("enable=false"));
    demo.wait(&format!("pushgateway {second} passing, ring now 3 members, "));

    let next = demo.command("pushring deregister").rsplit(' ').next().unwrap().to_owned();
    let _started = start(&demo.command(&format!("listen-address={next}")));
    shell(&demo.commands("pushring register")[1]);
    demo.wait(&format!("pushgateway {next} registered, critical, ring stays at 3 members"));
    demo.wait(&format!("pushgateway {next} passing, ring now 4 members, "));
    shell(&demo.command("pushring deregister"));
    demo.wait(&format!("pushgateway {next} deregistered, ring now 3 members, "));

    let restart = demo.command(&format!("listen-address={last}"));
    shell(demo.commands("kill ").last().unwrap());
    demo.wait(&format!("pushgateway {last} ended"));
    demo.wait(&format!("pushgateway {last} critical, ring now 2 members, "));
    let restarted = start(&restart);
    demo.wait(&format!("pushgateway {last} passing, ring now 3 members, "));
    drop(restarted);
    end_in_order(&mut demo, Signal::INT, 5);
}
