//! Bytes that were sent again with another content: which copy a peer took is not known.

use crate::event::{Handshake, Outcome};
use crate::tls::{AlertDescription, AlertLevel, ContentType, HEADER_LENGTH, RecordHeader};

/// How sure a failure is if the capture has two versions of bytes of its handshake. No case was measured: a copy that
/// somebody added may have decided, or may have been ignored.
const CONFIDENCE: f64 = 0.75;

/// What is known of the bytes of one handshake that were sent again with another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conflict {
    /// How many bytes differ from those that came first.
    bytes: u32,
    /// The fatal alert that a later copy has in the clear.
    alert: Option<AlertDescription>,
}

impl Conflict {
    /// Notes a later copy, in which so many bytes differ.
    pub(crate) fn note(&mut self, bytes: u32, copy: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.alert = self.alert.or_else(|| fatal_alert(copy));
    }

    /// Bytes that differ.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.bytes
    }

    /// The conflict that an event reports; the alert is in its message only.
    pub(super) fn of(event: &Handshake) -> Self {
        Self {
            bytes: u32::try_from(event.capture.conflicting_bytes).unwrap_or(u32::MAX),
            alert: None,
        }
    }

    /// Says in an event that there are two versions. A failure is less certain then: it may rest on the wrong one.
    pub(super) fn add_to(&self, event: &mut Handshake) {
        event.capture.conflicting_bytes = u64::from(self.bytes);
        if self.bytes == 0 || event.outcome != Outcome::Failure {
            return;
        }
        event.confidence = event
            .confidence
            .map(|confidence| confidence.min(CONFIDENCE));
        if let Some(error) = &mut event.error {
            error.message = format!("{}; {}", error.message, self.explanation());
        }
    }

    fn explanation(&self) -> String {
        let bytes = match self.bytes {
            1 => "1 byte was".to_owned(),
            bytes => format!("{bytes} bytes were"),
        };
        let other = self.alert.map_or_else(String::new, |alert| {
            format!(", the other copy begins with the fatal alert {alert}")
        });
        format!("{bytes} sent twice with different content{other}: one copy may be forged")
    }
}

/// The fatal alert with which a segment begins.
fn fatal_alert(segment: &[u8]) -> Option<AlertDescription> {
    let header = RecordHeader::read(segment).ok()?;
    let &[level, description] = segment.get(HEADER_LENGTH..HEADER_LENGTH + 2)? else {
        return None;
    };
    let is_alert = header.content_type == ContentType::Alert && header.length == 2;
    (is_alert && AlertLevel(level) == AlertLevel::Fatal).then_some(AlertDescription(description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fatal_alert_of_a_later_copy_is_mentioned() {
        let mut conflict = Conflict::default();
        conflict.note(1, &[21, 3, 3, 0, 2, 1, 0]); // a warning
        assert_eq!(conflict.alert, None);
        assert_eq!(
            conflict.explanation(),
            "1 byte was sent twice with different content: one copy may be forged"
        );
        conflict.note(6, &[21, 3, 3, 0, 2, 2, 48]);
        conflict.note(6, &[21, 3, 3, 0, 2, 2, 40]);
        assert_eq!(conflict.alert, Some(AlertDescription(48)));
        assert!(conflict.explanation().starts_with("13 bytes were sent"));
        assert!(conflict.explanation().contains("unknown_ca"));
    }

    #[test]
    fn every_prefix_of_an_alert_is_none() {
        let alert = [21, 3, 3, 0, 2, 2, 48];
        for length in 0..alert.len() {
            assert_eq!(fatal_alert(&alert[..length]), None);
        }
    }
}
