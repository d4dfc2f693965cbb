//! The same registrations make the same ring, with the same reasons, through `--consul`, and through consul-template's file.

use clap::Parser;
use fastrand::Rng;
use pushring::fleet::members::{Members, Settings};
use pushring::fleet::registration::Registrations;
use pushring::fleet::ring_file::RingFile;
use pushring::fleet::source::FleetArgs;
use pushring_harness::{Layout, Mode, Ports, Templates};
use pushring_router::Router;
use serde_json::{Value, json};

use crate::replay;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    fleet: FleetArgs,
}

/// An odd text of any kind.
fn odd(rng: &mut Rng) -> String {
    let texts = [
        "",
        "pg-0",
        "pg-1",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "10.0.0.1:9091",
        "[::1]",
        "::1",
        "fe80::1%eth0",
        "fe80::1%25eth0",
        "PG.example.",
        "pg.example",
        "pg.example..",
        "xn--4ca.de",
        "\u{e4}.de",
        "010.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "http://10.0.0.2",
        "a,b",
        "a b",
        "<&>\u{2028}",
        "\"'{{ . }}$(x)",
        "\u{0}\u{1b}[2J\n",
        "a\u{202e}b",
        "\u{fffd}",
        "\u{1f4a5}",
        "http",
        "https",
        "HTTPS",
    ];
    match rng.usize(..8) {
        0 => "n".repeat(rng.choice([63, 64, 253, 254, 256, 999, 1000, 1001, 65536]).unwrap()),
        1 => rng.choice(["\u{e4}", "\u{1f4a5}", "\u{1b}"]).unwrap().repeat(rng.usize(50..600)),
        2 => format!("10.0.0.{}", rng.usize(1..9)),
        _ => rng.choice(texts).unwrap().to_owned(),
    }
}

/// One entry of an answer of Consul.
fn entry(rng: &mut Rng, datacenter: &str) -> Value {
    let id = odd(rng);
    let address = if rng.bool() { format!("10.0.0.{}", rng.usize(1..30)) } else { odd(rng) };
    let mut meta = json!({});
    for key in ["pushring-name", "pushring-scheme", "other"] {
        if rng.usize(..4) == 0 {
            meta[key] = json!(odd(rng));
        }
    }
    let check = |rng: &mut Rng| {
        let check = ["serfHealth", "c", "_node_maintenance", "_service_maintenance:x"]
            [rng.usize(..20).saturating_sub(16)];
        let status = ["passing", "warning", "critical", "", "odd"][rng.usize(..20).saturating_sub(15)];
        json!({"CheckID": check, "Status": status, "ServiceID": if rng.bool() { id.as_str() } else { "" },
               "CreateIndex": rng.choice([0, 7, 8, u64::MAX])})
    };
    let checks: Vec<Value> = (0..rng.usize(..4)).map(|_| check(rng)).collect();
    let tags = ["prod", "prod", "prod", "PROD", ""].map(|tag| json!(tag));
    let mut service = json!({
        "ID": id, "Service": "pushgateway", "Address": address,
        "Tags": if rng.usize(..9) == 0 { Value::Null } else { json!(tags[rng.usize(..5)..]) },
        "Meta": if rng.usize(..9) == 0 { Value::Null } else { meta },
        "Port": rng.choice([9091, 9091, 9091, 9091, 9092, 0, -1, 65535, 65536, i64::MAX]),
        "Weights": {"Passing": rng.choice([1, 1, 2, 100, 101, 0, -1, i64::MAX]), "Warning": 1},
    });
    match rng.usize(..30) {
        0 => service["Weights"] = json!({}),
        1 => service["Weights"] = Value::Null,
        2 => drop(service.as_object_mut().unwrap().remove("Weights")),
        3 => drop(service.as_object_mut().unwrap().remove("Port")),
        _ => {}
    }
    json!({
        "Node": {"Node": odd(rng), "Address": odd(rng), "Datacenter": datacenter}, "Service": service,
        "Checks": if rng.usize(..9) == 0 { Value::Null } else { json!(checks) },
    })
}

#[test]
fn any_registrations_make_the_same_ring_in_every_way() {
    for (seed, mode) in [(1, Mode::Cluster), (2, Mode::Endpoint)] {
        let mut rng = Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(&dir.path().join("pushring"), mode, Ports::default()).unwrap();
        let edits = [
            ("datacenters: []", "datacenters: [dc1, dc2]"),
            ("tags: []", "tags: [prod]"),
            ("min_members_share: 0.5", "min_members_share: 0.0"),
        ];
        let templates = Templates::install(&layout, &edits).unwrap();
        let answer = |rng: &mut Rng, dc: &str| {
            (dc.to_owned(), Value::from((0..300).map(|_| entry(rng, dc)).collect::<Vec<_>>()).to_string())
        };
        let consul = replay::serve(vec![answer(&mut rng, "dc1"), answer(&mut rng, "dc2")]);
        templates.once(consul).unwrap();

        let text = |path: &str| std::fs::read_to_string(layout.dir().join(path)).unwrap();
        let file = Registrations::parse(&text("registrations.json")).unwrap();
        assert!(file.found.len() > 100 && file.unreadable.is_empty(), "{:?}", file.unreadable);
        let settings = Settings::parse(&text("consul-template/settings.yaml")).unwrap();
        let of_file = Members::decide(&settings, &file);
        let ring = layout.live().join("ring.yaml");
        let consul = consul.to_string();
        let args = [
            "test",
            "--config",
            ring.to_str().unwrap(),
            "--consul",
            &consul,
            "--tag",
            "prod",
            "--datacenter",
            "dc1",
        ];
        let more = ["--datacenter", "dc2", "--min-members-share", "0"];
        let source = Cli::try_parse_from([&args[..], &more].concat()).unwrap().fleet.source().unwrap();
        let of_consul = source.read().unwrap();

        let published = RingFile::read(&ring).unwrap().config;
        assert!(published.members.len() > 5, "{published:?}");
        assert_eq!(*of_consul.router.config(), published, "{mode}");
        assert_eq!(*Router::parse(of_file.config.as_bytes()).unwrap().config(), published, "{mode}");
        assert_eq!(of_consul.registered, of_file.off_ring, "{mode}");
        assert_eq!(of_consul.schemes, of_file.schemes, "{mode}");
        assert!(of_file.skipped.len() > 20);
        assert_eq!(of_consul.skipped, of_file.skipped, "{mode}");
        for reason in of_file.skipped.iter().chain(&of_file.notes) {
            assert!(reason.len() < 2000, "{reason}");
        }
    }
}

/// publish reads 16 MB at most; the long texts are for messages only.
#[test]
fn long_texts_keep_no_member_from_the_ring() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(&dir.path().join("pushring"), Mode::Cluster, Ports::default()).unwrap();
    let templates =
        Templates::install(&layout, &[("min_members_share: 0.5", "min_members_share: 0.0")]).unwrap();
    let entry = |id: &str, address: &str, text: &str| {
        json!({
            "Node": {"Node": text, "Address": text, "Datacenter": "dc1"}, "Checks": [],
            "Service": {"ID": id, "Service": "pushgateway", "Address": address, "Port": 9091, "Tags": [], "Weights": {"Passing": 1},
                        "Meta": {"pushring-name": text, "pushring-scheme": text}},
        })
    };
    let long = "\u{1b}".repeat(50_000);
    let mut all: Vec<Value> = (0..100).map(|_| entry(&long, "", &long)).collect();
    all.push(entry("good", "10.0.0.1", ""));
    templates.once(replay::serve(vec![("dc1".to_owned(), json!(all).to_string())])).unwrap();
    let members = RingFile::read(&layout.live().join("ring.yaml")).unwrap().config.members;
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["10.0.0.1:9091"]);
}
