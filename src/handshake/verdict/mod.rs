//! What is concluded from a transcript.

pub(super) mod cleartext;
pub(super) mod decrypted;
pub(super) mod inferred;
