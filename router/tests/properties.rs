//! Checks the properties of the router on random inputs. A failure prints the seed that repeats it.
#![cfg(not(target_arch = "wasm32"))] // arbtest asks for the time

use arbtest::arbtest;
use pushring_model::{config, router as model};

#[test]
fn spellings_of_one_group_have_one_key() {
    arbtest(model::spellings_agree).budget_ms(2000);
}

#[test]
fn labels_survive_a_round_trip_through_a_path() {
    arbtest(model::labels_round_trip).budget_ms(1000);
}

#[test]
fn any_request_gets_an_answer() {
    arbtest(model::decide_is_total).budget_ms(2000);
}

#[test]
fn any_configuration_is_rejected_or_keeps_the_limits() {
    arbtest(|u| {
        config::parser_is_total(&config::arbitrary(u)?);
        Ok(())
    })
    .budget_ms(2000);
}

/// The generator is useful only while it produces both valid and invalid configurations in quantity.
#[test]
fn generated_configurations_are_valid_and_invalid() {
    let (mut good, mut bad) = (0, 0);
    arbtest(|u| {
        let accepted = pushring_router::Router::parse(&config::arbitrary(u)?).is_ok();
        *(if accepted { &mut good } else { &mut bad }) += 1;
        Ok(())
    })
    .budget_ms(500);
    assert!(good * 20 > bad && bad * 20 > good, "{good} good, {bad} bad");
}
