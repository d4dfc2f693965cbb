//! Answers of DNS servers that are broken, hostile or only unusual.

use std::sync::{Arc, Mutex};

use crate::dns_server::{
    A, NXDOMAIN, REFUSED, Record, Reply, SERVFAIL, SRV, UNKNOWN, a, cname, code, serve, srv,
};
use crate::running::Discover;

const NAME: &str = "_pg._tcp.example.com";

/// A server whose reply the test changes.
struct Scripted {
    reply: Arc<Mutex<Box<Reply4>>>,
    discover: Discover,
}

type Reply4 = dyn Fn(&str, u16) -> Reply + Send + Sync;

impl Scripted {
    fn start(tcp: bool, reply: impl Fn(&str, u16) -> Reply + Send + Sync + 'static) -> Self {
        let reply: Arc<Mutex<Box<Reply4>>> = Arc::new(Mutex::new(Box::new(reply)));
        let shared = reply.clone();
        let server = serve(tcp, move |name, kind| shared.lock().unwrap()(name, kind)).to_string();
        let discover = Discover::start(&["--from", "dns", "--dns", NAME, "--resolver", &server]);
        Self { reply, discover }
    }

    fn set(&self, reply: impl Fn(&str, u16) -> Reply + Send + Sync + 'static) {
        *self.reply.lock().unwrap() = Box::new(reply);
    }
}

/// Answers with SRV records; the host `gwN` has the address 10.0.0.N.
fn hosts(records: Vec<Record>) -> impl Fn(&str, u16) -> Reply + Send + Sync {
    move |name, kind| match kind {
        SRV => records.clone().into(),
        A => match name.strip_prefix("gw").and_then(|number| number.parse().ok()) {
            Some(number) => vec![a(name, [10, 0, 0, number])].into(),
            None => code(NXDOMAIN),
        },
        _ => Reply::default(),
    }
}

fn gateways(numbers: &[u8]) -> Vec<Record> {
    numbers.iter().map(|number| srv(NAME, 0, 1, 9091, &format!("gw{number}"))).collect()
}

#[test]
fn an_answer_that_is_an_error_is_no_list() {
    let scripted = Scripted::start(true, hosts(gateways(&[1, 2, 3, 4])));
    let Scripted { mut discover, reply } = scripted;
    let set = |new: Box<Reply4>| *reply.lock().unwrap() = new;
    let all = ["gw1:9091", "gw2:9091", "gw3:9091", "gw4:9091"];
    discover.wait_ring(&all);
    for (number, bad) in [SERVFAIL, REFUSED, UNKNOWN].into_iter().enumerate() {
        set(Box::new(move |_, _| code(bad)));
        discover.wait_log("source away; the ring stays", number + 1);
        set(Box::new(hosts(gateways(&[1, 2, 3, 4]))));
        discover.wait_log("source back", number + 1);
    }
    // A loop of aliases, in one answer and over several.
    set(Box::new(|_, _| vec![cname(NAME, "b"), cname("b", NAME)].into()));
    discover.wait_log("source away; the ring stays", 4);
    set(Box::new(hosts(gateways(&[1, 2, 3, 4]))));
    discover.wait_log("source back", 4);
    set(Box::new(|name, _| vec![cname(name, &format!("x{}", name.len() % 7))].into()));
    discover.wait_log("source away; the ring stays", 5);
    discover.wait_ring(&all);
    assert!(!discover.process.log().contains("vanished"), "{}", discover.process.log());
    // No such name, and no such records: both are answers.
    for bad in [NXDOMAIN, 0] {
        set(Box::new(move |_, _| code(bad)));
        discover.wait_metric("pushring_discover_held", 1.0);
        discover.wait_ring(&all);
        set(Box::new(hosts(gateways(&[1, 2, 3, 4]))));
        discover.wait_metric("pushring_discover_held", 0.0);
    }
    // One host cannot be asked for: it keeps its address.
    let some = hosts(gateways(&[1, 2, 3, 5]));
    set(Box::new(move |name, kind| if name == "gw3" { code(SERVFAIL) } else { some(name, kind) }));
    discover.wait_ring(&["gw1:9091", "gw2:9091", "gw3:9091", "gw5:9091"]);
    discover.wait_metric("pushring_discover_source_up", 0.0);
    discover.stop();
}

#[test]
fn odd_records_keep_no_other_gateway_from_the_ring() {
    let host = |priority, weight, port, target| srv(NAME, priority, weight, port, target).ttl(u32::MAX);
    let records = vec![
        host(10, 0, 9091, "gw1"),
        host(10, 65535, 65535, "GW2"),
        host(10, 7, 0, "gw3"),
        host(10, 7, 9091, ""),
        host(10, 7, 9091, "none"),
        host(10, 7, 9091, "gw1"),
        host(10, 7, 9091, "a\"b\\c\u{1b}[31m"),
        // For the time when none of the others can be reached.
        host(11, 7, 9091, "gw4"),
    ];
    let mut odd = Scripted::start(true, hosts(records));
    odd.discover.wait_ring(&["gw1:9091", "gw2:65535"]);
    odd.discover.wait_log("published", 1);
    let log = odd.discover.process.log();
    for reason in ["none:9091: the name has no address", "the service is not available", "port: found 0"] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    assert!(!log.contains('\u{1b}'));
    // No TTL is longer than half a minute.
    odd.set(hosts(gateways(&[1, 2, 3])));
    odd.discover.wait_ring(&["gw1:9091", "gw2:9091", "gw3:9091"]);
}

#[test]
fn hostile_targets_hide_no_other() {
    let hostile =
        ["a\tb", "a\nb", "a\"b", "a:1", "m\u{fc}nchen", "*", "{{x}}", "\u{202e}x", "10", &"x".repeat(63)];
    let records: Vec<_> = hostile.iter().map(|target| srv(NAME, 0, 1, 9091, target)).collect();
    let all = [gateways(&[1]), records, gateways(&[2])].concat();
    let good = hosts(all);
    // Each of them has an address.
    let answer = move |name: &str, kind: u16| match kind {
        A if !name.starts_with("gw") => vec![a(name, [10, 0, 1, 1])].into(),
        _ => good(name, kind),
    };
    let mut odd = Scripted::start(true, answer);
    odd.discover.wait_log("published", 1);
    let ring = odd.discover.ring();
    for good in ["gw1:9091", "gw2:9091"] {
        assert!(ring.iter().any(|name| name == good), "{ring:?}");
    }
    let log = odd.discover.process.log();
    assert!(!log.contains(['\t', '\u{202e}']), "{log}");
}

#[test]
fn equal_weights_move_no_group_when_their_number_changes() {
    let weighted = |number: u8, weight| srv(NAME, 0, weight, 9091, &format!("gw{number}"));
    let scripted = Scripted::start(true, hosts(vec![weighted(1, 50), weighted(2, 50)]));
    scripted.discover.wait_ring(&["gw1:9091", "gw2:9091"]);
    let ring = || std::fs::read_to_string(scripted.discover.layout.live().join("ring.yaml")).unwrap();
    assert_eq!(ring().matches("\"weight\":1}").count(), 2, "{}", ring());
    scripted.set(hosts(vec![weighted(1, 33), weighted(2, 33), weighted(3, 33)]));
    scripted.discover.wait_ring(&["gw1:9091", "gw2:9091", "gw3:9091"]);
    assert_eq!(ring().matches("\"weight\":1}").count(), 3, "{}", ring());
    scripted.set(hosts(vec![weighted(1, 1), weighted(2, 2), weighted(3, 3), weighted(4, 0)]));
    scripted.discover.wait_ring(&["gw1:9091", "gw2:9091", "gw3:9091", "gw4:9091"]);
    assert_eq!(ring().matches("\"weight\":1}").count(), 2, "{}", ring());
    assert!(ring().contains("\"weight\":3}"), "{}", ring());
}

#[test]
fn chains_of_aliases_lead_to_the_records() {
    let chain = |name: &str, kind: u16| match (name, kind) {
        // All in one answer, as from a resolver; the last link is left to the client.
        (NAME, SRV) => vec![cname(NAME, "b"), cname("b", "c")].into(),
        ("c", SRV) => vec![srv("c", 0, 1, 9091, "gw1"), srv("c", 0, 1, 9091, "gw2")].into(),
        ("gw1", A) => vec![cname("gw1", "h"), a("h", [10, 0, 0, 1]), a("h", [10, 0, 0, 9])].into(),
        ("gw2", A) => vec![a("gw2", [10, 0, 0, 2])].into(),
        _ => code(NXDOMAIN),
    };
    let mut scripted = Scripted::start(true, chain);
    scripted.discover.wait_ring(&["gw1:9091", "gw2:9091"]);
    let whole = |name: &str, kind: u16| match (name, kind) {
        (NAME, SRV) => vec![cname(NAME, "b"), srv("b", 0, 1, 9091, "gw3")].into(),
        ("gw3", A) => vec![a("gw3", [10, 0, 0, 3])].into(),
        _ => code(NXDOMAIN),
    };
    scripted.set(whole);
    scripted.discover.wait_log("vanished; counts as registered (--forget)", 2);
}

#[test]
fn servers_that_only_know_udp_or_cut_their_answers() {
    let all = ["gw1:9091", "gw2:9091", "gw3:9091"];
    let udp = Scripted::start(false, hosts(gateways(&[1, 2, 3])));
    udp.discover.wait_ring(&all);
    // Cut without a word, as by Consul, and as the standard says.
    for said in [false, true] {
        let answer = hosts(gateways(&[1, 2, 3]));
        let cut = Scripted::start(true, move |name, kind| {
            let mut reply = answer(name, kind);
            reply.cut = (kind == SRV).then_some(said);
            reply
        });
        cut.discover.wait_ring(&all);
    }
}

#[test]
fn thousands_of_records_are_a_ring_of_its_largest_size() {
    let record = |number: u32| srv(NAME, 0, 1, 1 + (number % 60_000) as u16, "gw1");
    let many = Scripted::start(true, hosts((0..1300).map(record).collect()));
    let mut discover = many.discover;
    discover.wait_metric("pushring_discover_on_ring", 1024.0);
    discover.wait_log("published", 1);
    assert_eq!(discover.ring().len(), 1024);
    discover.stop();
}
