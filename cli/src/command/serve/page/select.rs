//! Selects the groups of one page.

use std::ops::Range;

use super::mark::Mark;
use super::query::PageQuery;
use super::search::Search;
use crate::command::serve::view::{FleetView, GroupView};

/// The groups that a query selects, and those on its page.
#[derive(Debug)]
pub(super) struct Selection<'v> {
    pub(super) groups: Vec<&'v GroupView>,
    /// The page that is shown: the last one, if the query asks for one behind it.
    pub(super) page: usize,
    /// At least 1.
    pub(super) pages: usize,
    per_page: usize,
}

impl<'v> Selection<'v> {
    /// Selects by all parameters. A deleted group is selected by its state only, as on one Pushgateway.
    pub(super) fn new(view: &'v FleetView, query: &PageQuery) -> Self {
        let search = Search::parse(&query.search);
        let gateway = query
            .gateway
            .as_deref()
            .map(|name| view.gateways.iter().position(|gateway| gateway.name == name));
        let mut groups: Vec<&GroupView> = (view.groups.iter())
            .filter(|group| match query.mark {
                Some(mark) => mark.is_of(group, view),
                None => !Mark::Deleted.is_of(group, view),
            })
            .filter(|group| gateway.is_none_or(|on| group.copies.iter().any(|copy| Some(copy.on) == on)))
            .filter(|group| query.group.is_none() || group.path == query.group)
            .filter(|group| search.matches(&group.labels))
            .collect();
        // By the job first, as a Pushgateway shows the labels.
        groups.sort_by(|a, b| (a.labels.get("job"), &a.labels).cmp(&(b.labels.get("job"), &b.labels)));
        let per_page = query.groups_per_page();
        let pages = groups.len().div_ceil(per_page).max(1);
        Self { groups, page: query.page.min(pages - 1), pages, per_page }
    }

    /// Returns the groups on the page, and their numbers from 0.
    pub(super) fn on_page(&self) -> (Range<usize>, &[&'v GroupView]) {
        let start = self.page * self.per_page;
        let range = start..(start + self.per_page).min(self.groups.len());
        let groups = self.groups.get(range.clone()).unwrap_or_default();
        (range, groups)
    }
}
