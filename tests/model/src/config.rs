//! Generates valid and invalid configurations, and checks the accepted ones.

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};
use pushring_router::{Config, MAX_MEMBERS, Mode, Placement, Router, canonical_address};
use serde_json::{Value, json};

/// Checks that no bytes make the parser panic, that an error has one line, and that an accepted configuration keeps every
/// limit and does not depend on the order of members.
pub fn parser_is_total(json: &[u8]) {
    match Router::parse(json) {
        Ok(router) => {
            check_limits(router.config());
            let points = router.ring().points();
            assert!(points <= 4_194_304, "{points} points");
            // Only dynamic-sharding may have two points at one position.
            let exact = !matches!(router.config().placement, Placement::DynamicSharding);
            assert!(points <= router.points() && (!exact || points == router.points()), "{points} points");
            let mut reversed: Value = serde_json::from_slice(json).expect("was parsed before");
            reversed["members"].as_array_mut().expect("members are a list").reverse();
            let other = Router::parse(reversed.to_string().as_bytes()).expect("the same members");
            assert_eq!(router.digest(), other.digest(), "the order of members changed the digest");
        }
        Err(reason) => {
            let reason = reason.to_string();
            assert!(reason.contains(": "), "no field in {reason:?}");
            assert!(!reason.contains('\n'), "more than one line in {reason:?}");
        }
    }
}

/// Generates a configuration in which any field may be invalid, as text that may be damaged.
pub fn arbitrary(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let count = *u.choose(&[0, 1, 2, 3, 3, 3, 20])?;
    let members: Result<Vec<Value>> = (0..count).map(|i| member(u, i)).collect();
    let mut config = json!({"members": members?});
    for _ in 0..u.int_in_range(0..=4)? {
        let (field, values) = u.choose(FIELDS)?;
        let value: Value = serde_json::from_str(u.choose(values)?).expect("FIELDS holds JSON");
        config[*field] = value;
    }
    let mut text = config.to_string().into_bytes();
    for _ in 0..u.int_in_range(0..=1)? {
        let at = u.choose_index(text.len())?;
        match u.int_in_range(0..=2)? {
            0 => drop(text.remove(at)),
            1 => text.insert(at, u.arbitrary()?),
            _ => text.truncate(at),
        }
    }
    Ok(text)
}

const FIELDS: &[(&str, &[&str])] = &[
    ("min_members", &["0", "1", "3", "1024", "1025", "-1", "1e9", "\"1\""]),
    ("route_by", &["\"group\"", "\"job\"", "\"path\"", "\"Group\"", "null"]),
    (
        "placement",
        &[
            r#"{"type": "ring"}"#,
            r#"{"type": "ring", "points": 1}"#,
            r#"{"type": "ring", "points": 64}"#,
            r#"{"type": "ring", "points": 4097}"#,
            r#"{"type": "ring", "points": 0}"#,
            r#"{"type": "dynamic-sharding"}"#,
            r#"{"type": "dynamic-sharding", "points": 500}"#,
            r#"{"type": "maglev"}"#,
            "{}",
            "\"ring\"",
        ],
    ),
    ("mode", &["\"cluster\"", "\"endpoint\"", "\"redirect\"", "\"\"", "1"]),
    ("header", &["\"x-a\"", "\"X-A\"", "\":path\"", "\"host\"", "\"\"", "\"a b\"", "\"x\\u0000\"", "\"é\""]),
    ("cluster_prefix", &["\"\"", "\"a,b\"", "\"p-\"", "\"a\\nb\""]),
    ("successors", &["0", "2", "1023", "1024", "-1"]),
    ("mirror", &["\"none\"", "\"deletes\"", "\"all\"", "\"All\"", "true", "null"]),
    ("mirror_deletes", &["true", "false", "\"true\""]),
    (
        "path_prefix",
        &["\"/\"", "\"gw\"", "\"/gw/\"", "\"/a//b\"", "\"/../a\"", "\"/a?b\"", "\"/%41\"", "\"/é\""],
    ),
    ("utf8_names", &["true", "0"]),
    ("lookup", &["\"off\"", "\"always\"", "\"asked\"", "false"]),
    ("health", &["true", "[]"]),
    ("status_path", &["\"/-/ring\"", "\"ring\"", "\"/metrics/job/a\"", "\"/metrics/job\"", "\"/a?b\""]),
    ("redirect_scheme", &["\"https\"", "\"http\"", "\"ftp\""]),
    ("unknown", &["1"]),
];

fn member(u: &mut Unstructured<'_>, i: usize) -> Result<Value> {
    let usual = format!("10.0.0.{i}:9091");
    let odd = [
        "",
        "a",
        "a:0",
        "a:1,b:2",
        "[::1]:9091",
        "[0::1]:9091",
        "::1:9091",
        "db:9091",
        "DB.:9091",
        "010.0.0.1:9091",
        "[::ffff:10.0.0.1]:9091",
        "a b:1",
        "é:1",
        "10.0.0.1:9091",
        "10.0.0.1:65536",
        "a:+1",
        "[::1%eth0]:1",
    ];
    let address = if u.ratio(1, 6)? { (*u.choose(&odd)?).to_owned() } else { usual };
    Ok(match u.int_in_range(0..=5)? {
        0..=2 => json!(address),
        3 => json!({"name": format!("pushgateway-{i}"), "address": address}),
        4 => json!({"name": address, "weight": u.choose(&[1u64, 2, 100, 101, 0, 1 << 40])?}),
        _ => u
            .choose(&[json!({}), json!(1), json!({"name": "a:1", "port": 1}), json!(null), json!([])])?
            .clone(),
    })
}

/// Checks the documented limits.
fn check_limits(config: &Config) {
    assert!(config.members.len() <= MAX_MEMBERS);
    assert!(config.members.is_sorted_by(|a, b| a.name < b.name), "names are sorted and unique");
    let addresses: BTreeSet<_> = config
        .members
        .iter()
        .map(|m| canonical_address(&m.address).expect("one reading of an address"))
        .collect();
    assert_eq!(addresses.len(), config.members.len(), "addresses are unique");
    for member in &config.members {
        let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        assert!((1..=253).contains(&member.name.len()) && visible(&member.name), "{member:?}");
        let (host, port) = member.address.rsplit_once(':').expect("host:port");
        assert!(!host.is_empty() && visible(host) && port.parse::<u16>().is_ok_and(|p| p > 0), "{member:?}");
        assert!((1..=100).contains(&member.weight), "{member:?}");
        if config.mode == Mode::Endpoint {
            let address: std::net::SocketAddr = member.address.parse().expect("an IP address and a port");
            assert_eq!(address.to_string(), member.address, "canonical");
        }
    }
    match config.placement {
        Placement::Ring { points } => assert!((1..=4096).contains(&points)),
        Placement::DynamicSharding => assert!(config.members.iter().all(|m| m.weight == 1)),
    }
    let header = &config.header;
    assert!(
        !header.is_empty()
            && !header.starts_with(':')
            && header != "host"
            && *header == header.to_lowercase()
    );
    assert!(header.bytes().all(|b| b.is_ascii_graphic()) && !header.contains([',', ':', ' ']));
    assert!(config.cluster_prefix.bytes().all(|b| b.is_ascii_graphic() && b != b','));
    let prefix = &config.path_prefix;
    assert!(prefix.is_empty() || (prefix.starts_with('/') && !prefix.ends_with('/')), "{prefix}");
    assert!(config.status_path.is_empty() || config.status_path.starts_with('/'));
    assert!(["http", "https"].contains(&config.redirect_scheme));
}
