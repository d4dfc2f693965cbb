//! Each Pushgateway that can be had, from 1.4 on, as a gateway of a ring: docs/compatibility.md has the results, and a test
//! fails if one of its cells is not what was found. `BLESS=1` writes the table.

mod facts;
#[path = "../referee/game.rs"]
mod game;
#[path = "../referee/gateway.rs"]
mod gateway;
mod list;
mod persisted;
mod ring;
mod table;

use pushring_harness::machine;

/// 1.4 cannot choose a free port, so each gateway has an address of a network for the test alone.
#[test]
fn the_table_of_pushgateways_is_true() {
    machine::isolated("the_table_of_pushgateways_is_true", || {
        let found: Vec<_> = list::pushgateways().iter().map(facts::row).collect();
        table::check("| Pushgateway |", &found);
    });
}
