//! `jobs.patch`: a client pushes to its own jobs only, in whatever spelling.

use std::collections::BTreeSet;
use std::process::Command;

use pushring_harness::Mode;

use crate::curl::Outcome;
use crate::front::Front;

const STORED: Outcome = Outcome::Status(200);
const FORBIDDEN: Outcome = Outcome::Status(403);

#[test]
fn the_own_jobs_with_the_labels_of_usual_clients() {
    for mode in Mode::ROUTED {
        let front = Front::start(mode, &["tls", "mtls", "jobs"]);
        let client = front.client(&front.clients, "spiffe://example.org/backup");
        let client: Vec<&str> = client.iter().map(String::as_str).collect();
        for path in [
            "/metrics/job/backup",
            "/metrics/job/restore",
            "/metrics/job/backup?x=1",
            "/metrics/job/backup/instance/host-1.example.org:9100",
            "/metrics/job/backup/instance/host%3A9100", // Go
            "/metrics/job/backup/path@base64/L3Zhci90bXA/db/main",
            "/metrics/job/backup/empty@base64/=",
            "/metrics/job/backup/text/a+b%20%c3%bc%25",
            "/metrics/job/backup/job/other", // a Pushgateway ignores this label
        ] {
            assert_eq!(front.send("PUT", path, &client), STORED, "{path}");
        }
        let groups = front.gateway.groups().unwrap();
        assert_eq!(groups.len(), 7, "{groups:?}");
        assert!(
            groups.iter().all(|group| group["job"] == "backup" || group["job"] == "restore"),
            "{groups:?}"
        );
        assert_eq!(front.send("DELETE", "/metrics/job/restore", &client), Outcome::Status(202));
        assert_eq!(front.send("GET", "/-/pushring", &client), Outcome::Status(200));
        // A client of the same authority without a rule.
        let another = front.client(&front.clients, "spiffe://example.org/another");
        let another: Vec<&str> = another.iter().map(String::as_str).collect();
        assert_eq!(front.send("PUT", "/metrics/job/backup", &another), FORBIDDEN);
        let grpc = ["-H", "content-type: application/grpc"];
        assert_eq!(front.send("PUT", "/metrics/job/backup", &[&another[..], &grpc].concat()), FORBIDDEN);
        assert_eq!(front.send("GET", "/-/pushring", &another), Outcome::Status(200));
        front.assert_push("backup-2", &[], &Outcome::Tls);
    }
}

#[test]
fn no_spelling_reaches_another_job() {
    let front = Front::start(Mode::Cluster, &["tls", "mtls", "jobs"]);
    let client = front.client(&front.clients, "spiffe://example.org/backup");
    let client: Vec<&str> = client.iter().map(String::as_str).collect();
    for path in [
        "/metrics/job/other",
        "/metrics/job/backup2",
        "/metrics/job/backup%32",
        "/metrics/job/Backup",
        "/metrics/job@base64/b3RoZXI",
        "/metrics/job@base64/YmFja3Vw",
        "/metrics/%6Aob/other",
        "/metrics/job/%6Fther",
        "/metrics/job/backup%2f..%2fother",
        "/metrics/job/backup%2F..%2Fother",
        "/metrics/job/backup/../other",
        "/metrics/job/backup/%2e%2e/other",
        "/metrics/job/backup/%2E%2E/other",
        "/metrics/job/backup/..%2fother",
        "/metrics/job/backup//other",
        "/metrics/job/backup/a/b/../../../other",
        "/metrics/job/backup/a/b%2f..%2f..%2f..%2fother",
        "//metrics/job/other",
        "/metrics//job/other",
        "/./metrics/job/other",
        "/metrics/job/backup/../../job/other",
        "/metrics/job/backup/",
        "/metrics/job/backup\\..\\other",
        "/metrics/job/backup;/../other",
        "/metrics/job/",
        "/metrics/job",
        "/METRICS/job/backup",
        "/api/v1/admin/wipe",
    ] {
        for method in ["PUT", "POST", "DELETE", "PATCH"] {
            assert_eq!(front.send(method, path, &client), FORBIDDEN, "{method} {path}");
        }
    }
    // Other ways to name a path or a method.
    for args in [
        vec!["-H", "x-envoy-original-path: /metrics/job/backup"],
        vec!["-H", "x-forwarded-uri: /metrics/job/backup"],
        vec!["-H", "x-http-method-override: GET"],
        vec!["-H", "x-http-method: GET"],
        vec!["-H", ":path: /metrics/job/backup"],
        vec!["-H", "x-forwarded-client-cert: URI=spiffe://example.org/other"],
        vec!["--request-target", "http://a/metrics/job/other"],
        vec!["--http2", "-H", "x-http-method-override: GET"],
    ] {
        let outcome = front.send("PUT", "/metrics/job/other", &[&client[..], &args].concat());
        assert!(!matches!(outcome, Outcome::Status(200..=299)), "{args:?}: {outcome:?}");
    }
    assert_eq!(front.gateway.groups().unwrap(), []);
}

/// Random paths from the pieces that a gateway and Envoy read in different ways; the real gateway says where a push went.
#[test]
fn random_spellings_reach_the_own_jobs_only() {
    const PIECES: &[&str] = &[
        "backup", "other", "job", "metrics", "/", "/", "/", "//", "..", ".", "%2e", "%2f", "%2F", "%25",
        "@base64", "b3RoZXI", "YmFja3Vw", "=", "a", "instance", "?", "%", "%6a", "\\", ";", "+", "%00",
        "%c3%bc",
    ];
    let front = Front::start(Mode::Endpoint, &["tls", "mtls", "jobs"]);
    let client = front.client(&front.clients, "spiffe://example.org/backup");
    let mut random = fastrand::Rng::with_seed(13);
    let ca = front.ca().display().to_string();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--globoff", "--path-as-is", "-X", "PUT", "--data-binary", "x 1\n"]);
    curl.args(["-w", "\nstatus %{http_code}\n", "--cacert", &ca]).args(&client);
    for start in ["/metrics/job/backup/", "/metrics/job/backup", "/metrics/job/", "/metrics/job@base64/", "/"]
    {
        for _ in 0..150 {
            let path: String =
                (0..random.usize(1..8)).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
            curl.arg(format!("https://{}{start}{path}", front.envoy.push));
        }
    }
    let output = curl.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let statuses: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("status ")).collect();
    let count = |status: &str| statuses.iter().filter(|found| **found == status).count();
    assert_eq!(statuses.len(), 750, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(count("200") > 10 && count("403") > 300, "{statuses:?}");
    let jobs: BTreeSet<String> =
        front.gateway.groups().unwrap().into_iter().map(|group| group["job"].clone()).collect();
    assert_eq!(jobs, BTreeSet::from(["backup".to_owned()]));
}
