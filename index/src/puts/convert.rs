//! Puts from the samples of remote writes, for a target that knows no remote write.

use metrics::counter;
use pushring_index::Labels;
use pushring_index::body::{BodyLimits, Encoding, decompress};
use pushring_index::convert::{self, Charset, Dropped, MAX_PUTS};
use pushring_index::wire::{LabelSet, WireError, v1, v2};

use super::{PUT, Puts, TAG};
use crate::config::Limits;

/// Memory of puts that are made before they are queued.
const PART: usize = 1 << 20;

impl Puts {
    /// Queues the samples of a remote write, if the configuration says so. The gateway has decoded the body before: its wrong
    /// series are counted there, and skipped here.
    pub(crate) fn convert(&self, is_v2: bool, encoding: Encoding, body: &[u8], limits: &Limits) {
        let Some(charset) = self.convert else { return };
        let sizes = BodyLimits { compressed: limits.max_compressed_bytes, plain: limits.max_plain_bytes };
        let mut buffer = Vec::new();
        let Ok(plain) = decompress(encoding, body, sizes, &mut buffer) else { return };
        let mut part = Part { puts: self, charset, made: convert::Puts::new(charset), number: 0, bytes: 0 };
        // An error ends the body: the gateway has rejected it.
        let _ = if is_v2 { part.second(plain, limits) } else { part.first(plain, limits) };
        part.flush();
    }
}

/// Puts that are not queued yet.
struct Part<'p> {
    puts: &'p Puts,
    charset: Charset,
    made: convert::Puts,
    number: usize,
    bytes: usize,
}

impl Part<'_> {
    fn first(&mut self, plain: &[u8], limits: &Limits) -> Result<(), WireError> {
        let mut labels = LabelSet::new(limits.max_labels);
        for entry in v1::entries(plain) {
            let v1::Entry::Series(series) = entry? else { continue };
            let is_good = series.check_histograms().is_ok() && series.labels(&mut labels).is_ok();
            if let (true, Ok(labels)) = (is_good, labels.to_labels()) {
                self.add(&labels, series.samples(), series.counts().histograms)?;
            }
        }
        Ok(())
    }

    fn second(&mut self, plain: &[u8], limits: &Limits) -> Result<(), WireError> {
        let request = v2::Request::new(plain)?;
        let mut labels = LabelSet::new(limits.max_labels);
        for series in request.series() {
            let series = series?;
            let is_good = series.check_histograms().is_ok() && series.labels(&request, &mut labels).is_ok();
            if let (true, Ok(labels)) = (is_good, labels.to_labels()) {
                self.add(&labels, series.samples(), series.counts().histograms)?;
            }
        }
        Ok(())
    }

    /// Adds a series in parts: each of its samples takes as much memory as its labels.
    fn add(
        &mut self,
        labels: &Labels,
        samples: impl Iterator<Item = Result<(i64, f64), WireError>>,
        histograms: u64,
    ) -> Result<(), WireError> {
        let size = PUT + labels.iter().map(|(name, value)| TAG + name.len() + value.len()).sum::<usize>();
        let most = (PART / size).clamp(1, MAX_PUTS);
        self.made.add(labels, [], histograms)?;
        let mut samples = samples.peekable();
        while samples.peek().is_some() {
            let taken: Vec<_> = samples.by_ref().take(most).collect();
            self.number += taken.len();
            self.bytes += taken.len() * size;
            self.made.add(labels, taken, 0)?;
            if self.number >= MAX_PUTS || self.bytes >= PART {
                self.flush();
            }
        }
        Ok(())
    }

    fn flush(&mut self) {
        (self.number, self.bytes) = (0, 0);
        let made = std::mem::replace(&mut self.made, convert::Puts::new(self.charset));
        let (puts, Dropped { not_finite, histograms, tags }) = made.finish();
        for (reason, number) in [("not finite", not_finite), ("histogram", histograms), ("tags", tags)] {
            counter!("metric_index_puts_dropped_total", "reason" => reason).increment(number);
        }
        if !puts.is_empty() {
            self.puts.offer(puts);
        }
    }
}
