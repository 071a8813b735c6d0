//! Records up to TLS 1.2 (RFC 5246 §6.2.3): one direction, from its ChangeCipherSpec on.

use rc4::{KeyInit as _, Rc4, StreamCipher as _};

use crate::flow::Side;
use crate::tls::{ProtocolVersion, RecordHeader};

use super::cipher::{Aead, BlockCipher, NONCE};
use super::hash::{Hash, Wiped};
use super::record::{Opened, header_bytes};
use super::suite::{Algorithms, Protection};
use super::tls13::nonce;
use super::{Secret, Session, ssl3};

/// Opens the records of one side.
pub(super) struct Tls12Opener {
    version: ProtocolVersion,
    protection: Protection,
    encrypt_then_mac: bool,
    mac_key: Wiped,
    key: Wiped,
    /// The part of the nonce that is not in the record; up to TLS 1.0 the next record's IV.
    iv: Wiped,
    stream: Option<Rc4>,
    sequence: u64,
}

/// Bytes of the nonce that GCM and CCM records begin with (RFC 5288 §3).
const EXPLICIT_NONCE: usize = 8;

impl Tls12Opener {
    /// `None` if the key has a length that the cipher does not take, which cannot happen.
    pub(super) fn new(
        session: &Session,
        algorithms: Algorithms,
        master: &Secret,
        side: Side,
    ) -> Option<Self> {
        let protection = algorithms.protection;
        let [mac, key, iv] = lengths(protection, session.version);
        let block = key_block(session, algorithms.hash, master, 2 * (mac + key + iv));
        // client's MAC key, server's, client's key, server's, client's IV, server's (RFC 5246 §6.3)
        let number = usize::from(side == Side::Server);
        let part = |start: usize, length: usize| {
            let start = start + number * length;
            Some(Wiped::new(block.get(start..start + length)?.to_vec()))
        };
        let key_bytes = part(2 * mac, key)?;
        let stream = match protection {
            Protection::Stream(_) => Some(Rc4::new_from_slice(&key_bytes).ok()?),
            _ => None,
        };
        Some(Self {
            version: session.version,
            protection,
            encrypt_then_mac: session.encrypt_then_mac,
            mac_key: part(0, mac)?,
            iv: part(2 * (mac + key), iv)?,
            key: key_bytes,
            stream,
            sequence: 0,
        })
    }

    /// Expects the record with this number next. That of DTLS has the epoch in its upper 16 bits (RFC 6347 §4.1.2.1).
    pub(super) const fn expect(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// Decrypts a record in place; `None` if its tag or MAC is wrong.
    pub(super) fn open<'r>(
        &mut self,
        header: RecordHeader,
        fragment: &'r mut [u8],
    ) -> Option<Opened<'r>> {
        let content = match self.protection {
            Protection::Aead(aead) => self.open_aead(aead, header, fragment)?,
            Protection::Block(cipher, mac) if self.encrypt_then_mac => {
                self.open_mac_then_decrypt(cipher, mac, header, fragment)?
            }
            Protection::Block(cipher, mac) => self.open_block(cipher, mac, header, fragment)?,
            Protection::Stream(mac) => {
                self.stream.as_mut()?.apply_keystream(fragment);
                self.check_mac(mac, header, fragment)?
            }
            Protection::Null(mac) => self.check_mac(mac, header, fragment)?,
        };
        self.sequence = self.sequence.wrapping_add(1);
        Some(Opened {
            content_type: header.content_type,
            content,
        })
    }

    fn open_aead<'r>(
        &self,
        aead: Aead,
        header: RecordHeader,
        fragment: &'r mut [u8],
    ) -> Option<&'r [u8]> {
        let explicit_length = NONCE - self.iv.len();
        let (explicit, sealed) = fragment.split_at_mut_checked(explicit_length)?;
        let nonce = if explicit.is_empty() {
            nonce(&self.iv, self.sequence)?
        } else {
            [&self.iv, &*explicit].concat().try_into().ok()?
        };
        let length = sealed.len().checked_sub(aead.tag_length())?;
        let additional = self.pseudo_header(header, length);
        aead.open(&self.key, &nonce, &additional, sealed)
    }

    /// MAC, then encrypt: decrypt, then check the MAC (RFC 5246 §6.2.3.2).
    fn open_block<'r>(
        &mut self,
        cipher: BlockCipher,
        mac: Hash,
        header: RecordHeader,
        fragment: &'r mut [u8],
    ) -> Option<&'r [u8]> {
        let plain = self.decrypt_blocks(cipher, fragment)?;
        self.check_mac(mac, header, plain)
    }

    /// Encrypt, then MAC: check the MAC, then decrypt (RFC 7366).
    fn open_mac_then_decrypt<'r>(
        &mut self,
        cipher: BlockCipher,
        mac: Hash,
        header: RecordHeader,
        fragment: &'r mut [u8],
    ) -> Option<&'r [u8]> {
        let length = fragment.len().checked_sub(mac.length())?;
        self.check_mac(mac, header, fragment)?;
        self.decrypt_blocks(cipher, fragment.get_mut(..length)?)
            .map(|plain| &*plain)
    }

    /// Decrypts in place; the plain bytes without padding.
    fn decrypt_blocks<'r>(
        &mut self,
        cipher: BlockCipher,
        fragment: &'r mut [u8],
    ) -> Option<&'r mut [u8]> {
        let block = cipher.block_length();
        let blocks = if self.version.as_tls() >= ProtocolVersion::TLSv1_1 {
            let (iv, blocks) = fragment.split_at_mut_checked(block)?;
            self.iv = Wiped::new(iv.to_vec());
            blocks
        } else {
            fragment
        };
        let last = blocks.len().checked_sub(block)?;
        let next_iv = Wiped::new(blocks.get(last..)?.to_vec());
        cipher.decrypt(&self.key, &self.iv, blocks)?;
        self.iv = next_iv;
        // The last byte is the number of padding bytes before it; the MAC shows whether that is right.
        let padding = usize::from(*blocks.last()?) + 1;
        let length = blocks.len().checked_sub(padding)?;
        blocks.get_mut(..length)
    }

    /// The bytes before the MAC at the end of `bytes`, if the MAC is right.
    ///
    /// Need not take constant time: an observer answers nobody, so its timing leaks nothing.
    fn check_mac<'r>(&self, hash: Hash, header: RecordHeader, bytes: &'r [u8]) -> Option<&'r [u8]> {
        let length = bytes.len().checked_sub(hash.length())?;
        let (content, mac) = bytes.split_at_checked(length)?;
        let expected = if self.version == ProtocolVersion::SSLv3 {
            ssl3::mac(
                hash,
                &self.mac_key,
                self.sequence,
                header.content_type,
                content,
            )
        } else {
            let pseudo_header = self.pseudo_header(header, length);
            hash.hmac(&self.mac_key, &[&pseudo_header, content])
        };
        (*expected == mac).then_some(content)
    }

    /// What is authenticated before the content: sequence number, type, version, length.
    fn pseudo_header(&self, header: RecordHeader, length: usize) -> [u8; 13] {
        let mut bytes = [0; 13];
        let (sequence, rest) = bytes.split_at_mut(8);
        sequence.copy_from_slice(&self.sequence.to_be_bytes());
        let length = length as u16; // less than the record's
        rest.copy_from_slice(&header_bytes(RecordHeader { length, ..header }));
        bytes
    }
}

/// Bytes of one side's MAC key, key and IV.
fn lengths(protection: Protection, version: ProtocolVersion) -> [usize; 3] {
    match protection {
        Protection::Aead(Aead::ChaCha20Poly1305) => [0, 32, NONCE],
        Protection::Aead(aead) => [0, aead.key_length(), NONCE - EXPLICIT_NONCE],
        Protection::Block(cipher, mac) if version.as_tls() >= ProtocolVersion::TLSv1_1 => {
            [mac.length(), cipher.key_length(), 0]
        }
        Protection::Block(cipher, mac) => {
            [mac.length(), cipher.key_length(), cipher.block_length()]
        }
        Protection::Stream(mac) => [mac.length(), 16, 0],
        Protection::Null(mac) => [mac.length(), 0, 0],
    }
}

/// The key block (RFC 5246 §6.3; RFC 2246 §5 up to TLS 1.1; RFC 6101 §6.2.2).
fn key_block(session: &Session, hash: Hash, master: &Secret, length: usize) -> Wiped {
    let randoms = [&session.server_random[..], &session.client_random];
    if session.version == ProtocolVersion::SSLv3 {
        return ssl3::key_block(master.bytes(), &randoms.concat(), length);
    }
    let seed = [b"key expansion", randoms[0], randoms[1]];
    if session.version.as_tls() >= ProtocolVersion::TLSv1_2 {
        return hash.expand_p(master.bytes(), &seed, length);
    }
    let (first, second) = master.bytes().split_at(master.bytes().len() / 2);
    let mut output = Hash::Md5.expand_p(first, &seed, length);
    let other = Hash::Sha1.expand_p(second, &seed, length);
    for (byte, mask) in output.iter_mut().zip(other.iter()) {
        *byte ^= mask;
    }
    output
}

#[cfg(test)]
mod tests {
    use super::super::Keys;
    use super::super::testing::hex;
    use super::super::{DecryptError, Decryptor};
    use super::*;
    use crate::tls::{CipherSuite, HEADER_LENGTH};

    /// Connections of tlslite-ng by version and protection: `fixtures/lab/records.py` made them, and says how to read them.
    const RECORDS: &str = include_str!("records.txt");

    struct RecordedConnection {
        name: &'static str,
        session: Session,
        master: &'static str,
        records: Vec<(Side, Vec<u8>)>,
    }

    fn connections() -> Vec<RecordedConnection> {
        let mut connections: Vec<RecordedConnection> = Vec::new();
        for line in RECORDS.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                [version, suite, etm, client, server, master] => {
                    connections.push(RecordedConnection {
                        name: &line[..10],
                        session: Session {
                            version: ProtocolVersion(
                                0x0300 | u16::from(version.as_bytes()[2] - b'0'),
                            ),
                            cipher_suite: CipherSuite(u16::from_str_radix(suite, 16).unwrap()),
                            client_random: hex(client).try_into().unwrap(),
                            server_random: hex(server).try_into().unwrap(),
                            encrypt_then_mac: etm == "1",
                            is_compressed: false,
                        },
                        master,
                        records: Vec::new(),
                    })
                }
                [side, record] => {
                    let side = if side == "C" {
                        Side::Client
                    } else {
                        Side::Server
                    };
                    let connection = connections.last_mut().unwrap();
                    connection.records.push((side, hex(record)));
                }
                _ => panic!("{line}"),
            }
        }
        connections
    }

    impl RecordedConnection {
        /// The content of each record, by the type of its header; opened with this master secret.
        fn open(&self, master: &[u8]) -> Result<Vec<(Side, u8, Vec<u8>)>, DecryptError> {
            let keys = Keys::default();
            let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let random: String = digits(&self.session.client_random);
            let secret: String = digits(master);
            keys.absorb_all(format!("CLIENT_RANDOM {random} {secret}").as_bytes());
            let mut decryptor = Decryptor::new(self.session, keys)?;
            let open = |(side, record): &(Side, Vec<u8>)| {
                let header = RecordHeader::read(record).unwrap();
                let mut fragment = record[HEADER_LENGTH..].to_vec();
                let opened = decryptor.open(*side, header, &mut fragment)?;
                Ok((*side, opened.content_type.0, opened.content.to_vec()))
            };
            self.records.iter().map(open).collect()
        }
    }

    #[test]
    fn opens_finished_data_and_alerts_of_every_version_and_protection() {
        let connections = connections();
        assert_eq!(connections.len(), 38);
        for connection in connections {
            let opened = connection.open(&hex(connection.master)).unwrap();
            for side in [Side::Client, Side::Server] {
                let of_side: Vec<_> = opened.iter().filter(|(from, ..)| *from == side).collect();
                assert_eq!(of_side[0].1, 22, "{}", connection.name);
                assert_eq!(of_side[0].2[..3], [20, 0, 0], "{}", connection.name);
            }
            let data = |content_type: u8| {
                let parts = opened
                    .iter()
                    .filter(|(_, of_type, _)| *of_type == content_type);
                parts
                    .flat_map(|(.., content)| content.clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(data(23), b"ping", "{}", connection.name);
            assert_eq!(data(21)[..2], [1, 0], "{}", connection.name);
        }
    }

    #[test]
    fn another_secret_opens_nothing() {
        for connection in connections() {
            let mut master = hex(connection.master);
            master[0] ^= 1; // both halves: up to TLS 1.1 each has its part in the keys
            master[47] ^= 1;
            let opened = connection.open(&master);
            assert_eq!(opened, Err(DecryptError::WrongKey), "{}", connection.name);
        }
    }

    #[test]
    fn a_record_that_was_changed_or_cut_is_not_opened() {
        for mut connection in connections() {
            connection.records.truncate(1);
            let (side, record) = connection.records[0].clone();
            for length in 0..record.len() - HEADER_LENGTH {
                let mut cut = record[..HEADER_LENGTH + length].to_vec();
                cut[3..5].copy_from_slice(&(length as u16).to_be_bytes());
                connection.records[0] = (side, cut);
                assert!(
                    connection.open(&hex(connection.master)).is_err(),
                    "{}",
                    connection.name
                );
            }
            for index in HEADER_LENGTH..record.len() {
                let mut changed = record.clone();
                changed[index] ^= 1;
                connection.records[0] = (side, changed);
                let opened = connection.open(&hex(connection.master));
                assert_eq!(
                    opened,
                    Err(DecryptError::WrongKey),
                    "{} {index}",
                    connection.name
                );
            }
        }
    }

    #[test]
    fn without_a_secret_or_with_an_unknown_suite_the_answer_says_so() {
        let connection = &connections()[0];
        let (side, record) = &connection.records[0];
        let mut decryptor = Decryptor::new(connection.session, Keys::default()).unwrap();
        let header = RecordHeader::read(record).unwrap();
        let mut fragment = record[HEADER_LENGTH..].to_vec();
        let opened = decryptor.open(*side, header, &mut fragment);
        assert_eq!(opened, Err(DecryptError::NoKey));
        for unsupported in [
            Session {
                cipher_suite: CipherSuite(0xfafa),
                ..connection.session
            },
            Session {
                is_compressed: true,
                ..connection.session
            },
            Session {
                version: ProtocolVersion(0x7f12),
                ..connection.session
            },
        ] {
            let decryptor = Decryptor::new(unsupported, Keys::default());
            assert_eq!(decryptor.map(|_| ()), Err(DecryptError::Unsupported));
        }
    }
}
