//! From SRV records and addresses to registrations.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::resolver::smallest;
use crate::fleet::registration::{Registration, Registrations};
use crate::text;

/// A target of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) target: Name,
    port: u16,
    weight: i64,
}

/// Returns the services of SRV records: those with the lowest priority, because the others are only for the time when none of
/// these can be reached (RFC 2782), which DNS cannot say. Each name has its targets in one spelling.
///
/// Equal weights count as 1: some servers, CoreDNS among them, give every record the same part of 100, so that each new member
/// would change the weight, and the groups, of all.
pub(super) fn services(records: &[Record]) -> Vec<Service> {
    let all = || {
        records.iter().filter_map(|record| if let RData::SRV(srv) = &record.data { Some(srv) } else { None })
    };
    let first = all().map(|srv| srv.priority).min();
    let chosen: Vec<&SRV> = all().filter(|srv| Some(srv.priority) == first).collect();
    let equal = chosen.iter().all(|srv| srv.weight == chosen[0].weight);
    let service = |srv: &&SRV| Service {
        target: srv.target.to_lowercase(),
        port: srv.port,
        weight: if equal { 1 } else { srv.weight.into() },
    };
    chosen.iter().map(service).collect()
}

/// Returns the addresses of targets that the server added to its answer, if there is no doubt about them.
pub(super) fn added(services: &[Service], additionals: &[Record]) -> BTreeMap<Name, Option<IpAddr>> {
    let mut by_name: BTreeMap<Name, Vec<&Record>> = BTreeMap::new();
    for record in additionals.iter().filter(|record| record.record_type() == RecordType::A) {
        by_name.entry(record.name.to_lowercase()).or_default().push(record);
    }
    let address = |service: &Service| match by_name.get(&service.target)?.as_slice() {
        // The server may have added only some of several.
        [one] => Some((service.target.clone(), smallest(std::slice::from_ref(*one)))),
        _ => None,
    };
    // These are no hosts, so their addresses are not asked for: see `registrations`.
    let none = services
        .iter()
        .filter(|service| service.target.is_root() || is_ip(&service.target))
        .map(|service| (service.target.clone(), None));
    services.iter().filter_map(address).chain(none).collect()
}

/// Returns the registrations: the name on the ring is `target:port`, so that a target that gets another address keeps its groups.
pub(super) fn registrations(
    services: &[Service],
    addresses: &BTreeMap<Name, Option<IpAddr>>,
) -> Registrations {
    let mut all = Registrations::default();
    for Service { target, port, weight } in services {
        let name = target.to_ascii();
        let name = format!("{}:{port}", name.strip_suffix('.').unwrap_or(&name));
        all.push(match addresses.get(target).copied().flatten() {
            Some(ip) => Ok(registration(ip, *port, name, *weight)),
            None if target.is_root() => Err("SRV target \".\": the service is not available".to_owned()),
            None if is_ip(target) => {
                Err(format!("SRV target {}: found an IP address, expected a name", text::line(&name)))
            }
            None => Err(format!("SRV target {}: the name has no address", text::line(&name))),
        });
    }
    all
}

fn is_ip(target: &Name) -> bool {
    let name = target.to_ascii();
    name.strip_suffix('.').unwrap_or(&name).parse::<IpAddr>().is_ok()
}

pub(super) fn registration(ip: IpAddr, port: u16, name: String, weight: i64) -> Registration {
    Registration { name, weight, ..Registration::new(&ip.to_string(), port.into()) }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{A, AAAA};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Record {
        let data = SRV::new(priority, weight, port, name(target));
        Record::from_rdata(name("_pg._tcp.example.com."), 5, RData::SRV(data))
    }

    fn read(records: &[Record], additionals: &[Record]) -> (Vec<String>, Vec<String>) {
        let services = services(records);
        let all = registrations(&services, &added(&services, additionals));
        let shown = |one: &Registration| format!("{} {}:{} {}", one.name, one.address, one.port, one.weight);
        (all.found.iter().map(shown).collect(), all.unreadable)
    }

    #[test]
    fn only_the_lowest_priority_and_unequal_weights_count() {
        let a = |host: &str, last| Record::from_rdata(name(host), 5, RData::A(A::new(10, 0, 0, last)));
        let hosts = [a("gw1.", 1), a("gw2.", 2), a("gw3.", 3)];
        let (found, _) = read(&[srv(5, 50, 1, "gw1."), srv(5, 50, 2, "GW2."), srv(6, 1, 3, "gw3.")], &hosts);
        assert_eq!(found, ["gw1:1 10.0.0.1:1 1", "gw2:2 10.0.0.2:2 1"]);
        let (found, _) = read(&[srv(0, 0, 1, "gw1."), srv(0, 65535, 0, "gw2.")], &hosts);
        assert_eq!(found, ["gw1:1 10.0.0.1:1 0", "gw2:0 10.0.0.2:0 65535"]);
        assert_eq!(read(&[], &hosts), (Vec::new(), Vec::new()));
    }

    #[test]
    fn added_addresses_count_only_without_doubt() {
        let records = ["gw1.", "gw2.", ".", "10.0.0.7."].map(|target| srv(0, 1, 1, target));
        let a = |host: &str, last| Record::from_rdata(name(host), 5, RData::A(A::new(10, 0, 0, last)));
        let v6 = Record::from_rdata(name("gw2."), 5, RData::AAAA(AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)));
        let services = services(&records);
        let known = |additionals: &[Record]| added(&services, additionals).into_keys().collect::<Vec<_>>();
        assert_eq!(known(&[a("gw1.", 1), v6]), [name("."), name("10.0.0.7."), name("gw1.")]);
        assert_eq!(known(&[a("gw1.", 1), a("gw1.", 2), a("other.", 3)]), [name("."), name("10.0.0.7.")]);
        let (found, unreadable) = read(&records, &[]);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(unreadable.len(), 4);
        assert!(unreadable[2].contains("not available"), "{unreadable:?}");
        assert!(unreadable[3].contains("expected a name"), "{unreadable:?}");
    }
}
