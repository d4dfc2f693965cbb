//! Filter and routes judge the header `CDN-Loop` by the same rule, that of the router.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use fastrand::Rng;
use pushring_harness::{EnvoyFixture, Mode};
use pushring_router::passed_pushring;

/// Pieces of a value, with everything that has a meaning in it.
const PIECES: [&[u8]; 12] =
    [b"pushring", b"pushring", b",", b",", b";", b"\"", b"\"", b"\\", b" ", b"\t", b"x", b"\xff"];

/// Values that random pieces seldom make.
const VALUES: [&[u8]; 8] = [
    b"pushring",
    b"a, pushring; v=1, b",
    b"pushring-of-another-fleet",
    b"a; via=pushring",
    b"a; x=\"b, pushring, c\"",
    b"a; x=\"\\\", pushring, c\"",
    b"\", pushring",
    b"\xff\", pushring",
];

fn random_value(random: &mut Rng) -> Vec<u8> {
    let count = random.usize(1..=9);
    let value: Vec<u8> = (0..count).flat_map(|_| PIECES[random.usize(..PIECES.len())]).copied().collect();
    // Whitespace around a value is no part of it.
    value.trim_ascii().to_vec()
}

/// Returns the status of an answer to GET with these lines of `CDN-Loop`.
fn status(server: SocketAddr, path: &str, values: &[&[u8]]) -> u16 {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n").into_bytes();
    for value in values {
        request.extend([b"cdn-loop: ", *value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(&request).unwrap();
    let mut line = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8_lossy(&line[9..]).parse().unwrap()
}

/// The filter judges `/-/ready`, a route the other path.
#[test]
fn filter_and_routes_find_the_same_loops() {
    let mut random = Rng::with_seed(13);
    let mut values: Vec<Vec<u8>> = (0..200).map(|_| random_value(&mut random)).collect();
    values.extend(VALUES.map(<[u8]>::to_vec));
    let loops = values.iter().filter(|value| passed_pushring(value)).count();
    assert!((20..100).contains(&loops), "{loops} of {}", values.len());
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::start(mode, 1);
        let push = fleet.envoy.push;
        for value in &values {
            let (ready, other) = if passed_pushring(value) { (508, 508) } else { (200, 404) };
            let found = (status(push, "/-/ready", &[value]), status(push, "/no-push", &[value]));
            assert_eq!(found, (ready, other), "{mode}: {}", value.escape_ascii());
        }
        for lines in [[&b"a"[..], b"pushring"], [b"pushring", b"a"], [b"a;x=\"", b"pushring"]] {
            let found = (status(push, "/-/ready", &lines), status(push, "/no-push", &lines));
            assert_eq!(found, (508, 508), "{mode}: {lines:?}");
        }
    }
}
