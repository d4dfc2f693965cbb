//! The parameters of the page, and the links that set them.

use anyhow::Result;
use axum::http::header::HeaderMap;
use form_urlencoded::Serializer;

use super::layout::Tab;
use crate::api::{Bad, Question, TENANT_HEADER, parse_time};
use crate::catalogue::Filter;
use crate::output;

/// The parameters of one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageQuery {
    pub(super) tab: Tab,
    pub(super) tenant: String,
    /// Whether a header of the request names the tenant: the page offers no other one then.
    pub(super) is_fixed: bool,
    /// A selector of PromQL; empty for all series.
    pub(super) selector: String,
    /// A time as people write it: `1h`; empty for the default of the tab.
    pub(super) since: String,
    /// The page begins after the series with this id.
    pub(super) cursor: i64,
}

impl PageQuery {
    /// Reads the query of a URL. A cursor that is no number counts as absent.
    ///
    /// # Errors
    /// If the header of the tenant is not text.
    pub(super) fn new(tab: Tab, headers: &HeaderMap, query: &str) -> Result<Self> {
        let question = Question::new(headers, Some(query), &[])?;
        let text = |name: &str| question.get(name).unwrap_or_default().trim().to_owned();
        Ok(Self {
            tab,
            tenant: question.tenant.clone(),
            is_fixed: headers.contains_key(TENANT_HEADER),
            selector: text("match"),
            since: text("since"),
            cursor: text("cursor").parse().unwrap_or_default(),
        })
    }

    pub(super) fn empty(tab: Tab) -> Self {
        let (tenant, selector, since) = Default::default();
        Self { tab, tenant, is_fixed: false, selector, since, cursor: 0 }
    }

    /// Returns the time since when series are new, gone or in conflict, as people write it.
    pub(super) fn since(&self) -> &str {
        match (self.since.as_str(), self.tab) {
            ("", Tab::New) => "1h",
            ("", _) => "1d",
            (since, _) => since,
        }
    }

    /// Returns [`Self::since`] in milliseconds since 1970.
    ///
    /// # Errors
    /// [`Bad`] if it is not a time.
    pub(super) fn since_time(&self) -> Result<i64> {
        parse_time("since", self.since())
    }

    /// Returns the selection of the page.
    ///
    /// # Errors
    /// [`Bad`] if the selector or the time cannot be read.
    pub(super) fn filter(&self) -> Result<Filter> {
        let mut filter = Filter { tenant: self.tenant.clone(), ..Filter::default() };
        if !self.selector.is_empty() {
            let parsed = self.selector.parse();
            filter
                .selectors
                .push(parsed.map_err(|error| Bad(format!("{error}; found {:?}", self.selector)))?);
        }
        match self.tab {
            Tab::New => filter.first_from = Some(self.since_time()?),
            Tab::Gone => filter.last_before = Some(self.since_time()?),
            Tab::Overview | Tab::Search | Tab::Conflicts => {}
        }
        Ok(filter)
    }

    /// Returns the first page of another tab, for the same tenant.
    pub(super) fn of(&self, tab: Tab) -> Self {
        Self { tenant: self.tenant.clone(), is_fixed: self.is_fixed, ..Self::empty(tab) }
    }

    /// Returns the search for the series with a label.
    pub(super) fn of_label(&self, name: &str, value: &str) -> Self {
        let selector = output::selector([(name, value)].into_iter());
        Self { selector, ..self.of(Tab::Search) }
    }

    pub(super) fn after(&self, cursor: i64) -> Self {
        Self { cursor, ..self.clone() }
    }

    /// Returns the relative address of the page with these parameters.
    pub(super) fn href(&self) -> String {
        let mut query = Serializer::new(String::new());
        let cursor = if self.cursor == 0 { String::new() } else { self.cursor.to_string() };
        let tenant = if self.is_fixed { "" } else { &self.tenant };
        for (name, value) in
            [("tenant", tenant), ("match", &self.selector), ("since", &self.since), ("cursor", &cursor)]
        {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        match query.finish() {
            empty if empty.is_empty() => self.tab.path().to_owned(),
            query => format!("{}?{query}", self.tab.path()),
        }
    }
}
