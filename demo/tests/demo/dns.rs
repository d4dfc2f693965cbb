//! `make run SOURCE=dns`: addresses of a name come and go.

use rustix::process::Signal;

use crate::running::{Running, shell};
use crate::{check_table_and_curl_lines, end_in_order};

#[test]
fn members_come_and_go_in_dns() {
    let mut demo = Running::start(&["--source", "dns"]);
    check_table_and_curl_lines(&mut demo);
    let next = demo.spare();
    shell(&demo.command("echo '127.0.1."));
    demo.wait(&format!("member {next} added"));
    demo.wait("ring now 4 members, ");
    shell(&demo.command("sed -i.bak"));
    demo.wait(&format!("{next} vanished; counts as registered"));
    demo.wait(&format!("member {next} removed"));
    demo.wait("ring now 3 members, ");
    let drained = shell(&demo.command("pushring drain"));
    assert!(drained.contains(" holds 0 groups now"), "{drained}");
    end_in_order(&mut demo, Signal::INT, 7);
}
