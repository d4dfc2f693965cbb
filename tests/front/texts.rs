//! Texts of answers name paths that are right, also under a prefix.

use pushring_harness::{EnvoyFixture, Mode};

#[test]
fn texts_under_a_prefix_name_the_right_paths() {
    for mode in Mode::ALL {
        let fleet = EnvoyFixture::with(mode, 1, |config| config["path_prefix"] = "/pg".into());
        let client = fleet.envoy.client().unwrap();
        // A push at a gateway without a prefix.
        let answer = client.put("/metrics/job/a/instance/b", "x 1\n").unwrap();
        assert_eq!(answer.status, 404, "{mode}");
        let text = answer.text().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("is a push if path_prefix of the ring is empty"), "{mode}: {text}");
        // Each page that the text names exists; the first shows the prefix.
        assert!(
            text.contains("GET /-/pushring lists") && text.contains("GET /-/pushring/owner?path="),
            "{text}"
        );
        assert_eq!(fleet.envoy.status().unwrap()["path_prefix"], "/pg", "{mode}");
        let owner = |path: &str| client.get(&format!("/-/pushring/owner?path={path}")).unwrap();
        assert_eq!(owner("/pg/metrics/job/a").status, 200, "{mode}");
        let wrong = owner("/metrics/job/a");
        assert_eq!(wrong.status, 400, "{mode}");
        assert!(wrong.text().contains("such as /pg/metrics/job/"), "{mode}: {}", wrong.text());
        // A push that a redirect turned into a GET.
        if mode != Mode::Redirect {
            let answer = client.get("/pg/metrics/job/a").unwrap();
            assert_eq!(answer.status, 405, "{mode}");
            assert!(answer.text().contains("GET /-/pushring/owner?path="), "{mode}: {}", answer.text());
        }
    }
}
