//! Absolute forms, their schemes and hosts, and targets that are no path.

use super::{Raw, kind, put, request};

pub(super) fn list() -> Vec<Raw> {
    let hosts = |name, hosts: &[&str]| {
        kind(name, hosts.iter().map(|host| put(format!("http://{host}/metrics/job/a"), "", "x 1\n")))
    };
    let targets = |name, method: &str, targets: &[&str]| {
        kind(name, targets.iter().map(|target| request(method, target, "", "x 1\n")))
    };
    let kinds = [
        hosts(
            "host of letters, digits, `.` and `-`, with or without a port",
            &["A", "a.b", "a.", "a..b", ".a", "-a", "a-", "1.2.3.256", "0", "a:0", "a:65535", "a:000080"],
        ),
        hosts(
            "host with other characters in an absolute form, such as `push_gateway`",
            &[
                "push_gateway:9091",
                "_",
                "a~b",
                "a!b",
                "a$b",
                "a&b",
                "a'b",
                "a(b)",
                "a*b",
                "*",
                "*.a",
                "a+b",
                "a,b",
                "a;b",
                "a=b",
                "a\"b",
                "a<b",
                "a>b",
                "ä",
            ],
        ),
        hosts(
            "no host, an empty port or one above 65535",
            &["@", "a@", ":80", ":", "a:", "[::1]:", "a:65536"],
        ),
        hosts("two `@` in an absolute form", &["u@v@a", "@@a"]),
        hosts("IPv6 with a zone", &["[fe80::1%25eth0]", "[fe80::1%25eth0]:80", "[::1%25a%20b]"]),
        hosts("IPv6 with a wrong zone, IPv4 in brackets", &["[fe80::1%eth0]", "[fe80::1%25]", "[1.2.3.4]"]),
        hosts("IPv6", &["[::1]", "[::1]:80", "[::ffff:1.2.3.4]", "u@[::1]", "[2001:DB8::1]"]),
        hosts("user and password", &["u@a", "u:p@a", "u:p:q@a", "u%40@a", "@a"]),
        hosts(
            "invalid host",
            &[
                "a%20b", "a%zz", "a^b", "a{b}", "a|b", "a\\b", "a:x", "a:-1", "a:+80", "a:80:80", "[::1",
                "[::1]x", "[]", "[a]",
            ],
        ),
        targets(
            "absolute form with `https`",
            "PUT",
            &["HTTPS://a/metrics/job/a", "https://a:443/metrics/job/a", "https://[::1]/metrics/job/a"],
        ),
        targets(
            "absolute form with another scheme",
            "PUT",
            &[
                "ws://a/metrics/job/a",
                "x+y://a/metrics/job/a",
                "h2c://a/metrics/job/a",
                "unix:/metrics/job/a",
            ],
        ),
        targets(
            "no path in the target",
            "PUT",
            &["mailto:a@b", "urn:x", "a:80/metrics/job/a", "a:x", "a:65536", "https:metrics/job/a"],
        ),
        targets("absolute form without a path", "PUT", &["http://a:80", "http://[::1]"]),
        targets("only slashes", "PUT", &["//", "//a", "///"]),
        targets(
            "escaped slash or unclean path in an absolute form",
            "PUT",
            &[
                "http://a/metrics%2Fjob/a",
                "http://a/metrics/job/a/b%2Fc/d",
                "http://a/metrics//job/a",
                "http://a/./metrics/job/a",
                "http://a//metrics/job/a",
                "http://a/metrics/job/a%2F",
            ],
        ),
        targets("fragment in an absolute form", "PUT", &["http://a/metrics/job/a#f"]),
        targets(
            "invalid target",
            "PUT",
            &["", "**", ".", "../metrics/job/a", "%2Fmetrics/job/a", "\"/a\"", "1x://a/b"],
        ),
        targets("`OPTIONS http://a`", "OPTIONS", &["http://a", "http://a:80"]),
        targets("`OPTIONS http://a?x`", "OPTIONS", &["http://a?x", "//", "//a"]),
        targets(
            "`OPTIONS` of a page in an absolute form",
            "OPTIONS",
            &["http://a/-/ready", "http://a/metrics"],
        ),
        targets("`OPTIONS` of `*` and more", "OPTIONS", &["**", "*/metrics/job/a"]),
        targets(
            "`GET` of a page in an absolute form",
            "GET",
            &["http://a/", "http://a/metrics", "http://a/?x"],
        ),
        targets(
            "`GET` of a broken escape",
            "GET",
            &["/metrics/job/a%", "/metrics/job/a%zz", "http://a/metrics/job/%"],
        ),
        targets(
            "`DELETE` in an absolute form",
            "DELETE",
            &["http://a/metrics/job/seed", "http://u@a:1/metrics/job/seed"],
        ),
        targets("`CONNECT` of a host and port with a body", "CONNECT", &["[::1]:80", "a:443"]),
        targets("`CONNECT` of anything else", "CONNECT", &["a", ":80", "a_b:80", "a:65536", "http://a:80"]),
    ];
    kinds.into_iter().flatten().collect()
}
