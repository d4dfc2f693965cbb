//! Checks the properties of the router on random inputs. A failure prints the seed that repeats it.
#![cfg(not(target_arch = "wasm32"))] // arbtest asks for the time

use arbitrary::Unstructured;
use arbtest::arbtest;
use pushring_model::{config, router as model};
use pushring_router::Router;

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

/// The generator is useful only while it produces both valid and invalid configurations in quantity. The inputs are fixed,
/// because arbtest draws as many as the machine has time for, short ones first, and short ones are mostly invalid.
#[test]
fn generated_configurations_are_valid_and_invalid() {
    let mut random = fastrand::Rng::with_seed(1);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..1000 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(4096).collect();
        let json = config::arbitrary(&mut Unstructured::new(&bytes)).unwrap();
        *(if Router::parse(&json).is_ok() { &mut good } else { &mut bad }) += 1;
    }
    assert!(good * 20 > bad && bad * 20 > good, "{good} good, {bad} bad");
}
