use std::collections::BTreeMap;

use super::*;

fn key(number: u64) -> Key {
    Key::of_bytes(&number.to_be_bytes())
}

fn unknown(set: &Known, keys: &[Key], now: u32) -> Vec<usize> {
    let mut into = Vec::new();
    set.unknown(keys, now, &mut into);
    into
}

#[test]
fn acts_as_a_map_of_expiries_while_it_is_not_full() {
    arbtest::arbtest(|u| {
        let (set, mut model) = (Known::new(100_000), BTreeMap::new());
        let mut now = 0;
        while !u.is_empty() {
            let keys: Vec<_> =
                (0..u.int_in_range(1..=9)?).map(|_| u.int_in_range(0..=40)).collect::<Result<_, _>>()?;
            match u.int_in_range(0..=4)? {
                0 => now += u.int_in_range(0..=5)?,
                1 => {
                    let expires = now + u.int_in_range(0..=9)?;
                    set.insert(keys.iter().map(|number| (key(*number), expires)));
                    model.extend(keys.iter().map(|number| (*number, expires)));
                }
                2 => keys.iter().for_each(|number| {
                    set.remove(key(*number));
                    model.remove(number);
                }),
                3 => {
                    set.sweep(now);
                    model.retain(|_, expires| *expires > now);
                    assert_eq!(set.len(), model.len());
                }
                _ => {
                    let is_new = |number: &u64| model.get(number).is_none_or(|expires| *expires <= now);
                    let new: Vec<_> = (0..keys.len()).filter(|i| is_new(&keys[*i])).collect();
                    let keys: Vec<_> = keys.iter().map(|number| key(*number)).collect();
                    assert_eq!(unknown(&set, &keys, now), new);
                    assert!(
                        keys.iter().enumerate().all(|(i, key)| set.contains(*key, now) != new.contains(&i))
                    );
                }
            }
        }
        assert_eq!(set.evicted(), 0);
        Ok(())
    });
}

#[test]
fn keeps_what_is_used_when_it_is_full() {
    let set = Known::new(6_400);
    let used: Vec<_> = (0..1_000).map(key).collect();
    set.insert(used.iter().map(|key| (*key, 100)));
    for round in 1..20 {
        set.insert((0..1_000).map(|i| (key(round * 1_000 + i), 100)));
        assert!(set.len() <= 6_400);
        let lost = unknown(&set, &used, 1).len();
        assert!(lost == 0, "{lost} of the keys that each round uses are gone in round {round}");
    }
    assert!(set.evicted() > 10_000);
}

#[test]
fn two_sets_take_less_than_120_bytes_a_series() {
    let (keys, raw) = (Known::new(10_000_000), Known::new(10_000_000));
    for number in 0..150_000_u64 {
        keys.insert([(key(number), 100)]);
        raw.insert([(key(!number), 100)]);
        if number % 5_000 == 0 && number > 40_000 {
            let bytes = (keys.memory() + raw.memory()) as u64 / number;
            assert!(bytes < 120, "{bytes} bytes a series with {number}");
        }
    }
    keys.sweep(100);
    assert!(keys.is_empty());
    assert!(keys.memory() < 10_000, "{}", keys.memory());
}

#[test]
fn threads_share_a_set() {
    let set = Known::new(100_000);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let set = &set;
            scope.spawn(move || {
                let keys: Vec<_> = (0..2_000).map(|i| key(i * 4 + thread)).collect();
                set.insert(keys.iter().map(|key| (*key, 100)));
                assert_eq!(unknown(set, &keys, 1), [0_usize; 0]);
            });
        }
    });
    assert_eq!(set.len(), 8_000);
}

#[test]
fn spreads_by_a_fifth_in_both_directions() {
    let times: Vec<_> = (0..1_000).map(|number| spread(key(number), 1_000)).collect();
    assert!(times.iter().all(|time| (800..=1_200).contains(time)));
    assert!(times.iter().any(|time| *time < 820) && times.iter().any(|time| *time > 1_180));
    assert_eq!(spread(key(1), 0), 0);
    assert!(spread(key(1), u32::MAX) > 3_000_000_000);
}
