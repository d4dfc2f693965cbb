//! `make run SOURCE=etcd`: the agents of gateways come and go.

use rustix::process::Signal;

use crate::running::{Running, shell, start};
use crate::{check_table_and_curl_lines, end_in_order};

#[test]
fn members_come_and_go_in_etcd() {
    let mut demo = Running::start(&["--source", "etcd"]);
    check_table_and_curl_lines(&mut demo);
    let [first, second, _] = demo.gateways()[..] else { panic!("{:?}", demo.gateways()) };
    let next = demo.spare();

    let agent = start(&demo.command(&format!("--listen 127.0.0.1:0 {next}")));
    demo.wait(&format!("member {next} added"));
    demo.wait("ring now 4 members, ");
    shell(&demo.command("kill -STOP"));
    demo.wait(&format!("{second} vanished"));
    demo.wait(&format!("member {second} removed"));
    shell(&demo.command("kill -CONT"));
    demo.wait(&format!("member {second} added"));
    demo.wait("ring now 4 members, ");
    agent.end(Signal::INT);
    demo.wait(&format!("{next} left"));
    demo.wait("ring now 3 members, ");
    shell(&demo.command("pushring drain"));

    shell(&demo.command("kill -TERM"));
    demo.wait(&format!("{first} left"));
    demo.wait("ring now 2 members, ");
    demo.wait(&format!("the agent of {first} ended (exit status: 0)"));
    demo.wait(&first.to_string());
    let restarted = start(&demo.command(&format!("--listen 127.0.0.1:0 {first}")));
    demo.wait("ring now 3 members, ");
    drop(restarted);
    end_in_order(&mut demo, Signal::INT, 9);
}
