//! The process that answers at the address of a Pushgateway.

use serde_json::Value;

use crate::parse;

/// Digits of a fraction of a second that only one gateway has. Pushgateway reports nanoseconds; with milliseconds, two
/// gateways that one program starts can have the same time.
const PRECISE: usize = 4;

/// The status of a Pushgateway (`/api/v1/status`): start time, build information and flags.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Process(Value);

impl Process {
    /// Parses the status of a Pushgateway of any version with an API (1.0); `None` if the text is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut status: Value = parse::json(text).ok()?;
        let data = status["data"].take();
        let is_status = status["status"] == "success"
            && data["start_time"].is_string()
            && data["build_information"].is_object()
            && data["flags"]["persistence.interval"].is_string();
        is_status.then_some(Self(data))
    }

    pub(super) fn start_time(&self) -> &str {
        self.0["start_time"].as_str().unwrap_or_default()
    }

    /// Returns whether the start time is so precise that another process with the same status is this one.
    pub(super) fn is_unique(&self) -> bool {
        let fraction = self.start_time().split_once('.').map_or("", |(_, fraction)| fraction);
        fraction.bytes().take_while(u8::is_ascii_digit).count() >= PRECISE
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn process(start_time: &str, listen: &str) -> Process {
        let flags = json!({"persistence.interval": "5m0s", "web.listen-address": listen});
        let data =
            json!({"start_time": start_time, "build_information": {"version": "1.11.1"}, "flags": flags});
        Process::parse(&json!({"status": "success", "data": data}).to_string()).unwrap()
    }

    #[test]
    fn a_start_time_is_unique_if_it_has_more_than_milliseconds() {
        for (time, unique) in [
            ("2026-11-26T03:41:26.929102943Z", true),
            ("2026-11-26T03:41:26.929102+01:00", true),
            ("2026-11-26T03:41:26.929Z", false),
            ("2026-11-26T03:41:26Z", false),
            ("", false),
        ] {
            assert_eq!(process(time, ":9091").is_unique(), unique, "{time}");
        }
        assert_ne!(process("t", ":9091"), process("t", ":9092"));
    }
}
