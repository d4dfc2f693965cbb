//! `make run SOURCE=consul` and `make run CONSUL=1`: members join and leave in Consul, and the demo prints it.

use rustix::process::Signal;

use crate::running::{Running, shell, start};
use crate::{check_table_and_curl_lines, end_in_order};

#[test]
fn consul_template_follows_consul() {
    let mut demo = Running::start(&["--source", "consul-template"]);
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

    let next = demo.spare();
    shell(&demo.commands("pushring register")[1]);
    demo.wait(&format!("pushgateway {next} registered, critical, ring stays at 3 members"));
    demo.wait(&format!("pushgateway {next} passing, ring now 4 members, "));
    shell(&demo.command("pushring deregister"));
    demo.wait(&format!("pushgateway {next} leaving, ring now 3 members, "));
    demo.wait(&format!("pushgateway {next} deregistered, ring stays at 3 members"));

    let restart = demo.command(&format!("listen-address={last}"));
    shell(demo.commands("kill ").last().unwrap());
    demo.wait(&format!("pushgateway {last} ended"));
    demo.wait(&format!("pushgateway {last} critical, ring now 2 members, "));
    let restarted = start(&restart);
    demo.wait(&format!("pushgateway {last} passing, ring now 3 members, "));
    drop(restarted);
    end_in_order(&mut demo, Signal::INT, 6);
}

#[test]
fn discover_follows_consul() {
    let mut demo = Running::start(&["--source", "consul"]);
    check_table_and_curl_lines(&mut demo);
    let [_, second, _] = demo.gateways()[..] else { panic!("{:?}", demo.gateways()) };
    let next = demo.spare();
    shell(&demo.commands("pushring register")[1]);
    demo.wait(&format!("member {next} added"));
    demo.wait("ring now 4 members, ");
    for (off, on) in [("kill -STOP", "kill -CONT"), ("enable=true", "enable=false")] {
        shell(&demo.command(off));
        demo.wait(&format!("member {second} removed"));
        demo.wait("ring now 3 members, ");
        shell(&demo.command(on));
        demo.wait(&format!("member {second} added"));
        demo.wait("ring now 4 members, ");
    }
    shell(&demo.command("pushring deregister"));
    demo.wait(&format!("member {next} removed"));
    demo.wait("ring now 3 members, ");
    shell(&demo.command("pushring drain"));
    end_in_order(&mut demo, Signal::INT, 7);
}
