//! The digest covers every setting by which two Envoys could send a push to different gateways.

#![allow(clippy::expect_used)] // a panic is how a test fails

use pushring_router::Router;

fn digest(settings: &str) -> String {
    let config = format!(r#"{{"members": ["10.0.0.1:9091", "10.0.0.2:9091"]{settings}}}"#);
    Router::parse(config.as_bytes()).expect("a valid configuration").digest()
}

#[test]
fn the_digest_covers_the_mirror() {
    let default = digest("");
    // The digest of this ring in pushring 0.2, which had no such setting.
    assert_eq!(default, "8b3bd1f03d68d3f0");
    let (none, all) = (digest(r#","mirror": "none""#), digest(r#","mirror": "all""#));
    assert!(none != all && none != default && all != default, "{default} {none} {all}");
    for mode in ["cluster", "endpoint"] {
        for (mirror, expected) in [("none", &none), ("deletes", &default), ("all", &all)] {
            let settings = format!(r#","mode": "{mode}", "mirror": "{mirror}""#);
            assert_eq!(&digest(&settings), expected, "{settings}");
        }
    }
    assert_eq!(digest(r#","mirror_deletes": true"#), default);
    assert_eq!(digest(r#","mirror_deletes": false"#), none);
}

/// In redirect mode, Envoy mirrors nothing.
#[test]
fn the_mirror_is_no_part_of_the_digest_in_redirect_mode() {
    let default = digest("");
    for settings in ["", r#","mirror": "all""#, r#","mirror": "none""#, r#","mirror_deletes": false"#] {
        assert_eq!(digest(&format!(r#","mode": "redirect"{settings}"#)), default, "{settings}");
    }
}
