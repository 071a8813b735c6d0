//! Stapled OCSP responses (RFC 6960 §4.2.1; RFC 6066 §8): the status of the leaf.

use jiff::civil::DateTime;

use super::CertificateTime;
use super::der::{self, Elements};

/// The contents of a stapled OCSP response.
///
/// Its signature is not checked: the status is reported as what the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OcspStaple {
    /// The status of the certificate.
    pub status: OcspStatus,
    /// The certificate's serial number, as in [`super::CertificateFacts::serial`].
    pub serial: String,
    /// When the responder knew this to be right.
    pub this_update: CertificateTime,
    /// When newer information will be available; `None` if at any time.
    pub next_update: Option<CertificateTime>,
}

/// The status of a certificate in an OCSP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OcspStatus {
    /// It is not revoked.
    Good,
    /// It was revoked at this moment.
    Revoked(CertificateTime),
    /// The responder does not know it.
    Unknown,
}

impl OcspStatus {
    /// As written in events: `good`, `revoked` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked(_) => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

impl OcspStaple {
    /// Reads the first response in a `CertificateStatus`: servers staple one, for their leaf.
    ///
    /// `None` if it is of another type, not successful, or malformed.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::certificate::OcspStaple;
    ///
    /// let try_later = b"\x01\x00\x00\x05\x30\x03\x0a\x01\x03";
    /// assert_eq!(OcspStaple::read(try_later), None);
    /// ```
    #[must_use]
    pub fn read(certificate_status: &[u8]) -> Option<Self> {
        const OCSP: u8 = 1;
        let (&status_type, rest) = certificate_status.split_first()?;
        let (_length, response) = rest.split_at_checked(3)?;
        (status_type == OCSP).then_some(())?;
        read_response(response)
    }
}

/// `OCSPResponse`.
fn read_response(der: &[u8]) -> Option<OcspStaple> {
    const ENUMERATED: u8 = 0x0a;
    const GENERALIZED_TIME: u8 = 0x18;
    const SUCCESSFUL: &[u8] = &[0];
    let tagged = der::constructed_context;
    let mut response = Elements::within(der, der::SEQUENCE)?;
    (response.content(ENUMERATED)? == SUCCESSFUL).then_some(())?;
    let mut bytes = Elements::within(response.content(tagged(0))?, der::SEQUENCE)?;
    bytes.content(der::OBJECT_IDENTIFIER)?; // id-pkix-ocsp-basic, or what follows does not fit
    let basic = bytes.content(der::OCTET_STRING)?;
    let data = Elements::within(basic, der::SEQUENCE)?.content(der::SEQUENCE)?;
    // ResponseData: a version and a responder of either kind come before the time and the responses.
    let mut data = Elements::new(data).skip_while(|element| element.tag != GENERALIZED_TIME);
    data.next()?;
    let responses = data.next().filter(|element| element.tag == der::SEQUENCE)?;
    let mut single = Elements::within(responses.content, der::SEQUENCE)?;
    let certificate = single.content(der::SEQUENCE)?;
    let serial = Elements::new(certificate).find(|element| element.tag == der::INTEGER)?;
    let status = single.next()?;
    let status = match status.tag & 0x1f {
        0 => OcspStatus::Good,
        1 => OcspStatus::Revoked(time(
            Elements::new(status.content).content(GENERALIZED_TIME)?,
        )?),
        _ => OcspStatus::Unknown,
    };
    let this_update = time(single.content(GENERALIZED_TIME)?)?;
    let next_update = single
        .next()
        .filter(|element| element.tag == tagged(0))
        .and_then(|element| time(Elements::new(element.content).content(GENERALIZED_TIME)?));
    Some(OcspStaple {
        status,
        serial: der::integer_hex(serial.content),
        this_update,
        next_update,
    })
}

/// A GeneralizedTime in the only form that RFC 5280 §4.1.2.5.2 allows, `YYYYMMDDHHMMSSZ`.
fn time(text: &[u8]) -> Option<CertificateTime> {
    const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let digits = text
        .strip_suffix(b"Z")
        .filter(|digits| digits.len() == 14)?;
    let number = |from: usize, to: usize| -> Option<i16> {
        let digits = std::str::from_utf8(digits.get(from..to)?).ok()?;
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| digits.parse().ok())?
    };
    let small = |from, to| i8::try_from(number(from, to)?).ok();
    let date_time = DateTime::new(
        number(0, 4)?,
        small(4, 6)?,
        small(6, 8)?,
        small(8, 10)?,
        small(10, 12)?,
        small(12, 14)?,
        0,
    );
    let seconds = date_time.ok()?.duration_since(EPOCH).as_secs();
    Some(CertificateTime(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::support::{element, oid, sequence};
    use super::*;

    fn generalized(text: &str) -> Vec<u8> {
        element(0x18, text.as_bytes())
    }

    /// A CertificateStatus whose response has this certStatus.
    fn staple(status: &[u8], next_update: &[u8]) -> Vec<u8> {
        let hash = element(4, &[7; 20]);
        let algorithm = sequence(&[&oid("1.3.14.3.2.26"), &[5, 0]]);
        let certificate = sequence(&[&algorithm, &hash, &hash, &element(2, &[0, 0x8a, 1])]);
        let single = sequence(&[
            &certificate,
            status,
            &generalized("20260301120000Z"),
            next_update,
        ]);
        let data = sequence(&[
            &element(0xa2, &hash), // responder by key
            &generalized("20260301120000Z"),
            &sequence(&[&single]),
        ]);
        let algorithm = sequence(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]);
        let basic = sequence(&[&data, &algorithm, &element(3, &[0; 9])]);
        let bytes = sequence(&[&oid("1.3.6.1.5.5.7.48.1.1"), &element(4, &basic)]);
        let response = sequence(&[&[0x0a, 1, 0], &element(0xa0, &bytes)]);
        let length = u32::try_from(response.len()).unwrap().to_be_bytes();
        [&[1], &length[1..], &response].concat()
    }

    const NOON: i64 = 1_772_366_400;
    const DAY: i64 = 86_400;

    #[test]
    fn reads_the_status_and_its_times() {
        let next = element(0xa0, &generalized("20260308120000Z"));
        let good = OcspStaple::read(&staple(&[0x80, 0], &next)).unwrap();
        assert_eq!(good.status, OcspStatus::Good);
        assert_eq!(good.serial, "8a01");
        assert_eq!(
            (good.this_update, good.next_update),
            (CertificateTime(NOON), Some(CertificateTime(NOON + 7 * DAY)))
        );
        let revoked = element(0xa1, &generalized("20260201120000Z"));
        let revoked = OcspStaple::read(&staple(&revoked, &[])).unwrap();
        assert_eq!(
            revoked.status,
            OcspStatus::Revoked(CertificateTime(NOON - 28 * DAY))
        );
        assert_eq!(revoked.next_update, None);
        let unknown = OcspStaple::read(&staple(&[0x82, 0], &[])).unwrap();
        assert_eq!(unknown.status, OcspStatus::Unknown);
    }

    #[test]
    fn no_prefix_of_a_response_is_a_response() {
        let whole = staple(&[0x80, 0], &[]);
        for end in 0..whole.len() {
            assert_eq!(OcspStaple::read(&whole[..end]), None, "{end} bytes");
        }
    }

    #[test]
    fn times_of_another_form_are_none() {
        assert_eq!(time(b"20260301120000Z"), Some(CertificateTime(NOON)));
        for wrong in [
            &b"20260301120000"[..],
            b"202603011200Z",
            b"20261301120000Z",
            b"2026+301120000Z",
            b"",
        ] {
            assert_eq!(time(wrong), None);
        }
    }
}
