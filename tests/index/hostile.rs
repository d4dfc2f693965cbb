//! Bodies that nobody should send: each has an answer, memory stays bounded, and others are not disturbed.

use pushring_harness::proto::bytes;

use crate::body::{body, one, snappy, varint};
use crate::server::{Index, V1};

/// Most memory of the process, in KiB: the buffers of a few largest bodies.
const MEMORY: u64 = 700 << 10;

#[test]
fn hostile_bodies_get_an_answer_and_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::start(dir.path());
    let good: &[(&str, &str)] = &[("__name__", "good"), ("job", "a")];
    let not_utf8 = [bytes(1, "__name__"), bytes(2, "x"), bytes(1, b"a\xff")].concat();
    let labels: Vec<u8> =
        (0..1_000_000).flat_map(|_| bytes(1, [bytes(1, "a"), bytes(2, "b")].concat())).collect();
    // Half a gigabyte of zeros in blocks that copy: 64 bytes for three.
    let copies: Vec<u8> = [vec![0, 0], [0xfe, 1, 0].repeat(8 << 20)].concat();
    let bomb = [varint(1 << 29), copies].concat();
    let cases: [(&str, Vec<u8>, u16); 12] = [
        ("nothing", Vec::new(), 400),
        ("no snappy", b"hello".to_vec(), 400),
        ("a length of 4 GiB and no data", varint(usize::MAX >> 1), 400),
        ("a length of 100 MiB and no data", varint(100 << 20), 400),
        ("a bomb", bomb, 400),
        ("no protobuf", snappy(&[0xff; 100]), 400),
        ("a series that ends early", snappy(&[0x0a, 0x7f, 1]), 400),
        ("a series with a million labels", snappy(&bytes(1, labels)), 400),
        ("a series that is not UTF-8", snappy(&bytes(1, bytes(1, not_utf8))), 400),
        ("a series without a name", body(&[&[("job", "a")]]), 400),
        ("a name of a label of 2 KiB", body(&[&[("__name__", "x"), (&"n".repeat(2048), "v")]]), 400),
        (
            "a value of 64 KiB, which is cut",
            body(&[&[("__name__", "long"), ("v", &"v".repeat(1 << 16))]]),
            204,
        ),
    ];
    for (name, body, expected) in cases {
        let answer = index.write(body);
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
    }
    let huge = vec![0; 33 << 20];
    match index.client.send("POST", "/api/v1/write", &V1, huge) {
        Ok(answer) => assert_eq!(answer.status, 400, "never 413: {}", answer.text()),
        // The server answers before the end of the body and closes; the client may not read the answer.
        Err(error) => assert!(!format!("{error:#}").is_empty()),
    }
    // The good series of a request with a bad one is in the catalogue.
    let mixed = [bytes(1, one(good)), bytes(1, one(&[("job", "b")]))].concat();
    let answer = index.write(snappy(&mixed));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("1 of 2 series are bad"), "{}", answer.text());
    index.wait("good");
    index.wait("long");
    assert!(index.series("{job=\"b\"}").is_empty());
    let status = std::fs::read_to_string(format!("/proc/{}/status", index.process.id())).unwrap();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    let peak: u64 = peak.unwrap();
    assert!(peak < MEMORY, "{peak} KiB");
}

#[test]
fn tenants_do_not_see_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::start(dir.path());
    let series: &[(&str, &str)] = &[("__name__", "mine"), ("job", "a")];
    for tenant in ["a", "b"] {
        let headers = [V1[0], V1[1], ("x-scope-orgid", tenant)];
        let only = [series[0], ("tenant", tenant)];
        let body = body(&[series, &only]);
        assert_eq!(index.client.send("POST", "/api/v1/write", &headers, body).unwrap().status, 204);
    }
    for (tenant, other) in [("a", "b"), ("b", "a")] {
        let text = || {
            let headers = [("x-scope-orgid", tenant)];
            index.client.send("GET", "/api/v1/series?match[]=mine", &headers, "").unwrap().text()
        };
        let has = || text().contains(&format!("\"tenant\":\"{tenant}\"")).then_some(());
        pushring_harness::poll_until("the tenant's series", has).unwrap();
        assert!(!text().contains(&format!("\"tenant\":\"{other}\"")), "{}", text());
    }
    assert!(index.series("mine").is_empty(), "the tenant without a name is another one");
}
