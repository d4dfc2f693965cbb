//! The properties that must hold for the router on any input.

use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use pushring_router::{
    Decision, Mirror, Mode, PushOwner, Reply, ReplyKind, Request, Route, Router, clean_path, labels_to_path,
};

use crate::spelling::{self, Labels};

/// Routers for every way to read a path, and for every mode.
static ROUTERS: LazyLock<Vec<Router>> = LazyLock::new(|| {
    let settings = [
        r#""utf8_names": false, "mirror": "none""#,
        r#""utf8_names": true, "mode": "endpoint", "mirror": "all""#,
        r#""path_prefix": "/push/gw", "mode": "endpoint", "status_path": "/-/ring", "health": true"#,
        r#""utf8_names": true, "path_prefix": "gw", "mirror": "all""#,
        r#""mode": "redirect", "redirect_scheme": "https", "lookup": "off""#,
        r#""route_by": "job", "status_path": "/metrics/job""#,
        r#""route_by": "path", "placement": {"type": "dynamic-sharding"}"#,
    ];
    let members = r#"["10.0.0.1:9091", "10.0.0.2:9091", "[2001:db8::1]:9091", "10.0.0.3:9091"]"#;
    let build = |settings| Router::parse(format!(r#"{{"members": {members}, {settings}}}"#).as_bytes());
    settings.into_iter().map(|settings| build(settings).expect("a valid configuration")).collect()
});

/// Checks that two spellings of a group have one key, one destination and exactly its labels.
pub fn spellings_agree(u: &mut Unstructured<'_>) -> Result<()> {
    let router = &ROUTERS[u.int_in_range(0..=3)?];
    let config = router.config();
    let labels = Labels::arbitrary(u, config.utf8_names)?;
    let mut destinations = Vec::new();
    for _ in 0..2 {
        let path = labels.spell(u, &config.path_prefix, config.utf8_names)?;
        let shown = String::from_utf8_lossy(&path).into_owned();
        let group = router.group(&path).unwrap_or_else(|| panic!("{shown} is a push path"));
        assert_eq!(group.labels.as_ref(), Some(&labels.sorted()), "labels of {shown}");
        assert_eq!(group.key, labels.key(), "key of {shown}");
        let empty_instance = labels.sorted().contains(&(b"instance".to_vec(), Vec::new()));
        assert_eq!(group.poison, empty_instance, "{shown}");
        // A DELETE passes even if a POST would poison the gateway.
        match router.decide(Request { method: b"DELETE", path: &path, accept: None }) {
            Decision::Route(route) => destinations.push(route.destination.as_bytes().to_vec()),
            other => panic!("{shown} is a push, found {other:?}"),
        }
    }
    assert_eq!(destinations[0], destinations[1], "destinations of {labels:?}");
    Ok(())
}

/// Checks that [`labels_to_path`] returns a path of exactly these labels, which needs neither encoding nor cleaning.
pub fn labels_round_trip(u: &mut Unstructured<'_>) -> Result<()> {
    let router = &ROUTERS[u.int_in_range(0..=3)?];
    let config = router.config();
    let mut labels = Labels::arbitrary(u, config.utf8_names)?;
    if u.ratio(1, 4)? {
        labels.0[0].1.extend(u.bytes(u.len().min(9))?); // a poisoned group can be deleted
    }
    let pairs = labels.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    let path = labels_to_path(&config.path_prefix, config.utf8_names, pairs).expect("there is a job");
    assert!(path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&b)), "{path}");
    let group = router.group(path.as_bytes()).unwrap_or_else(|| panic!("{path} is a push path"));
    assert_eq!(group.labels, Some(labels.sorted()), "labels of {path}");
    match router.decide(Request { method: b"DELETE", path: path.as_bytes(), accept: None }) {
        Decision::Route(route) => assert!(!route.malformed, "{path}"),
        other => panic!("{path} is a push, found {other:?}"),
    }
    Ok(())
}

/// Checks the decision on any request.
pub fn decide_is_total(u: &mut Unstructured<'_>) -> Result<()> {
    let router = &ROUTERS[u.choose_index(ROUTERS.len())?];
    let method: &[u8] = match u.int_in_range(0..=7)? {
        0 => u.bytes(u.len().min(4))?,
        i => [b"GET".as_slice(), b"HEAD", b"PUT", b"POST", b"DELETE", b"PATCH", b"PUT"][i - 1],
    };
    let accept =
        if u.arbitrary()? { Some(*u.choose(&[b"application/json".as_slice(), b"\xff"])?) } else { None };
    let path = if u.ratio(1, 4)? { u.bytes(u.len())?.to_vec() } else { spelling::odd_path(u)? };
    check_decision(router, Request { method, path: &path, accept });
    Ok(())
}

/// Checks the decisions on requests with this path.
pub fn decide_path_is_total(path: &[u8]) {
    for router in ROUTERS.iter() {
        for method in [b"PUT".as_slice(), b"GET", b"DELETE"] {
            check_decision(router, Request { method, path, accept: None });
        }
    }
}

fn check_decision(router: &Router, request: Request<'_>) {
    let config = router.config();
    let group = router.group(request.path);
    match router.decide(request) {
        Decision::Route(route) => {
            let group = group.expect("only push paths are routed");
            assert_eq!(route.malformed, group.labels.is_none());
            assert_eq!(router.owner(&group.key), Some(route.owner));
            let owned =
                PushOwner { owner: Some(route.owner), malformed: route.malformed, poison: group.poison };
            assert_eq!(router.owner_of(request.path), Some(owned));
            assert_eq!(clean_path(request.path), request.path, "only clean paths are routed");
            assert!(!(group.poison && matches!(request.method, b"PUT" | b"POST")), "poison was routed");
            assert!(config.mode != Mode::Redirect, "redirect mode routes nothing");
            assert!(route.destination.as_bytes().iter().all(u8::is_ascii_graphic));
            let own = if config.mode == Mode::Endpoint { &route.owner.address } else { &route.owner.name };
            assert!(String::from_utf8_lossy(route.destination.as_bytes()).contains(own.as_str()));
            check_mirror(router, &request, &route);
        }
        Decision::Bypass => {
            // Go cleans such paths before any handler sees them. It also cleans encoded slashes and dots if other bytes
            // of the path lack their encoding.
            let unclean = ["//", "/.", "%2"].iter().any(|part| contains(request.path, part.as_bytes()));
            assert!(group.is_none() || unclean, "a push is not routed");
            assert_eq!(router.owner_of(&clean_path(request.path)), None, "a push is not routed");
        }
        Decision::Reply(reply) => check_reply(&request, &reply),
    }
}

/// Checks that the mirror of a push is the member after its owner.
fn check_mirror(router: &Router, request: &Request<'_>, route: &Route<'_>) {
    let config = router.config();
    let mirrored: &[&[u8]] = match config.mirror {
        Mirror::None => &[],
        Mirror::Deletes => &[b"DELETE"],
        Mirror::All => &[b"PUT", b"POST", b"DELETE"],
    };
    assert_eq!(route.mirror.is_some(), mirrored.contains(&request.method), "{route:?}");
    let Some(mirror) = route.mirror else { return };
    let key = router.group(request.path).expect("only push paths are routed").key;
    let ring = router.ring();
    let replica = ring.clockwise(&key).find(|&i| config.members[i] != *route.owner).expect("four members");
    let replica = &config.members[replica];
    let expected = match config.mode {
        Mode::Endpoint => replica.address.clone(),
        Mode::Cluster | Mode::Redirect => format!("{}{}", config.cluster_prefix, replica.name),
    };
    assert_eq!(mirror, expected.as_bytes(), "{route:?}");
}

fn check_reply(request: &Request<'_>, reply: &Reply) {
    let location = reply.headers.iter().find(|(name, _)| *name == "location");
    let reads = matches!(request.method, b"GET" | b"HEAD");
    match reply.kind {
        ReplyKind::Redirect | ReplyKind::CleanPath => {
            assert_eq!(reply.status, 307);
            assert!(location.expect("a location").1.contains('/'));
            let (clean, to) = (clean_path(request.path), &location.expect("a location").1);
            assert!(reply.kind == ReplyKind::Redirect || !clean.is_ascii() || clean == to.as_bytes(), "{to}");
        }
        ReplyKind::Status | ReplyKind::Health => assert!(reads && reply.status == 200),
        ReplyKind::Lookup => assert!(reads && [200, 400].contains(&reply.status)),
        ReplyKind::NotAllowed => assert!(reads && reply.status == 405),
        ReplyKind::Poison => {
            assert_eq!(reply.status, 400);
            assert!(matches!(request.method, b"PUT" | b"POST"), "only these two store anything");
            assert!(!reply.body.is_empty(), "the reason");
        }
        ReplyKind::NoMembers => panic!("the ring has members"),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
