//! The dynamic module in an Envoy of the test's own, under AddressSanitizer: any configuration, any request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pushring_router::{Decision, Request, Router};

#[path = "../../native/tests/envoy/mod.rs"]
mod envoy;

use envoy::Configuration;

const DESTINATION: &str = "x-pushring-destination";
const CONFIGS: [&str; 3] = [
    r#"{"members": ["10.0.0.1:9091", "10.0.0.2:9091"], "mirror": "all", "health": true, "status_path": "/-/pushring"}"#,
    r#"{"members": ["10.0.0.1:9091", "[2001:db8::1]:9091"], "mode": "endpoint", "lookup": "always", "path_prefix": "/p"}"#,
    r#"{"members": [], "min_members": 0, "mode": "redirect", "utf8_names": true, "health": true}"#,
];

/// Choice of the configuration and of the method, path, `accept` and `cdn-loop`.
type Input<'a> = (u8, u8, &'a [u8], Option<&'a [u8]>, Option<&'a [u8]>);

fuzz_target!(|input: Input<'_>| {
    let (config, method, path, accept, loops) = input;
    let Some(json) = CONFIGS.get(usize::from(config % 4)) else {
        // The path as a configuration.
        assert_eq!(Configuration::load(path).is_ok(), Router::parse(path).is_ok());
        return;
    };
    let methods: [&[u8]; 6] = [b"PUT", b"POST", b"DELETE", b"GET", b"HEAD", b"\xff"];
    request(json.as_bytes(), methods[usize::from(method) % 6], path, accept, loops);
});

/// The module does what the router decides, and no value of the client's own survives.
fn request(json: &[u8], method: &[u8], path: &[u8], accept: Option<&[u8]>, loops: Option<&[u8]>) {
    let router = Router::parse(json).expect("the configurations are valid");
    let Ok(mut config) = Configuration::load(json) else { panic!("rejected") };
    let mut headers = vec![(":method", method), (":path", path), (DESTINATION, b"forged".as_slice())];
    headers.extend(accept.map(|value| ("accept", value)));
    headers.extend(loops.map(|value| ("cdn-loop", value)));
    let (seen, status) = config.handle(&headers);
    assert_eq!(config.metric("pushring_panics"), 0);
    let accept = accept.filter(|_| matches!(method, b"GET" | b"HEAD"));
    match router.decide(Request { method, path, accept }) {
        Decision::Route(route) => {
            assert_eq!((status, seen.values(DESTINATION)), (0, vec![route.destination.as_bytes()]));
        }
        Decision::Bypass => assert_eq!((status, seen.values(DESTINATION).len()), (0, 0)),
        Decision::Reply(reply) => match seen.reply {
            Some(sent) => assert_eq!((status, sent.status, sent.body), (1, reply.status.into(), reply.body)),
            None => {
                assert_eq!((status, reply.status / 100 == 2, loops.is_some()), (0, reply.status == 200, true))
            }
        },
    }
}
