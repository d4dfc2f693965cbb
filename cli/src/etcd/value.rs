//! The value of a gateway's key: JSON as services register it, `{"id": …, "name": …, "host": "10.0.0.1", "port": 9091,
//! "lease_time": 15, "routes": […]}`, with further fields of ours.

use serde::Deserialize;

use crate::discover::source::ServiceInstance;
use crate::fleet::registration::{Registration, shortened};
use crate::parse;
use crate::text;

/// A value of a gateway has some hundred bytes. Larger ones are not parsed.
const MAX_BYTES: usize = 1 << 16;
/// Longest part of a key and of an error that a message repeats.
const MAX_SHOWN: usize = 120;

/// The fields that matter here. Other fields may have any type.
#[derive(Deserialize)]
struct Value {
    host: String,
    port: i64,
    weight: Option<i64>,
    /// Identity on the ring; `name` is that of the service.
    pushring_name: Option<String>,
    scheme: Option<String>,
    status: Option<String>,
    leaving: Option<bool>,
}

/// Reads a value. `id` is the last part of its key.
///
/// # Errors
/// It is no gateway; the message is one line without the key.
pub(crate) fn registration(id: &[u8], value: &[u8], create_revision: u64) -> Result<Registration, String> {
    if value.len() > MAX_BYTES {
        return Err(format!("found {} bytes, expected at most {MAX_BYTES}", value.len()));
    }
    let text = str::from_utf8(value).map_err(|error| format!("{error}, expected JSON"))?;
    // serde would take a list of the fields, too.
    if text.trim_start().starts_with('[') {
        return Err("found a list, expected an object".to_owned());
    }
    let found: Value = parse::json(text).map_err(|error| shortened(&error, MAX_SHOWN))?;
    let mut registration = Registration {
        name: found.pushring_name.unwrap_or_default(),
        scheme: found.scheme.unwrap_or_default(),
        id: String::from_utf8_lossy(id).into_owned(),
        created: vec![create_revision],
        leaving: found.leaving.unwrap_or_default(),
        ..Registration::new(&found.host, found.port)
    };
    if let Some(weight) = found.weight {
        registration.weight = weight;
    }
    if let Some(status) = found.status {
        registration.status = status;
    }
    Ok(registration)
}

/// Reads the value of any service for `--file-sd-all`; `None`: it has no address. Routes that cannot be read are left out.
pub(crate) fn instance(service: &str, id: &str, value: &[u8]) -> Option<ServiceInstance> {
    #[derive(Deserialize)]
    struct Service {
        host: String,
        port: u16,
        #[serde(default)]
        routes: serde_json::Value,
    }
    let text = str::from_utf8(value).ok().filter(|text| text.len() <= MAX_BYTES)?;
    let Service { host, port, routes } = parse::json(text).ok()?;
    let routes = match routes {
        serde_json::Value::Array(routes) => routes,
        _ => Vec::new(),
    };
    Some(ServiceInstance {
        service: service.to_owned(),
        id: id.to_owned(),
        host,
        port,
        routes: routes.into_iter().filter_map(|route| parse::value("routes", route).ok()).collect(),
    })
}

/// Shows a key in a message: escaped, and not all of a long one.
pub(crate) fn shown_key(key: &[u8]) -> String {
    let start = key.get(..MAX_SHOWN).unwrap_or(key);
    format!("{}{}", text::bytes(start), if start.len() < key.len() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_service() {
        let value = br#"{"host": "10.0.0.1", "port": 80, "routes": [{"path": "/app/metrics", "method": "GET"}, 7], "x": 1}"#;
        let found = instance("app", "1", value).unwrap();
        assert_eq!((found.host.as_str(), found.port, found.routes.len()), ("10.0.0.1", 80, 1));
        assert!(
            instance("app", "1", br#"{"host": "a", "port": 80, "routes": "x"}"#).unwrap().routes.is_empty()
        );
        for bad in [&b"{}"[..], b"[]", b"\xff", br#"{"host": "a", "port": 65536}"#] {
            assert_eq!(instance("app", "1", bad), None);
        }
    }

    #[test]
    fn reads_what_services_register() {
        let value = r#"{"id": 7, "name": ["x"], "host": "10.0.0.1", "port": 9091, "lease_time": null, "routes": [{"path": "/metrics", "method": "GET"}]}"#;
        let found = registration(b"a\xff", value.as_bytes(), 12).unwrap();
        let expected = Registration {
            id: "a\u{fffd}".to_owned(),
            created: vec![12],
            ..Registration::new("10.0.0.1", 9091)
        };
        assert_eq!(found, expected);
        let value = r#"{"host": "::1", "port": 1, "weight": 3, "pushring_name": "m", "scheme": "https", "status": "critical", "leaving": true}"#;
        let found = registration(b"a", value.as_bytes(), 1).unwrap();
        assert_eq!((found.name.as_str(), found.weight, found.leaving), ("m", 3, true));
        assert_eq!((found.scheme.as_str(), found.status.as_str()), ("https", "critical"));
    }

    #[test]
    fn says_why_a_value_is_no_gateway() {
        let deep = format!(r#"{{"host": {}"#, "[".repeat(50_000));
        let long = format!(r#"{{"host": "a", "port": "{}"}}"#, "\u{1b}é".repeat(5_000));
        let huge = format!(r#"{{"host": "a", "port": 1, "x": "{}"}}"#, "x".repeat(MAX_BYTES));
        for value in [
            "",
            "x",
            "null",
            "[]",
            r#"["10.0.0.9", 9091, null, null, null, null, null]"#,
            "{}",
            r#"{"host": "a"}"#,
            r#"{"host": 1, "port": 1}"#,
            r#"{"host": "a", "port": "9091"}"#,
            r#"{"host": "a", "port": 1, "port": 2}"#,
            r#"{"host": "a", "port": 1, "weight": 1e300}"#,
            r#"{"host": "a", "port": 1, "leaving": "yes"}"#,
            r#"{"host": "a", "port": 99999999999999999999}"#,
            "{\"host\": \"\u{0}\", \"port\": 1}",
            &deep,
            &long,
            &huge,
        ] {
            let error = registration(b"a", value.as_bytes(), 1).unwrap_err();
            assert!(error.len() < 1000 && !error.contains(['\n', '\u{1b}']), "{error}");
        }
        assert!(registration(b"a", b"{\"host\": \"\xff\", \"port\": 1}", 1).is_err());
    }

    #[test]
    fn escapes_and_shortens_keys() {
        assert_eq!(shown_key(b"/a/\x1b\xff\n"), r"/a/\u{1b}\xff\n");
        assert!(shown_key(&[b'x'; 5000]).len() < 200);
    }
}
