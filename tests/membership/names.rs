//! Members with host names: a real Envoy and a DNS server that answers with two addresses, or not at all.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

use pushring::command::publish::publish;
use pushring::fleet::members::Members;
use pushring_harness::{Envoy, Layout, Member, Mode, Ports, Pushgateway, envoy_files, poll_until};
use pushring_router::Router;
use serde_json::Value;
use tempfile::TempDir;

/// Serves these addresses for every name; without any, it takes each question and never answers.
fn dns(addresses: &'static [Ipv4Addr]) -> SocketAddr {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((_, client)) = socket.recv_from(&mut query) {
            if !addresses.is_empty() {
                socket.send_to(&answer(&query, addresses), client).unwrap();
            }
        }
    });
    address
}

/// Answers a question (RFC 1035): with the addresses if it asks for A, with none otherwise.
fn answer(query: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|&byte| byte == 0).unwrap() + 5;
    let asks_for_a = query[end - 4..end - 2] == [0, 1];
    let addresses = if asks_for_a { addresses } else { &[] };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    answer.extend(&query[12..end]);
    for address in addresses {
        // The name of the question, type A, class IN, one minute.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

struct Setup {
    envoy: Envoy,
    layout: Layout,
    _dir: TempDir,
}

impl Setup {
    /// Starts Envoy with this DNS server and with these members.
    fn start(dns: SocketAddr, members: &[Member]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
        let node = "node: { id: pushring, cluster: pushring }";
        let resolver = format!(
            "{node}\ntyped_dns_resolver_config:\n  name: envoy.network.dns_resolver.cares\n  typed_config:\n    \
             \"@type\": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig\n    \
             resolvers: [{{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }}]\n    \
             dns_resolver_options: {{ no_default_search_domain: true }}\n",
            dns.port()
        );
        layout.edit(&[(node, &resolver)]).unwrap();
        publish(&found(members), &layout.publish_options(None).unwrap()).unwrap();
        Self { envoy: Envoy::start(&layout, 1).unwrap(), layout, _dir: dir }
    }

    fn publish(&self, members: &[Member]) {
        let options = self.layout.publish_options(Some(&format!("http://{}", self.envoy.admin))).unwrap();
        publish(&found(members), &options).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        self.envoy.wait_members(&names).unwrap();
    }

    fn push(&self, path: &str) -> u16 {
        self.envoy.client().unwrap().put(path, "x 1\n").unwrap().status
    }
}

fn found(members: &[Member]) -> Members {
    Members::from_config(&config(members).to_string()).unwrap()
}

fn config(members: &[Member]) -> Value {
    envoy_files::config(Mode::Cluster, members).unwrap()
}

fn named(host: &str, port: u16) -> Member {
    let address = format!("{host}:{port}");
    Member { name: address.clone(), address, weight: 1 }
}

/// Push paths that this member owns.
fn owned(members: &[Member], member: &Member, count: usize) -> Vec<String> {
    let router = Router::parse(config(members).to_string().as_bytes()).unwrap();
    let owner = |path: &String| router.owner_of(path.as_bytes()).unwrap().owner.unwrap().name == member.name;
    (0..).map(|number| format!("/metrics/job/j{number}")).filter(owner).take(count).collect()
}

#[test]
fn a_name_with_two_addresses_has_all_its_groups_on_one_of_them() {
    const BOTH: &[Ipv4Addr] = &[Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
    let dir = tempfile::tempdir().unwrap();
    let first = Pushgateway::start(dir.path(), &[]).unwrap();
    let port = first.address.port();
    let second = Pushgateway::start_at(dir.path(), SocketAddr::from((BOTH[1], port)), &[]).unwrap();
    let other = Pushgateway::start(dir.path(), &[]).unwrap();
    let members = [named("pg.test", port), Member::from(other.address)];
    let setup = Setup::start(dns(BOTH), &members);
    let groups = owned(&members, &members[0], 40);
    poll_until("Envoy to resolve the name", || (setup.push(&groups[0]) == 200).then_some(())).unwrap();
    for path in &groups {
        assert_eq!(setup.push(path), 200, "{path}");
    }
    let mut held = [&first, &second, &other].map(|gateway| gateway.groups().unwrap().len());
    held[..2].sort_unstable();
    assert_eq!(held, [0, groups.len(), 0]);
}

#[test]
fn a_silent_dns_server_holds_back_no_other_member() {
    let dir = tempfile::tempdir().unwrap();
    let gateways = [(); 2].map(|()| Pushgateway::start(dir.path(), &[]).unwrap());
    let [one, two] = gateways.each_ref().map(|gateway| Member::from(gateway.address));
    let setup = Setup::start(dns(&[]), std::slice::from_ref(&one));
    let silent = named("pg.test", 9091);
    let members = [one, silent.clone(), two];
    setup.publish(&members[..2]);
    setup.publish(&members);
    for member in [&members[0], &members[2]] {
        assert_eq!(setup.push(&owned(&members, member, 1)[0]), 200, "{}", member.name);
    }
    assert_eq!(setup.push(&owned(&members, &silent, 1)[0]), 503);
}
