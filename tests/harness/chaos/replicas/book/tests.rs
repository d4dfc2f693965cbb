use super::super::groups;
use super::*;

const GROUP: usize = 90;

/// A book and a clock in milliseconds.
struct Scene {
    book: Book,
    zero: Instant,
}

impl Scene {
    fn new() -> Self {
        Self { book: Book::new(), zero: Instant::now() }
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.zero + Duration::from_millis(milliseconds)
    }

    /// A push of the first parts that takes 10 ms.
    fn push(&mut self, time: u64, method: Method, parts: &[usize], value: u64, gateway: Option<usize>) {
        let (sent, done) = (self.at(time), self.at(time + 10));
        self.book.send(GROUP, method, groups::values(parts, value), sent);
        let answer =
            gateway.map_or(Answer::Failed("503".to_owned()), |gateway| Answer::Accepted(Some(gateway)));
        self.book.answer(GROUP, answer, done);
    }

    fn kill(&mut self, time: u64, gateway: usize) {
        let (from, until) = (self.at(time), self.at(time + 5));
        self.book.gateway_ends(gateway, from);
        self.book.gateway_ended(gateway, until);
    }

    /// The broken promises of a scrape of 20 ms that shows these values of the first series.
    fn scrape(&self, time: u64, shown: &[(usize, u64)]) -> Vec<Kind> {
        let values = shown.iter().map(|(series, value)| ((GROUP, *series), *value)).collect();
        let exposed = Exposed { values, ..Exposed::default() };
        let faults = self.book.judge(&exposed, self.at(time), self.at(time + 20));
        faults.iter().map(|fault| fault.kind).collect()
    }
}

#[test]
fn a_group_that_is_not_there_is_missing() {
    let mut scene = Scene::new();
    assert_eq!(scene.scrape(100, &[]), []);
    scene.push(1000, Method::Put, &[0, 1], 1, Some(0));
    assert_eq!(scene.scrape(1005, &[]), [], "it began before the answer");
    assert_eq!(scene.scrape(1011, &[]), [Kind::Missing]);
    assert_eq!(scene.scrape(1011, &[(0, 1)]), [Kind::Missing], "a family is missing");
    assert_eq!(scene.scrape(1011, &[(0, 1), (1, 1)]), []);
}

#[test]
fn a_value_from_before_an_accepted_push_is_older() {
    let mut scene = Scene::new();
    scene.push(1000, Method::Post, &[0], 1, Some(0));
    scene.push(2000, Method::Post, &[0], 2, Some(0));
    assert_eq!(scene.scrape(1995, &[(0, 1)]), [], "the push was under way");
    assert_eq!(scene.scrape(1995, &[(0, 2)]), [], "the push was under way");
    assert_eq!(scene.scrape(2011, &[(0, 1)]), [Kind::Older]);
    assert_eq!(scene.scrape(2011, &[(0, 2)]), []);
    assert_eq!(scene.scrape(2011, &[(0, 3)]), [Kind::Older], "no client sent it");
}

#[test]
fn the_last_second_of_a_gateway_may_be_lost_and_nothing_else() {
    let mut scene = Scene::new();
    scene.push(1000, Method::Put, &[0], 1, Some(0));
    scene.push(2000, Method::Put, &[0], 2, Some(0));
    scene.push(3000, Method::Put, &[0], 3, Some(0));
    assert_eq!(scene.scrape(3100, &[(0, 2)]), [Kind::Older], "no gateway was killed yet");
    scene.kill(3500, 1);
    assert_eq!(scene.scrape(3600, &[(0, 2)]), [Kind::Older], "another gateway was killed");
    scene.kill(3700, 0);
    assert_eq!(scene.scrape(3800, &[(0, 2)]), []);
    assert_eq!(scene.scrape(3800, &[(0, 1)]), [Kind::Older]);
    assert_eq!(scene.scrape(3800, &[]), [Kind::Missing]);
    scene.push(4000, Method::Put, &[0], 4, Some(0));
    assert_eq!(scene.scrape(4100, &[(0, 3)]), [Kind::Older], "it was accepted after the kill");
}

#[test]
fn the_replica_may_keep_the_older_of_two_close_pushes_until_a_look() {
    let mut scene = Scene::new();
    scene.book.repair_begins(scene.at(0));
    scene.push(1000, Method::Put, &[0], 1, Some(0));
    scene.push(3000, Method::Put, &[0], 2, Some(0));
    scene.push(3050, Method::Put, &[0], 3, Some(0));
    scene.push(3100, Method::Put, &[0], 4, Some(0));
    scene.book.repair_ends(scene.at(4070), scene.at(3070));
    assert_eq!(scene.scrape(4080, &[(0, 3)]), [Kind::Older], "the owner runs");
    scene.kill(4200, 0);
    assert_eq!(scene.scrape(4300, &[(0, 4)]), []);
    assert_eq!(scene.scrape(4300, &[(0, 3)]), [], "the last push is not covered by the look");
    assert_eq!(scene.scrape(4300, &[(0, 2)]), [Kind::Older], "the look showed the one before");
}

#[test]
fn a_deleted_group_must_not_return() {
    let mut scene = Scene::new();
    scene.push(1000, Method::Put, &[0], 1, Some(0));
    scene.push(2000, Method::Delete, &[], 0, Some(0));
    assert_eq!(scene.scrape(2500, &[(0, 1)]), [], "within the time of a deletion");
    assert_eq!(scene.scrape(5100, &[(0, 1)]), [Kind::Returned]);
    assert_eq!(scene.scrape(5100, &[]), []);
    scene.push(6000, Method::Put, &[0], 2, Some(0));
    assert_eq!(scene.scrape(6100, &[(0, 1)]), [Kind::Older], "it returned and hides the new one");
}

#[test]
fn a_family_that_a_put_removed_must_not_return() {
    let mut scene = Scene::new();
    scene.push(1000, Method::Put, &[0, 1], 1, Some(0));
    scene.push(2000, Method::Put, &[0], 2, Some(0));
    assert_eq!(scene.scrape(5100, &[(0, 2), (1, 1)]), [Kind::Returned]);
    assert_eq!(scene.scrape(5100, &[(0, 2)]), []);
}

#[test]
fn a_repair_may_show_what_was_certain_before_it() {
    let mut scene = Scene::new();
    scene.push(1000, Method::Put, &[0], 1, Some(0));
    scene.push(2000, Method::Put, &[0], 2, Some(0));
    scene.book.repair_begins(scene.at(4000));
    scene.push(4100, Method::Put, &[0], 3, Some(0));
    assert_eq!(scene.scrape(4200, &[(0, 2)]), [Kind::Overtaken]);
    assert_eq!(scene.scrape(4200, &[(0, 1)]), [Kind::Older]);
    assert_eq!(scene.scrape(4200, &[]), [Kind::Missing]);
    scene.book.repair_ends(scene.at(6000), scene.at(5000));
    assert_eq!(scene.scrape(5900, &[(0, 2)]), [Kind::Overtaken]);
    assert_eq!(scene.scrape(6100, &[(0, 2)]), [Kind::Older]);
    scene.book.repair_concerns(BTreeSet::from([GROUP + 1]));
    assert_eq!(scene.scrape(5900, &[(0, 2)]), [Kind::Older], "another group was repaired");
}

#[test]
fn a_failed_push_may_have_had_an_effect() {
    let mut scene = Scene::new();
    scene.push(1000, Method::Put, &[0], 1, Some(0));
    scene.push(2000, Method::Put, &[0], 2, None);
    assert_eq!(scene.scrape(3500, &[(0, 1)]), []);
    assert_eq!(scene.scrape(3500, &[(0, 2)]), []);
    assert_eq!(scene.scrape(3500, &[]), [Kind::Missing]);
    scene.push(4000, Method::Delete, &[], 0, None);
    assert_eq!(scene.scrape(8000, &[]), []);
    assert_eq!(scene.scrape(8000, &[(0, 1)]), []);
}
