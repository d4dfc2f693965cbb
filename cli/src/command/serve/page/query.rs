//! The query parameters of the page, and the links that set them.

use form_urlencoded::Serializer;

use super::mark::Mark;

/// Numbers of groups on one page that can be selected.
pub(super) const SIZES: [usize; 3] = [50, 100, 200];

/// The parameters of the list of groups. A value that is not understood counts as absent, because people edit addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::command::serve) struct PageQuery {
    /// See [`super::search::Search`].
    pub(super) search: String,
    pub(super) mark: Option<Mark>,
    /// Name of a gateway that holds the group.
    pub(super) gateway: Option<String>,
    /// Push path of the only group on the page, with more of its metrics than in the list.
    pub(super) group: Option<String>,
    /// From 0.
    pub(super) page: usize,
    /// Index of [`SIZES`].
    pub(super) size: usize,
}

impl PageQuery {
    /// Parses the query of a URL.
    pub(in crate::command::serve) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let some = (!value.is_empty()).then(|| value.clone().into_owned());
            match name.as_ref() {
                "q" => parsed.search = some.unwrap_or_default(),
                "state" => parsed.mark = Mark::ALL.into_iter().find(|mark| mark.name() == value),
                "gateway" => parsed.gateway = some,
                "group" => parsed.group = some,
                "page" => parsed.page = value.parse::<usize>().unwrap_or_default().saturating_sub(1),
                "size" => {
                    let size = SIZES.into_iter().position(|size| size.to_string() == value);
                    parsed.size = size.unwrap_or_default();
                }
                _ => {}
            }
        }
        parsed
    }

    /// Returns the relative address of the page with these parameters.
    pub(super) fn href(&self) -> String {
        let mut query = Serializer::new(String::new());
        if !self.search.is_empty() {
            query.append_pair("q", &self.search);
        }
        if let Some(mark) = self.mark {
            query.append_pair("state", mark.name());
        }
        if let Some(gateway) = &self.gateway {
            query.append_pair("gateway", gateway);
        }
        if let Some(group) = &self.group {
            query.append_pair("group", group);
        }
        if self.size > 0 {
            query.append_pair("size", &self.groups_per_page().to_string());
        }
        if self.page > 0 {
            query.append_pair("page", &(self.page + 1).to_string());
        }
        match query.finish() {
            empty if empty.is_empty() => "./".to_owned(),
            query => format!("./?{query}"),
        }
    }

    /// Returns whether groups are selected.
    pub(super) fn selects(&self) -> bool {
        !self.search.trim().is_empty()
            || self.mark.is_some()
            || self.gateway.is_some()
            || self.group.is_some()
    }

    pub(super) fn groups_per_page(&self) -> usize {
        SIZES.get(self.size).copied().unwrap_or(SIZES[0])
    }

    pub(super) fn with_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    /// Returns the first page of all groups with this mark.
    pub(super) fn of_mark(mark: Mark) -> Self {
        Self { mark: Some(mark), ..Self::default() }
    }

    pub(super) fn of_gateway(name: &str) -> Self {
        Self { gateway: Some(name.to_owned()), ..Self::default() }
    }

    pub(super) fn of_group(path: &str) -> Self {
        Self { group: Some(path.to_owned()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_the_parameters_that_it_was_parsed_from() {
        let query = PageQuery {
            search: "job=\"a b\" ü&<".to_owned(),
            mark: Some(Mark::LeftBehind),
            gateway: Some("10.0.0.1:9091".to_owned()),
            group: None,
            page: 4,
            size: 1,
        };
        let href = query.href();
        assert!(href.is_ascii() && !href.contains(['"', '<', ' ']), "{href}");
        assert_eq!(PageQuery::parse(href.strip_prefix("./?").unwrap()), query);
        assert_eq!(PageQuery::default().href(), "./");
    }

    #[test]
    fn values_that_are_not_understood_count_as_absent() {
        for query in ["", "page=x&size=7&state=odd&x=1", "page=0", "page=-1", "gateway=&q=", "%ff=%&&="] {
            assert_eq!(PageQuery::parse(query), PageQuery::default(), "{query}");
        }
        assert_eq!(PageQuery::parse("page=99999999999999999999999").page, 0);
        assert_eq!(PageQuery::parse("size=100").groups_per_page(), 100);
    }
}
