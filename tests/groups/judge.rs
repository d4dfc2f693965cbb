//! Prometheus is the judge of what a gateway exposes.

use pushring_harness::{GatewayFixture, Prometheus};

#[test]
fn prometheus_rejects_a_help_text_that_is_not_utf8() {
    let fixture = GatewayFixture::start(2);
    fixture.put(0, "/metrics/job/good", "m 1\n");
    assert_eq!(fixture.client(1).put("/metrics/job/bad", &b"# HELP m \xff\nm 1\n"[..]).unwrap().status, 200);
    let prometheus = Prometheus::start(fixture.dir.path(), &fixture.addresses).unwrap();
    let [good, bad] = [0, 1].map(|gateway| prometheus.scrape(fixture.addresses[gateway]).unwrap());
    assert!(good.iter().all(|scrape| scrape.is_good()), "{good:?}");
    assert!(bad.iter().all(|scrape| scrape.error.contains("help")), "{bad:?}");
}
