//! The state of a host and the result of a request.

use wasmtime::Memory;

/// Header names and values, in order; a name may repeat.
pub(crate) type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// The filter's effect on a request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// The request's headers when the filter returned.
    pub(crate) headers: Headers,
    /// Status, headers, body: when it answered itself.
    pub(crate) reply: Option<(u32, Headers, Vec<u8>)>,
    /// Short names of the host calls it made, in order; the full name of a rejected one.
    pub(crate) calls: Vec<&'static str>,
    /// Instructions of all callbacks that the shipped configurations let Envoy call for a request.
    pub(crate) instructions: u64,
}

impl Outcome {
    /// All values of a header that would go upstream.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(n, _)| n == name.as_bytes()).map(|(_, v)| v.as_slice()).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) value: u64,
}

/// State that the host calls read and write.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) memory: Option<Memory>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) current: Outcome,
    pub(crate) log: Vec<(u32, String)>,
    pub(crate) metrics: Vec<Metric>,
}
