//! Checks that the loss of any one gateway loses nothing and shows nothing twice: gateways without persistence, `mirror: all`,
//! `pushring sweep --watch --repair` and `pushring serve`, while gateways are killed and members join and leave, some of them
//! with the groups that they held when they left.
//!
//! Clients push all the time by PUT, by POST in parts and by DELETE; some groups are pushed once, before the first kill, and
//! live from then on by repair alone. The values of a group increase. Every answer names the gateway that accepted the push.
//! A watcher scrapes `serve` all the time. A push is *certain* for a scrape if
//!
//! * it was accepted before the scrape began (a push that removes something: `book::DELETED` before), and
//! * the gateway that accepted it was not killed and did not leave the ring up to `book::COPIED` later, unless that was after
//!   the scrape. The gateway of a push by client_golang is unknown: no gateway may have been killed.
//!
//! A scrape may show for each series the effect of the last push to it that is certain, or that of a later one that was sent
//! before the scrape ended, with or without success. Anything else is a broken promise: *missing* without a value; *returned*
//! with a value if the series must have none; else *older*. *Twice* is a series, or the type of a family, that a scrape has a
//! second time. While a group that lost a copy is repaired, a push is certain only if that was the case a second before the loss
//! (`fault::Kind::Overtaken`): the repair may write what it read over a newer push, and then writes that again. *Failed* is a
//! scrape without an answer, by the watcher or by Prometheus.
//!
//! Mirrored pushes are not ordered, so the replica may keep the older of two pushes that follow one another within
//! `book::COPIED`, until a repair. When the owner of such a push ends, the push is certain only if the last look before covers it.
//!
//! The next gateway is killed only when the owner and the replica of every group hold it as of a second ago, and the repair
//! that was running then has ended: the promise is about the loss of one gateway at a time.

mod book;
mod clients;
mod exposition;
mod fault;
mod fleet;
mod groups;
mod plan;
mod run;
mod servers;
mod summary;
mod watcher;

pub use run::run;
pub use summary::{Settings, Summary};
