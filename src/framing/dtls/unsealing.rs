//! Alerts and Finished up to DTLS 1.2, opened if there are keys that fit.
//!
//! The header has the number of each record, so records that are missing cost no others (RFC 6347 §4.1.2.1).

use zeroize::Zeroizing;

use crate::decrypt::{DecryptError, Decryptor, Keys};
use crate::flow::Side;
use crate::framing::sealed::{KeyUse, session};
use crate::framing::{Content, Hellos};
use crate::memory::boxed;
use crate::tls::{AlertDescription, AlertLevel, ContentType, RecordHeader};

/// Opens the encrypted records of an association.
#[derive(Debug)]
pub(super) struct Unsealing {
    keys: Keys,
    /// Made for the first record.
    decryptor: Option<Box<Decryptor>>,
    key_use: Option<KeyUse>,
}

impl Unsealing {
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            keys: keys.clone(),
            decryptor: None,
            key_use: None,
        }
    }

    pub(super) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What the keys were good for; `None` if there were none, or nothing to open.
    pub(super) const fn key_use(&self) -> Option<KeyUse> {
        self.key_use
    }

    /// Whether records were opened.
    pub(super) fn fits(&self) -> bool {
        self.key_use == Some(KeyUse::Fits)
    }

    pub(super) fn allocated(&self) -> usize {
        self.decryptor.as_ref().map_or(0, |_| boxed::<Decryptor>())
    }

    /// What the record with this number carries; `None` if it cannot be opened.
    pub(super) fn open(
        &mut self,
        side: Side,
        number: u64,
        header: RecordHeader,
        fragment: &[u8],
        hellos: Hellos<'_>,
    ) -> Option<Content> {
        let may_have_key = self.keys.has_secrets() || self.keys.is_growing();
        if !may_have_key || self.key_use == Some(KeyUse::Unsupported) {
            return None;
        }
        if self.decryptor.is_none() {
            match Decryptor::new(session(hellos)?, self.keys.clone()) {
                Ok(decryptor) => self.decryptor = Some(Box::new(decryptor)),
                Err(_) => self.key_use = Some(KeyUse::Unsupported),
            }
        }
        let mut record = Zeroizing::new(fragment.to_vec());
        let decryptor = self.decryptor.as_mut()?;
        match decryptor.open_numbered(side, number, header, &mut record) {
            Ok(opened) => {
                self.key_use = Some(KeyUse::Fits);
                Some(match (opened.content_type, opened.content) {
                    (ContentType::Alert, [level, description, ..]) => {
                        Content::Alert(AlertLevel(*level), AlertDescription(*description))
                    }
                    (ContentType::Handshake, _) => Content::Handshake,
                    _ => Content::ApplicationData,
                })
            }
            Err(_) if self.fits() => None,
            Err(error) => {
                self.key_use = Some(match error {
                    DecryptError::NoKey => KeyUse::Missing,
                    DecryptError::Unsupported => KeyUse::Unsupported,
                    DecryptError::WrongKey => KeyUse::Wrong,
                });
                None
            }
        }
    }
}
