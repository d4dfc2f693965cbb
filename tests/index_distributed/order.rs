//! Set, Redis, Kafka, Redis, set; then the database, then the offsets.

use pushring_harness::poll_until;

use super::fleet::{Fleet, send, series};

fn wait(fleet: &Fleet, count: f64) {
    poll_until(&format!("{count} series in the catalogue"), || (fleet.recorded() >= count).then_some(()))
        .unwrap();
    assert_eq!(fleet.recorded(), count);
}

#[test]
fn a_series_is_written_once_by_all_gateways() {
    let fleet = Fleet::start();
    send(&fleet.gateway, &series("a", 0..500));
    wait(&fleet, 500.0);
    // A request with known and new series: none of the new ones is lost, none of the known ones is written again.
    send(&fleet.gateway, &series("a", 0..700));
    wait(&fleet, 700.0);
    poll_until("the keys in Redis", || (fleet.redis.keys().ok()? == 700).then_some(())).unwrap();

    let second = fleet.another_gateway();
    send(&second, &series("a", 0..800));
    wait(&fleet, 800.0);
    let produced =
        |gateway: &pushring_harness::MetricIndex| gateway.metric("metric_index_produced_total").unwrap();
    assert_eq!((produced(&fleet.gateway), produced(&second)), (700.0, 100.0));
    assert_eq!(second.metric("metric_index_known_total{level=\"redis\"}").unwrap(), 700.0);
}

#[test]
fn everything_may_be_away_and_comes_back() {
    let mut fleet = Fleet::start();
    send(&fleet.gateway, &series("a", 0..10));
    wait(&fleet, 10.0);

    // Without Redis every series counts as unknown, and continues to Kafka.
    fleet.redis.process().kill();
    send(&fleet.gateway, &series("b", 0..10));
    wait(&fleet, 20.0);
    assert!(fleet.gateway.metric("metric_index_failures_total{server=\"redis\"}").unwrap() > 0.0);
    fleet.redis.restart().unwrap();

    // No request waits for Kafka; the series is not marked before Kafka has it.
    fleet.kafka.process().kill();
    send(&fleet.gateway, &series("c", 0..10));
    poll_until("a failure of Kafka", || {
        (fleet.gateway.metric("metric_index_failures_total{server=\"kafka\"}").ok()? > 0.0).then_some(())
    })
    .unwrap();
    assert_eq!(
        fleet.gateway.metric("metric_index_produced_total").unwrap(),
        20.0,
        "nothing of c is durable yet"
    );
    // Kafka has the series of b, so they may be marked.
    assert!(fleet.redis.keys().unwrap() <= 10);
    fleet.kafka.restart().unwrap();
    wait(&fleet, 30.0);

    // Without the database the offsets stay, also if the indexer is killed then.
    fleet.mariadb.process().kill();
    send(&fleet.gateway, &series("d", 0..10));
    poll_until("a failure of the database", || {
        (fleet.indexer.metric("metric_index_failures_total{server=\"database\"}").ok()? > 0.0).then_some(())
    })
    .unwrap();
    fleet.indexer.process().kill();
    fleet.mariadb.restart().unwrap();
    fleet.indexer.restart().unwrap();
    wait(&fleet, 10.0);
    let rows = fleet.mariadb.metrics("SELECT count(*), count(DISTINCT `key`) FROM series").unwrap();
    assert_eq!(rows, [["40", "40"]]);
}
