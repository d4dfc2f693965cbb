//! The series of membership changes, and the count of moved groups.

/// A member of a fleet; `id` is the index of its name in `testdata/fleets.tsv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: usize,
    pub(crate) weight: u32,
}

/// Returns the first `size` members, each of weight 1.
pub(crate) fn first(size: usize) -> Vec<Member> {
    (0..size).map(|id| Member { id, weight: 1 }).collect()
}

/// A fleet after a change; `change` is empty at the start of a series.
pub(crate) struct Stage {
    pub(crate) change: &'static str,
    pub(crate) members: Vec<Member>,
}

/// Returns all series. A member that leaves is never the one that has just joined, so that no change reverts another.
pub(crate) fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    let mut series = |size, changes: &[(&'static str, &[usize], &[usize])]| {
        let mut members = first(size);
        stages.push(Stage { change: "", members: members.clone() });
        for &(change, leave, join) in changes {
            members.retain(|member| !leave.contains(&member.id));
            members.extend(join.iter().map(|&id| Member { id, weight: 1 }));
            stages.push(Stage { change, members: members.clone() });
        }
    };
    series(3, &[("3 to 4", &[], &[3]), ("4 to 3", &[0], &[])]);
    series(
        10,
        &[
            ("10 to 11", &[], &[10]),
            ("11 to 10", &[0], &[]),
            ("10 to 9", &[1], &[]),
            ("9, one replaced", &[2], &[11]),
            ("9 to 11: 1 leaves, 3 join", &[3], &[12, 13, 14]),
        ],
    );
    series(20, &[("20 to 19", &[7], &[])]);
    series(100, &[("100 to 99", &[42], &[])]);
    let mut weighted = first(10);
    stages.push(Stage { change: "", members: weighted.clone() });
    weighted[4].weight = 2;
    stages.push(Stage { change: "10, one doubles its weight", members: weighted });
    stages
}

/// Number of groups that a change moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) all: usize,
    /// Moves between two members that both stayed with the same weight.
    pub(crate) needless: usize,
}

impl Moves {
    /// Compares the owner of each group in two fleets.
    pub(crate) fn new(fleets: [&[Member]; 2], owners: [&[usize]; 2]) -> Self {
        let stays = |id| {
            let [before, after] = fleets.map(|fleet| fleet.iter().find(|member| member.id == id));
            before.is_some() && before == after
        };
        let [before, after] = owners;
        let moved = || before.iter().zip(after).filter(|(from, to)| from != to);
        Self {
            all: moved().count(),
            needless: moved().filter(|&(&from, &to)| stays(from) && stays(to)).count(),
        }
    }
}

/// Returns the number of groups on the fullest member relative to the mean.
pub(crate) fn max_to_mean(owners: &[usize], size: usize) -> f64 {
    let count = |id| owners.iter().filter(|&&owner| owner == id).count();
    let most = (0..size).map(count).max().unwrap_or(0);
    most as f64 * size as f64 / owners.len() as f64
}
