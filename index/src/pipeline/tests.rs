//! The set in front of the queue.

use pushring_index::{Labels, Source};

use super::*;
use crate::config::Config;

fn fresh(tenant: &str, name: &str) -> Fresh {
    let labels = Labels::new(vec![("__name__".into(), name.into())]).unwrap();
    let key = Key::new(tenant, &labels);
    let source =
        Source { kind: Kind::Write, owner: String::new(), job: String::new(), sender: String::new() };
    let tenant = tenant.to_owned();
    Fresh {
        raw: None,
        id: key,
        sighting: Sighting { tenant, key, labels, metadata: Default::default(), source, at: 1 },
    }
}

#[test]
fn a_series_that_comes_again_is_not_new_to_the_limit_of_its_tenant() {
    let pipeline = Pipeline::new(&Config::parse("metric_store: {cache: {default_expire: 100}}").unwrap());
    let batch = [fresh("t", "a"), fresh("t", "b"), fresh("u", "a")];
    // As Kafka says without Redis.
    let all = HashMap::from([("t".to_owned(), 2), ("u".to_owned(), 1)]);
    assert_eq!(pipeline.not_new(&batch, &all), HashMap::from([("t", 0), ("u", 0)]));
    // As the catalogue says.
    let some = HashMap::from([("t".to_owned(), 1)]);
    assert_eq!(pipeline.not_new(&batch, &some), HashMap::from([("t", 1), ("u", 1)]));

    pipeline.know([batch[0].id].into_iter());
    pipeline.forget(130);
    assert_eq!(
        pipeline.not_new(&batch, &all),
        HashMap::from([("t", 1), ("u", 0)]),
        "the set has its key still"
    );
    assert_eq!(pipeline.not_new(&batch, &some), HashMap::from([("t", 1), ("u", 1)]), "it counts once");
    pipeline.forget(230);
    assert_eq!(pipeline.not_new(&batch, &all), HashMap::from([("t", 0), ("u", 0)]));
    assert!(pipeline.known.is_empty());
}
