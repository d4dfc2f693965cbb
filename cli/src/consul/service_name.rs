//! Names of services and datacenters, as all parts of pushring can use them.

use anyhow::ensure;

use crate::error::BadInput;

/// The longest name that Consul's DNS serves.
const MAX_BYTES: usize = 63;

/// Checks a name that `field` gives.
///
/// Consul accepts more, but consul-template's queries do not: `a.b` asks for the services `b` with the tag `a`, and `~`,
/// `@`, `|` and `?` begin other parts of a query. The ring would have the members of another service, or none.
///
/// # Errors
/// [`BadInput`]
pub(crate) fn check(field: &str, name: &str) -> anyhow::Result<()> {
    let ok = (1..=MAX_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let found: String = name.chars().take(MAX_BYTES + 1).collect();
    let more = if found.len() < name.len() { "…" } else { "" };
    ensure!(
        ok,
        BadInput(format!(
            "{field}: found {found:?}{more}, allowed 1 to {MAX_BYTES} letters, digits, - and _: other characters have a \
             meaning in the queries of consul-template"
        ))
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(63);
        for good in ["pushgateway", "Push_gateway-2", "a", &long] {
            check("service", good).unwrap();
        }
        let too_long = "a".repeat(64);
        for bad in [
            "",
            " ",
            "a b",
            "a.b",
            "a~b",
            "a@dc1",
            "a|any",
            "a?x",
            "a/b",
            "a%2fb",
            "ä",
            "a\n",
            "a\u{202e}",
            &too_long,
        ] {
            let error = check("consul.service", bad).unwrap_err();
            assert!(
                error.is::<BadInput>() && error.to_string().starts_with("consul.service: found "),
                "{error}"
            );
            assert!(
                error.to_string().len() < 300 && !error.to_string().contains(['\n', '\u{202e}']),
                "{error}"
            );
        }
    }
}
