//! A protocol that is not known: TLS may begin with any run of bytes.

use crate::tls::is_hello_amid_stream;

use super::DialogueStep;

/// Looks for a ClientHello at the beginning of `bytes`.
///
/// Only there, since programs that upgrade wait for an answer first: the hello then begins a segment. That it is
/// a hello is checked more strictly than at the beginning of a connection, because application data of any kind comes by.
pub(super) fn take(bytes: &[u8]) -> DialogueStep {
    if is_hello_amid_stream(bytes) {
        DialogueStep::TlsBegins(0)
    } else {
        DialogueStep::More
    }
}
