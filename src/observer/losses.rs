//! Packets that were dropped on their way to the observer: silence is then no evidence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::SourceDrops;
use crate::handshake::End;
use crate::time::Timestamp;

/// When packets were last dropped, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Of whichever source.
    of_any: Option<Timestamp>,
    /// Of each source that counts its own.
    of_sources: HashMap<Arc<str>, Timestamp>,
}

impl Losses {
    /// Notes what a batch says.
    pub(super) fn note(&mut self, drops: &[SourceDrops], of_any: Option<Timestamp>) {
        self.of_any = self.of_any.max(of_any);
        for drop in drops {
            let known = self.of_sources.entry(Arc::clone(&drop.source));
            let known = known.or_insert(drop.at);
            *known = drop.at.max(*known);
        }
    }

    /// Why a handshake of `source` is reported at `now`, after its `last` packet: a silence may only seem to be one if packets were
    /// dropped since.
    pub(super) fn judge(&self, end: End, source: &str, last: Timestamp, now: Timestamp) -> End {
        if !is_silence(end, last, now) {
            return end;
        }
        let dropped_at = self.of_any.max(self.of_sources.get(source).copied());
        match dropped_at {
            Some(dropped_at) if dropped_at >= last => End::PacketsDropped,
            _ => end,
        }
    }
}

/// Whether a verdict at such an `end` may rest on the silence since the `last` packet of the connection.
fn is_silence(end: End, last: Timestamp, now: Timestamp) -> bool {
    match end {
        End::Silence | End::CaptureEnd => true,
        // What is evicted soon is given up for memory, and not for silence.
        End::Evicted => now.checked_since(last) >= Some(SILENCE_WHEN_EVICTED),
        End::Decided | End::Replaced | End::PacketsDropped => false,
    }
}

/// How long a handshake has to be quiet before its eviction leaves a verdict, which then rests on that.
const SILENCE_WHEN_EVICTED: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_counts_unless_packets_of_its_source_were_dropped_since() {
        let at = Timestamp::from_seconds;
        let mut losses = Losses::default();
        let judge = |losses: &Losses, end, last| losses.judge(end, "a", at(last), at(100));
        assert_eq!(judge(&losses, End::Silence, 5), End::Silence);
        let drop = |source: &str, at| SourceDrops {
            source: source.into(),
            at,
            packets: 1,
        };
        losses.note(&[drop("b", at(90)), drop("a", at(10))], None);
        losses.note(&[drop("a", at(7))], None);
        assert_eq!(judge(&losses, End::Silence, 11), End::Silence);
        assert_eq!(judge(&losses, End::Silence, 10), End::PacketsDropped);
        assert_eq!(judge(&losses, End::CaptureEnd, 10), End::PacketsDropped);
        assert_eq!(judge(&losses, End::Evicted, 10), End::PacketsDropped);
        assert_eq!(judge(&losses, End::Decided, 10), End::Decided);
        losses.note(&[], Some(at(98)));
        losses.note(&[], None);
        assert_eq!(judge(&losses, End::Silence, 50), End::PacketsDropped);
        assert_eq!(judge(&losses, End::Evicted, 98), End::Evicted);
    }
}
