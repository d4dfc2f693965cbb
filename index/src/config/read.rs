//! Reads and checks a configuration file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_path_to_error::Track;

use super::Config;
use crate::error::BadInput;

/// Largest file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`BadInput`] with the path, the place in the file, and what is expected.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let text = text(path).map_err(|error| BadInput(format!("{name}: {error}")))?;
        Ok(Self::parse(&text).map_err(|error| BadInput(format!("{name}: {error}")))?)
    }

    /// Parses and checks a text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // A snippet could show a password on the line before.
        let options = serde_saphyr::options! { with_snippet: false };
        let mut track = Track::new();
        // An empty file is a mapping without fields.
        let parsed: Result<Option<Self>, _> =
            serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
                Option::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track))
            });
        let parsed = parsed.map_err(|error| {
            let path = track.path().to_string();
            match path.trim_end_matches(['.', '?']) {
                "" => error.to_string(),
                field => format!("{field}: {error}"),
            }
        })?;
        let config = parsed.unwrap_or_default();
        config.check()?;
        Ok(config)
    }

    /// Checks values that have the right type.
    fn check(&self) -> Result<(), String> {
        let cache = &self.metric_store.cache;
        let unequal = |name: &str, found: u64| format!("{name}: found {found}; expected at least 1");
        let positive = [
            ("metric_store.cache.default_expire", cache.default_expire),
            ("metric_store.cache.cleanup_interval", cache.cleanup_interval),
            ("metric_store.cache.expire", cache.expire),
            ("metric_store.cache.worker_num", cache.worker_num as u64),
            ("metric_store.cache.flush_lens", cache.flush_lens as u64),
            ("metric_store.cache.max_series", cache.max_series as u64),
            ("metric_store.cache.touch_interval", cache.touch_interval),
            ("limits.max_compressed_bytes", self.limits.max_compressed_bytes as u64),
            ("limits.max_plain_bytes", self.limits.max_plain_bytes as u64),
            ("limits.max_inflight_bytes", self.limits.max_inflight_bytes as u64),
            ("limits.max_series_per_request", self.limits.max_series_per_request as u64),
            ("limits.max_labels", self.limits.max_labels as u64),
            ("limits.max_name_bytes", self.limits.max_name_bytes as u64),
            ("limits.max_value_bytes", self.limits.max_value_bytes as u64),
            ("limits.max_queued_series", self.limits.max_queued_series as u64),
            ("catalogue.retention_days", u64::from(self.catalogue.retention_days)),
        ];
        if let Some((name, found)) = positive.into_iter().find(|(_, found)| *found == 0) {
            return Err(unequal(name, found));
        }
        if cache.dist_interval >= cache.expire {
            let (found, most) = (cache.dist_interval, cache.expire);
            return Err(format!(
                "metric_store.cache.dist_interval: found {found}; expected less than expire ({most})"
            ));
        }
        let (retention, days) = (self.catalogue.retention_seconds(), self.catalogue.retention_days);
        let silence = cache.longest_silence();
        if retention <= silence {
            return Err(format!(
                "catalogue.retention_days: found {days}; expected more than {silence} s, the longest time between two \
                 sightings of a series that lives (3 × metric_store.cache.default_expire + touch_interval)"
            ));
        }
        if self.redis.is_some() && cache.isexpire && retention < cache.expire {
            return Err(format!(
                "catalogue.retention_days: found {days}; expected at least metric_store.cache.expire ({} s): else Redis knows \
                 series that the catalogue has deleted",
                cache.expire
            ));
        }
        if let Some(write) = &self.remote.write {
            url("remote.write.url", &write.url)?;
            let spooled = write.spool.as_ref().map(|spool| spool.max_bytes);
            if let Some((name, _)) = [("timeout", Some(write.timeout)), ("spool.max_bytes", spooled)]
                .into_iter()
                .find(|(_, found)| *found == Some(0))
            {
                return Err(unequal(&format!("remote.write.{name}"), 0));
            }
            if !(1..=2).contains(&write.protocol) {
                return Err(format!("remote.write.protocol: found {}; expected 1 or 2", write.protocol));
            }
        }
        if let Some(send) = &self.remote.send {
            url("remote.send.url", &send.url)?;
            if send.timeout == 0 {
                return Err(unequal("remote.send.timeout", 0));
            }
        }
        Ok(())
    }
}

fn url(name: &str, text: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(text);
    if parsed.is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host()) {
        return Ok(());
    }
    // The URL may have a password.
    Err(format!("{name}: expected a URL such as http://127.0.0.1:8480/insert/1/prometheus/api/v1/write"))
}

fn text(path: &Path) -> Result<String, String> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("found more than {MAX_BYTES} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OffsetType, Role};

    const ORIGINAL: &str = include_str!("../../testdata/original.yaml");

    #[test]
    fn the_configuration_of_the_original_is_read_as_it_is() {
        let config = Config::parse(ORIGINAL).unwrap();
        assert_eq!(config.app.role_type, Role::Indexer);
        assert_eq!(config.listen().to_string(), "0.0.0.0:7101");
        assert_eq!(config.mysql.as_ref().unwrap().max_idle_conns, 6, "written max_idel_conns");
        assert_eq!(config.metric_store.cache.flush_interval, 2, "written fulsh_interval");
        let consumer = config.metric_store.consumer.as_ref().unwrap();
        assert_eq!((consumer.offset_type, consumer.hosts.len()), (OffsetType::Newest, 2));
        assert!(!config.is_embedded());
        assert!(config.remote.write.is_some() && config.remote.send.is_some());
        assert!(ORIGINAL.contains("not-for-the-log") && !format!("{config:?}").contains("not-for-the-log"));
    }

    #[test]
    fn the_right_spelling_and_the_wrong_one_are_one_field() {
        let same = [
            ("consummer:", "consumer:"),
            ("fulsh_interval", "flush_interval"),
            ("max_idel_conns", "max_idle_conns"),
            ("db_name", "dbname"),
            ("role_type: consummer", "role_type: indexer"),
        ];
        for (wrong, right) in same {
            let other = ORIGINAL.replace(wrong, right);
            assert_ne!(other, ORIGINAL, "{wrong}");
            assert_eq!(Config::parse(&other), Config::parse(ORIGINAL), "{right}");
        }
    }

    #[test]
    fn nothing_is_needed() {
        assert_eq!(Config::parse(""), Ok(Config::default()));
        assert_eq!(Config::parse("app:\n  port: 7001\n").unwrap().listen().to_string(), "0.0.0.0:7001");
        assert!(Config::default().is_embedded());
    }

    #[test]
    fn an_error_names_the_place_and_the_accepted_names() {
        let error = Config::parse("app:\n  potr: 7001\n").unwrap_err();
        for part in ["line 2", "column", "potr", "port"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let error =
            Config::parse(&ORIGINAL.replace("role_type: consummer", "role_type: nothing")).unwrap_err();
        assert!(error.contains("line") && error.contains("gateway"), "{error}");
        for (bad, part) in [
            ("metric_store: {cache: {dist_interval: 604800}}", "dist_interval"),
            ("metric_store: {cache: {default_expire: 0}}", "default_expire"),
            (
                "catalogue: {retention_days: 1}\nmetric_store: {cache: {default_expire: 28800}}",
                "retention_days",
            ),
            ("catalogue: {retention_days: 6}\nredis: {}", "metric_store.cache.expire"),
            ("remote: {write: {url: 'vminsert:8480'}}", "remote.write.url"),
            ("remote: {write: {url: 'http://h/w', protocol: 3}}", "protocol"),
            ("remote: {write: {url: 'http://h/w', timeout: 0}}", "remote.write.timeout"),
            ("remote: {write: {url: 'http://h/w', spool: {path: s, max_bytes: 0}}}", "max_bytes"),
            ("app: {port: 70000}", "port"),
            ("mysql: {password: [1]}", "line 1"),
        ] {
            let error = Config::parse(bad).unwrap_err();
            assert!(error.contains(part), "{bad}: {error}");
        }
    }
}
