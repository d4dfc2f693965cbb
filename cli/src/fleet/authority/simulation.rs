//! Random histories of one group: pushes, deletions, restarts (empty, or with an old file) and members that leave and come back
//! with what they hold, with repairs between them. Each reading must show what the clients pushed, no more and no less.
//!
//! As in a fleet, the next gateway is lost only when owner and replica hold the group again. Clocks differ by minutes and are
//! known to a second. Time passes only where a history says so.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use jiff::SignedDuration;

use super::super::source::Fleet;
use super::super::test_fleet::{clock, clockwise, fleet, labels};
use super::*;

const NAMES: [&str; 5] =
    ["10.0.0.1:9091", "10.0.0.2:9091", "10.0.0.3:9091", "10.0.0.4:9091", "10.0.0.5:9091"];
const FAMILIES: u8 = 3;
/// More take longer than a unit test may.
const HISTORIES: u64 = 400;
const EVENTS: usize = 40;

type Value = u32;
/// Values with the times of their pushes by the gateway's clock.
type Content = BTreeMap<u8, (Value, Timestamp)>;

#[derive(Clone, Debug)]
struct Gateway {
    ahead: SignedDuration,
    started: Timestamp,
    content: Content,
    file: Content,
    on_ring: bool,
}

/// A process that reads the gateways.
#[derive(Debug)]
struct Reader {
    past: Past,
    /// Whether it also reads gateways that are off the ring.
    knows_all: bool,
}

struct World {
    random: Rng,
    now: Timestamp,
    gateways: Vec<Gateway>,
    labels: Labels,
    order: Vec<usize>,
    mode: Mode,
    truth: BTreeMap<u8, Value>,
    value: Value,
    serve: Reader,
    sweep: Reader,
    rings: BTreeMap<Vec<bool>, (Fleet, Vec<usize>)>,
    log: Vec<String>,
    /// Whether a repair has ended since the last loss.
    is_repaired: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let now = Timestamp::now() - SignedDuration::from_hours(24);
        let gateway = |random: &mut Rng| Gateway {
            ahead: SignedDuration::from_millis(random.i64(-100_000..100_000)),
            started: now,
            content: Content::new(),
            file: Content::new(),
            on_ring: true,
        };
        let mut gateways: Vec<_> = NAMES.iter().map(|_| gateway(&mut random)).collect();
        for gateway in &mut gateways {
            gateway.started = now + gateway.ahead;
        }
        gateways[random.usize(..NAMES.len())].on_ring = false;
        let knows_all = random.bool();
        let reader = || Reader { past: Past::default(), knows_all };
        let mode = if random.bool() { Mode::Cluster } else { Mode::Endpoint };
        let mut world = Self {
            random,
            now,
            gateways,
            labels: labels(),
            order: Vec::new(),
            mode,
            truth: BTreeMap::new(),
            value: 0,
            serve: reader(),
            sweep: reader(),
            rings: BTreeMap::new(),
            log: Vec::new(),
            is_repaired: true,
        };
        world.new_ring();
        world.pass(20_000);
        world
    }

    fn pass(&mut self, most: i64) {
        self.now += SignedDuration::from_millis(self.random.i64(6000.min(most - 1)..most));
    }

    fn new_ring(&mut self) {
        let on: Vec<bool> = self.gateways.iter().map(|gateway| gateway.on_ring).collect();
        let (fleet, order) = self.rings.entry(on.clone()).or_insert_with(|| {
            let members: Vec<&str> =
                (0..NAMES.len()).filter(|index| on[*index]).map(|index| NAMES[index]).collect();
            let fleet = fleet(&members, None);
            let index = |name: String| NAMES.iter().position(|known| *known == name).unwrap();
            let order = clockwise(&fleet, &labels()).into_iter().map(index).collect();
            (fleet, order)
        });
        fleet.changed = Some(self.now.into());
        self.order.clone_from(order);
        self.serve.past.observe(fleet);
        self.sweep.past.observe(fleet);
    }

    fn stamp(&self, on: usize) -> Timestamp {
        self.now + self.gateways[on].ahead
    }

    fn holders(&self) -> [usize; 2] {
        [self.order[0], self.order[1]]
    }

    fn push(&mut self) {
        let families: BTreeSet<u8> = (0..FAMILIES).filter(|_| self.random.bool()).collect();
        let method = self.random.u8(..10);
        self.value += 1;
        let (value, mut holders) = (self.value, self.holders().to_vec());
        // Envoy does not repeat the copy to the replica.
        if self.is_whole() && self.is_repaired && self.random.u8(..10) == 0 {
            holders.truncate(1);
            self.log.push("the replica misses:".to_owned());
        }
        self.log
            .push(format!("{} {families:?} = {value}", ["PUT", "POST", "DELETE"][usize::from(method / 4)]));
        if !(4..8).contains(&method) {
            self.truth.clear();
            holders.iter().for_each(|on| self.gateways[*on].content.clear());
        }
        for family in families.into_iter().filter(|_| method < 8) {
            self.truth.insert(family, value);
            for on in holders.iter().copied() {
                self.now += SignedDuration::from_millis(self.random.i64(0..5));
                let stamp = self.stamp(on);
                self.gateways[on].content.insert(family, (value, stamp));
            }
        }
    }

    fn restart(&mut self, on: usize) {
        let with_file = self.random.bool();
        let started = self.stamp(on);
        let gateway = &mut self.gateways[on];
        if !with_file {
            gateway.file.clear();
        }
        (gateway.content, gateway.started) = (gateway.file.clone(), started);
        self.log.push(format!("gateway {on} restarts, file: {with_file}"));
    }

    /// Takes a gateway off the ring, with or without a restart.
    fn leave(&mut self, on: usize) {
        self.gateways[on].on_ring = false;
        self.log.push(format!("gateway {on} leaves"));
        // A repair that read the group before the change may end after it.
        let stray =
            if self.holders().contains(&on) { self.gateways[on].content.clone() } else { Content::new() };
        self.new_ring();
        if self.random.bool() {
            self.restart(on);
            if self.random.bool() {
                let stamp = self.stamp(on);
                self.gateways[on].content =
                    stray.into_iter().map(|(name, (value, _))| (name, (value, stamp))).collect();
            }
        }
    }

    /// Loses one copy of the group at most, or changes the members.
    fn lose(&mut self) {
        self.is_repaired = false;
        let on = self.random.usize(..NAMES.len());
        let members = self.gateways.iter().filter(|gateway| gateway.on_ring).count();
        match (self.gateways[on].on_ring, self.random.bool()) {
            (true, true) => self.restart(on),
            (true, false) if members > 3 => self.leave(on),
            (true, false) => {}
            (false, _) => {
                self.gateways[on].on_ring = true;
                self.log.push(format!("gateway {on} joins with {:?}", self.gateways[on].content));
                self.new_ring();
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.holders().iter().all(|on| self.values(*on) == self.truth)
    }

    fn values(&self, on: usize) -> BTreeMap<u8, Value> {
        self.gateways[on].content.iter().map(|(name, (value, _))| (*name, *value)).collect()
    }

    /// Reads all gateways but one; returns each family with the gateway whose copy counts.
    fn read(&self, reader: &Reader, not: Option<usize>) -> BTreeMap<u8, usize> {
        let mut visible: Vec<usize> = self.order.clone();
        visible.extend((0..NAMES.len()).filter(|on| reader.knows_all && !self.gateways[*on].on_ring));
        let witness = |&on: &usize| {
            let gateway = &self.gateways[on];
            (Some(on) != not).then(|| Witness {
                name: NAMES[on].to_owned(),
                clock: clock(self.now, gateway.ahead),
                started: Some(gateway.started),
                read: self.now,
            })
        };
        let witnesses: Vec<_> = visible.iter().map(witness).collect();
        let all = Authority { witnesses: &witnesses, past: &reader.past, mode: self.mode, now: self.now };
        let authority = all.about(Place { labels: &self.labels, owner: 0, replica: Some(1) });
        let mut shown = BTreeMap::new();
        for family in 0..FAMILIES {
            let copy = |(index, on): (usize, &usize)| {
                let (_, stamp) = *self.gateways[*on].content.get(&family)?;
                Some(Held { on: index, stamp })
            };
            let held: Vec<_> = visible.iter().enumerate().filter_map(copy).collect();
            if let Some(picked) = authority.pick(&held) {
                shown.insert(family, visible[picked.on]);
            }
        }
        let picture = self.picture(&shown);
        let holds = |index: usize| self.values(visible[index]) == picture;
        // A group without families is on no gateway.
        let is_held = visible.iter().any(|on| !self.gateways[*on].content.is_empty());
        all.saw_only(is_held.then_some(&self.labels).into_iter());
        if is_held {
            authority.saw_whole((0..visible.len()).filter(|index| holds(*index)));
        }
        shown
    }

    fn picture(&self, shown: &BTreeMap<u8, usize>) -> BTreeMap<u8, Value> {
        shown.iter().map(|(name, on)| (*name, self.gateways[*on].content[name].0)).collect()
    }

    /// Repairs as `sweep --repair` does: first the owner, then the replica, then copies on other gateways.
    fn repair(&mut self) {
        self.log.push("repair".to_owned());
        for _ in 0..3 {
            let shown = self.read(&self.sweep, None);
            let [owner, replica] = self.holders();
            let right: Content =
                shown.iter().map(|(name, on)| (*name, self.gateways[*on].content[name])).collect();
            for on in [owner, replica] {
                let (stamp, content) = (self.stamp(on), &mut self.gateways[on].content);
                content.retain(|name, _| right.contains_key(name));
                for (name, (value, _)) in &right {
                    if content.get(name).is_none_or(|(held, _)| held != value) {
                        content.insert(*name, (*value, stamp));
                    }
                }
                if self.random.u8(..4) == 0 {
                    // It ends early; the next pass continues.
                    return;
                }
            }
            self.now += SignedDuration::from_secs(1);
        }
        self.is_repaired = true;
        if self.random.bool() {
            for on in (0..NAMES.len()).filter(|on| !self.holders().contains(on)).collect::<Vec<_>>() {
                if self.gateways[on].on_ring || self.sweep.knows_all {
                    self.gateways[on].content.clear();
                }
            }
        }
    }

    fn event(&mut self) {
        match self.random.u8(..10) {
            0..4 => self.push(),
            4..7 if self.is_whole() && self.is_repaired => self.lose(),
            7 => {
                let on = self.random.usize(..NAMES.len());
                let gateway = &mut self.gateways[on];
                gateway.file.clone_from(&gateway.content);
                self.log.push(format!("gateway {on} writes its file"));
            }
            _ => self.repair(),
        }
    }

    fn report(&self, what: &str, shown: &BTreeMap<u8, usize>) -> String {
        let gateways: Vec<String> = self
            .gateways
            .iter()
            .enumerate()
            .map(|(on, gateway)| {
                let content: Vec<String> = gateway
                    .content
                    .iter()
                    .map(|(name, (value, stamp))| {
                        format!("{name}: {value} {} s old", self.stamp(on).duration_since(*stamp).as_secs())
                    })
                    .collect();
                format!(
                    "{on} started {} s ago: {}",
                    self.stamp(on).duration_since(gateway.started).as_secs(),
                    content.join(", ")
                )
            })
            .collect();
        format!(
            "{what}: shown {:?} from {shown:?}, pushed {:?}\norder {:?}\n{}\n{}",
            self.picture(shown),
            self.truth,
            self.order,
            gateways.join("\n"),
            self.log.join("\n")
        )
    }
}

fn run(seed: u64, check: impl Fn(&mut World) -> Result<(), String>) {
    let mut world = World::new(seed);
    for _ in 0..EVENTS {
        world.event();
        world.pass(30_000);
        // Each pass of the sweeper reads, whether or not it repairs.
        world.read(&world.sweep, None);
        if let Err(error) = check(&mut world) {
            panic!("seed {seed}, {:?} mode: {error}", world.mode);
        }
    }
}

fn expect(world: &World, what: &str, shown: &BTreeMap<u8, usize>, is_good: bool) -> Result<(), String> {
    if is_good { Ok(()) } else { Err(world.report(what, shown)) }
}

#[test]
fn a_reader_shows_what_was_pushed() {
    for seed in 0..HISTORIES {
        run(seed, |world| {
            let shown = world.read(&world.serve, None);
            expect(world, "all gateways read", &shown, world.picture(&shown) == world.truth)?;
            if !world.is_whole() || !world.is_repaired {
                return Ok(());
            }
            let hung = world.random.usize(..NAMES.len());
            let shown = world.read(&world.serve, Some(hung));
            expect(world, &format!("gateway {hung} hangs"), &shown, world.picture(&shown) == world.truth)
        });
    }
}

/// A process that just started knows only the newest ring.
#[test]
fn a_reader_without_a_past_hides_nothing() {
    for seed in 0..HISTORIES {
        run(seed, |world| {
            let mut reader = Reader { past: Past::default(), knows_all: world.serve.knows_all };
            let on: Vec<bool> = world.gateways.iter().map(|gateway| gateway.on_ring).collect();
            reader.past.observe(&world.rings[&on].0);
            let shown = world.read(&reader, None);
            let picture = world.picture(&shown);
            let is_shown = world.truth.iter().all(|(name, value)| picture.get(name) == Some(value));
            expect(world, "without a past", &shown, is_shown)
        });
    }
}
