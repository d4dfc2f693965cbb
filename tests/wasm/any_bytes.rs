//! Requests of arbitrary bytes: the module applies the decision of the router, and never traps.

use arbitrary::{Result, Unstructured};
use pushring_router::{Decision, Reply, Request, Router};

use crate::host_state::{Headers, Outcome};
use crate::{DESTINATION, MIRROR, spelling, vm};

const MEMBERS: &str = r#""members": ["10.0.0.1:9091", "10.0.0.2:9091", "[2001:db8::1]:9091"]"#;
const SETTINGS: &[&str] = &[
    r#""mirror": "all""#,
    r#""mode": "endpoint", "mirror": "all", "utf8_names": true"#,
    r#""mode": "redirect", "health": true, "status_path": "/-/ring""#,
    r#""route_by": "path", "placement": {"type": "dynamic-sharding"}, "lookup": "off""#,
];
const REQUESTS: u64 = 3000;

#[test]
fn module_and_router_agree_on_any_request() {
    for settings in SETTINGS {
        let json = format!("{{{MEMBERS}, {settings}}}");
        let (mut vm, router) = (vm(&json), Router::parse(json.as_bytes()).expect("valid"));
        let (mut routed, mut answered, mut passed) = (0, 0, 0);
        for seed in 0..REQUESTS {
            let headers = headers(&mut Unstructured::new(&random(seed))).expect("bytes enough");
            let outcome = vm.request(headers.clone()).expect("no trap");
            let first = |name: &[u8]| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_slice());
            let request = Request {
                method: first(b":method").unwrap_or_default(),
                path: first(b":path").unwrap_or_default(),
                accept: first(b"accept"),
            };
            match router.decide(request) {
                Decision::Route(route) => {
                    routed += 1;
                    assert_eq!(outcome.values(DESTINATION), [route.destination.as_bytes()], "{request:?}");
                    assert_eq!(
                        outcome.values(MIRROR),
                        route.mirror.into_iter().collect::<Vec<_>>(),
                        "{request:?}"
                    );
                }
                Decision::Bypass => {
                    passed += 1;
                    let clean = outcome.values(DESTINATION).is_empty() && outcome.values(MIRROR).is_empty();
                    assert!(clean && outcome.reply.is_none(), "{request:?}: {outcome:?}");
                }
                Decision::Reply(reply) => {
                    answered += 1;
                    check(&outcome, &reply);
                }
            }
        }
        let (least, all) = (REQUESTS / 50, (routed, answered, passed));
        let replies_only = settings.contains("redirect");
        assert!(
            (routed > least || replies_only) && answered > least && passed > least,
            "{settings}: {all:?}"
        );
    }
}

fn check(outcome: &Outcome, reply: &Reply) {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let all = headers.chain([("x-pushring-reason", reply.kind.reason())]);
    let headers: Headers = all.map(|(name, value)| (name.into(), value.into())).collect();
    assert_eq!(outcome.reply, Some((reply.status.into(), headers, reply.body.clone())));
}

/// Generates any method, path and accept, each of which may be missing or not UTF-8, and forged destinations.
fn headers(u: &mut Unstructured<'_>) -> Result<Headers> {
    let mut headers: Headers =
        vec![(DESTINATION.into(), b"evil".to_vec()), (MIRROR.into(), b"\xff".to_vec())];
    for _ in 0..u.int_in_range(0..=9)? / 4 {
        headers.push((DESTINATION.into(), bytes(u)?));
    }
    if u.ratio(63, 64)? {
        let method =
            if u.ratio(1, 8)? { bytes(u)? } else { u.choose(&["GET", "PUT", "DELETE"])?.as_bytes().to_vec() };
        headers.push((b":method".to_vec(), method));
    }
    if u.ratio(63, 64)? {
        let path = if u.ratio(1, 8)? { bytes(u)? } else { spelling::odd_path(u)? };
        headers.push((b":path".to_vec(), path));
    }
    if u.arbitrary()? {
        let accept = if u.arbitrary()? { bytes(u)? } else { b"Application/JSON".to_vec() };
        headers.push((b"accept".to_vec(), accept));
    }
    headers.push((b"x-\xff".to_vec(), b"\x80\x00\xff".to_vec()));
    Ok(headers)
}

fn bytes(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let size = u.int_in_range(0..=40)?;
    Ok(u.bytes(size)?.to_vec())
}

/// Returns enough pseudo-random bytes for one request. A seed always gives the same bytes.
fn random(seed: u64) -> Vec<u8> {
    let word = |i: u64| pushring_ring::hash::fmix64((seed << 16 | i).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    (1..128).flat_map(|i| word(i).to_le_bytes()).collect()
}

/// A path of one megabyte is an ordinary request, whatever it consists of.
#[test]
fn long_paths() {
    let mut vm = vm(&format!("{{{MEMBERS}}}"));
    for part in ["/a/b", "%41", "%", "//", "/..", "@base64/", "x", "/U__", "=", "/a@base64/YQ"] {
        let path = [b"/metrics/job/a".as_slice(), part.repeat(1 << 20 >> 4).as_bytes()].concat();
        for method in ["PUT", "GET"] {
            let outcome = vm.request(crate::forged(method, &path)).expect("no trap");
            assert!(!outcome.values(DESTINATION).contains(&b"evil".as_slice()) || outcome.reply.is_some());
        }
    }
}
