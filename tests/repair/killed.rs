//! A repair that was killed at any request finishes in the next run.

use pushring_harness::{Shift, Victim, command};

use crate::fixture::RepairFixture;

#[test]
fn finishes_in_the_next_run_after_a_kill_at_any_request() {
    let mut fixture = RepairFixture::start(2);
    let victim = Victim::default();
    for gateway in 0..2 {
        fixture.inner.proxy(gateway, Shift::default(), victim.hook());
    }
    let run = |fixture: &RepairFixture, requests| {
        let mut command = command::command().unwrap();
        command.args(fixture.args("0s", &[]));
        victim.run(command, requests).unwrap()
    };
    // The first gateway owns one group, and has the replica of the other.
    for owner in 0..2 {
        let path = fixture.inner.path_of(owner, "j");
        fixture.mirrored("POST", &path, "a 1\nb 1\n");
        fixture.mirrored("POST", &path, "c 1\n");
    }
    let before = fixture.exposed_all();
    let mut requests = 0;
    loop {
        fixture.lose(0);
        let was_killed = run(&fixture, requests);
        if was_killed {
            run(&fixture, usize::MAX);
        }
        assert_eq!(fixture.exposed_all(), before, "after {requests} requests");
        if !was_killed {
            break;
        }
        requests += 1;
    }
    // Each gateway is read several times, and two groups are copied.
    assert!(requests > 10, "{requests}");
}
