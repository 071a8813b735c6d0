//! What stands for the ciphers if the feature `decrypt` is off: no cipher suite is supported, so nothing is ever opened.

use std::convert::Infallible;

use crate::tls::CipherSuite;

/// The algorithms of no cipher suite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Algorithms(Infallible);

impl Algorithms {
    /// `None`: no suite is supported.
    pub(super) const fn of(_suite: CipherSuite) -> Option<Self> {
        None
    }
}

/// TLS 1.2 and older.
pub(super) mod tls12 {
    use crate::decrypt::{Opened, Secret, Session};
    use crate::flow::Side;
    use crate::tls::RecordHeader;

    use super::{Algorithms, Infallible};

    pub(in crate::decrypt) struct Tls12Opener(Infallible);

    impl Tls12Opener {
        pub(in crate::decrypt) const fn new(
            _session: &Session,
            algorithms: Algorithms,
            _master: &Secret,
            _side: Side,
        ) -> Option<Self> {
            match algorithms.0 {}
        }

        pub(in crate::decrypt) const fn expect(&mut self, _sequence: u64) {
            match self.0 {}
        }

        pub(in crate::decrypt) const fn open<'r>(
            &mut self,
            _header: RecordHeader,
            _fragment: &'r mut [u8],
        ) -> Option<Opened<'r>> {
            match self.0 {}
        }
    }
}

/// TLS 1.3.
pub(super) mod tls13 {
    use crate::decrypt::{Opened, Secret};
    use crate::tls::RecordHeader;

    use super::{Algorithms, Infallible};

    pub(in crate::decrypt) struct Tls13Opener(Infallible);

    impl Tls13Opener {
        pub(in crate::decrypt) const fn new(
            algorithms: Algorithms,
            _secret: &Secret,
        ) -> Option<Self> {
            match algorithms.0 {}
        }

        pub(in crate::decrypt) const fn open<'r>(
            &mut self,
            _header: RecordHeader,
            _fragment: &'r mut [u8],
        ) -> Option<Opened<'r>> {
            match self.0 {}
        }

        pub(in crate::decrypt) const fn update(&mut self) {
            match self.0 {}
        }
    }
}
