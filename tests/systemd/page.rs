//! docs/install/vm.md, followed from a bare machine to its end.

use pushring_harness::poll_until;

use crate::blocks::{self, Block, Kind};
use crate::machine::Machine;
use crate::output;
use crate::pushes;

const PAGE: &str = "docs/install/vm.md";

/// The page on a machine.
pub(crate) struct Page {
    blocks: Vec<Block>,
    next: usize,
    printed: String,
}

impl Page {
    pub(crate) fn open() -> Self {
        let mut blocks = blocks::read(PAGE).unwrap();
        blocks.retain(|block| !matches!(block.kind, Kind::NotExecuted { .. }));
        Self { blocks, next: 0, printed: String::new() }
    }

    /// Does what the page says in the section with this heading.
    #[track_caller]
    pub(crate) fn section(&mut self, machine: &Machine, heading: &str) {
        let first = self.next;
        while let Some(block) = self.blocks.get(self.next).filter(|block| block.section == heading).cloned() {
            self.execute(machine, &block);
            self.next += 1;
        }
        assert!(self.next > first, "no block is left in {heading:?}");
    }

    /// Does what the next block says, which must be in the section with this heading.
    #[track_caller]
    pub(crate) fn next(&mut self, machine: &Machine, heading: &str) {
        let block = self.blocks.get(self.next).cloned().expect("the page has another block");
        assert_eq!(block.section, heading);
        self.execute(machine, &block);
        self.next += 1;
    }

    /// Leaves the blocks up to the end of this section to another test.
    pub(crate) fn skip(&mut self, heading: &str) {
        self.next = self.blocks.iter().rposition(|block| block.section == heading).expect(heading) + 1;
    }

    /// Goes to the first block of a section.
    pub(crate) fn go_to(&mut self, heading: &str) {
        self.next = self.blocks.iter().position(|block| block.section == heading).expect(heading);
    }

    /// Fails if a block was not executed.
    #[track_caller]
    fn finish(self) {
        assert_eq!(self.blocks.get(self.next), None);
    }

    #[track_caller]
    fn execute(&mut self, machine: &Machine, block: &Block) {
        let at = format!("{PAGE}:{}", block.line);
        println!("{at}");
        match &block.kind {
            Kind::Commands { exit } => {
                let outcome = machine.run(&block.text);
                let journal = || machine.journal();
                assert_eq!(outcome.code, *exit, "{at}: {}{}{}", outcome.stdout, outcome.stderr, journal());
                self.printed = outcome.stdout;
            }
            Kind::Output => {
                output::compare(&block.text, &self.printed).unwrap_or_else(|error| panic!("{at}: {error}"))
            }
            Kind::File { path } => machine.write(path, &block.text),
            other => panic!("{at}: {other:?} is no block of a page of installation"),
        }
    }
}

#[test]
fn page_is_followed() {
    let machine = Machine::boot("vm");
    let mut page = Page::open();
    page.section(&machine, "The programs");
    assert_eq!(
        machine.ok("systemctl list-units 'pushring-*' --all --plain --no-legend"),
        "",
        "nothing is started"
    );
    page.section(&machine, "Three gateways");
    page.section(&machine, "Envoy and the ring");
    pushes::push(&machine, 100);
    pushes::assert_on_owners(&machine, 100);
    page.section(&machine, "Units and their settings");
    pushes::assert_on_owners(&machine, 100);
    page.skip("Replicas");
    page.section(&machine, "Add a gateway");
    pushes::push(&machine, 100);
    pushes::wait_swept(&machine, 100);
    pushes::assert_on_owners(&machine, 100);
    page.section(&machine, "Remove a gateway");
    pushes::assert_on_owners(&machine, 100);

    page.skip("More machines");
    page.section(&machine, "TLS, passwords, limits");
    machine.ok("cd /etc/pushring/security; openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=vm -days 1 -keyout new.key -out new.pem \
        -addext subjectAltName=DNS:localhost && chmod 640 new.key && chgrp pushring-envoy new.* && mv new.key server.key && mv new.pem server.pem");
    machine.ok("sed -i 's/port_value: 9091/port_value: 443/' /etc/pushring/envoy.yaml; systemctl daemon-reload; systemctl restart pushring-envoy");
    machine.wait("curl -sS --fail --cacert /etc/pushring/security/server.pem https://localhost/-/pushring");

    page.section(&machine, "Prometheus");
    page.section(&machine, "Uninstall");
    page.finish();
    assert_eq!(machine.ok("systemctl list-units 'pushring-*' --all --plain --no-legend"), "");
    let left = "find / -xdev -name '*pushring*' ! -path '/root/*' ! -path '/proc/*' ! -path '/layers/*' ! -path '/tmp/*' ! -path '/sys/*'";
    assert_eq!(machine.ok(left), "");
    assert_eq!(machine.run("grep pushring /etc/passwd /etc/group").stdout, "");
}

#[test]
fn a_gateway_that_lost_its_disk_gets_its_groups_back() {
    let machine = Machine::boot("vm");
    let mut page = Page::open();
    for section in ["The programs", "Three gateways", "Envoy and the ring"] {
        page.section(&machine, section);
    }
    pushes::push(&machine, 100);
    page.go_to("Replicas");
    page.section(&machine, "Replicas");
    pushes::wait_replicated(&machine, 100);
    // All groups of the pushes are in each answer for all gateways.
    let shown = "test \"$(curl -sS --fail http://127.0.0.1:9091/metrics | grep -c '^records{')\" = 100";
    machine.ok(shown);
    machine.ok("systemctl stop pushring-pushgateway@127.0.0.1:19091");
    machine.ok(shown);
    machine.ok("rm -r /var/lib/pushring-gateway/127.0.0.1:19091");
    machine.ok("systemctl start pushring-pushgateway@127.0.0.1:19091");
    machine.ok(shown);
    pushes::wait_replicated(&machine, 100);
    machine.ok(shown);
}

#[test]
fn machines_of_their_own() {
    let (envoy, mut gateways) = (Machine::boot("envoy"), Machine::boot("gateways"));
    envoy.connect(&gateways);
    envoy.ok("ip address add 10.0.1.1/8 dev eth0");
    gateways.ok("ip address add 10.0.0.1/8 dev eth0; ip address add 10.0.0.2/8 dev eth0");
    envoy.ok("systemd-run --unit consul consul agent -dev -bind 10.0.1.1 -log-level warn");
    gateways.ok("systemd-run --unit consul consul agent -data-dir /var/lib/consul -bind 10.0.0.1 -retry-join 10.0.1.1");
    for machine in [&envoy, &gateways] {
        machine.wait("curl -sS --fail http://127.0.0.1:8500/v1/status/leader | grep 8300");
        Page::open().section(machine, "The programs");
    }
    let mut page = Page::open();
    page.go_to("More machines");
    page.next(&gateways, "More machines");
    // A second gateway there, whose agent needs another port.
    gateways.ok("echo LISTEN=127.0.0.1:0 > /etc/pushring/agent-10.0.0.2:9091.env");
    gateways.ok("systemctl enable --now pushring-pushgateway@10.0.0.2:9091 pushring-agent@10.0.0.2:9091");
    page.next(&envoy, "More machines");
    let members = |wanted: &[&str]| {
        poll_until("the ring", || (pushes::members(&envoy) == wanted).then_some(())).unwrap();
    };
    members(&["10.0.0.1:9091", "10.0.0.2:9091"]);
    pushes::push(&envoy, 100);
    pushes::assert_on_owners(&envoy, 100);
    envoy.wait("curl -sS --fail http://127.0.0.1:9089/metrics | grep -x 'pushring_sweep_active 1'");

    // The agent deregisters its gateway when it stops, and not when it is killed.
    let killed = "systemctl kill --signal KILL pushring-agent@10.0.0.2:9091";
    let agent = "systemctl show --property MainPID --value pushring-agent@10.0.0.2:9091";
    let before = gateways.ok(agent);
    gateways.ok(killed);
    poll_until("the agent", || {
        (![before.as_str(), "0\n"].contains(&gateways.ok(agent).as_str())).then_some(())
    })
    .unwrap();
    members(&["10.0.0.1:9091", "10.0.0.2:9091"]);
    gateways.ok("systemctl stop pushring-agent@10.0.0.2:9091");
    members(&["10.0.0.1:9091"]);
    pushes::push(&envoy, 100);
    gateways.ok("systemctl start pushring-agent@10.0.0.2:9091");
    members(&["10.0.0.1:9091", "10.0.0.2:9091"]);

    // At a shutdown the agent stops first.
    gateways.reboot();
    let stopped = gateways.stopped();
    let position =
        |unit: &str| stopped.iter().rposition(|name| name == unit).unwrap_or_else(|| panic!("{stopped:?}"));
    for address in ["10.0.0.1:9091", "10.0.0.2:9091"] {
        assert!(
            position(&format!("pushring-agent@{address}"))
                < position(&format!("pushring-pushgateway@{address}")),
            "{stopped:?}"
        );
    }
    assert!(position("pushring-agent@10.0.0.1:9091") < position("consul"), "{stopped:?}");
}
