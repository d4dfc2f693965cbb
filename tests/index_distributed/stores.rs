//! The fixtures themselves: each server that is killed starts again at its address, with its data if it keeps any.

use pushring_harness::{Kafka, MariaDb, Redis, VictoriaMetrics, VmAgent, poll_until};
use tempfile::tempdir;

#[test]
fn stores_start_again_after_a_kill() {
    let dir = tempdir().unwrap();
    let mut redis = Redis::start(dir.path()).unwrap();
    let mut mariadb = MariaDb::start(dir.path()).unwrap();
    let mut kafka = Kafka::start(dir.path()).unwrap();
    assert_eq!(redis.keys().unwrap(), 0);
    mariadb.metrics("CREATE TABLE t (a TEXT, b TEXT); INSERT INTO t VALUES ('ä', 'b')").unwrap();
    let addresses = (redis.address, mariadb.address, kafka.address);

    redis.process().kill();
    mariadb.process().kill();
    kafka.process().kill();
    assert!(redis.keys().is_err() && mariadb.query("SELECT 1").is_err());
    redis.restart().unwrap();
    mariadb.restart().unwrap();
    kafka.restart().unwrap();

    assert_eq!((redis.address, mariadb.address, kafka.address), addresses);
    assert_eq!(mariadb.metrics("SELECT a, b FROM t").unwrap(), [["ä", "b"]]);
}

#[test]
fn vmagent_writes_into_victoriametrics() {
    let dir = tempdir().unwrap();
    let victoria = VictoriaMetrics::start(dir.path()).unwrap();
    let target = format!("http://{}/api/v1/write", victoria.address);
    let agent = VmAgent::start(dir.path(), &target, &["-remoteWrite.flushInterval=100ms"]).unwrap();
    let client = pushring_harness::http::Client::new(agent.address).unwrap();
    let answer = client.send("POST", "/api/v1/import/prometheus", &[], "probe{a=\"1\"} 5\n").unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
    let found = poll_until("the series", || victoria.series("probe").ok().filter(|found| !found.is_empty()));
    assert_eq!(found.unwrap(), [serde_json::json!({"__name__": "probe", "a": "1"})]);
}
