//! TLS 1.3 with keys: the verdict that rests on opened records.

use crate::event::{ClientCertificate, EarlyData, Evidence, Outcome, UnknownBecause};
use crate::flow::{PerSide, Side};
use crate::framing::Close;
use crate::handshake::cause;
use crate::handshake::transcript::{AlertSeen, Decrypted, Transcript, is_empty_list};
use crate::tls::AlertDescription;
use crate::transport::tcp::Arrival;

use super::cleartext;
use super::conclusion::Conclusion;
use super::inferred::Shape;

/// The verdict that rests on opened records; `None` if they do not carry one.
pub(super) fn conclude(transcript: &Transcript) -> Option<Conclusion> {
    let decrypted = transcript.decrypted()?;
    if let Some((alert, description)) = first_error(transcript, decrypted) {
        let side = transcript.side(alert.sender);
        let failure = cause::from_alert(transcript, side, description);
        // Clients judge before their Finished; tlslite's judges after it, and had the server's tickets by then.
        let may_follow_tickets = side == Side::Client
            && has_finished(decrypted, Side::Client, alert.at)
            && decrypted.is_unreadable.server;
        let may_answer_missing = cleartext::may_answer_missing(transcript, &alert);
        if alert.is_encrypted() && (may_follow_tickets || may_answer_missing) {
            return Some(Conclusion::unknown(UnknownBecause::Gap));
        }
        // One in the clear is left to the rules, which know what it answers.
        return alert.is_encrypted().then(|| Conclusion {
            evidence: Evidence::Decrypted,
            ..Conclusion::failed(failure)
        });
    }
    if may_lack_refusal(transcript, decrypted) {
        return Some(Conclusion::unknown(UnknownBecause::Gap));
    }
    is_success(transcript, decrypted).then(|| Conclusion {
        evidence: Evidence::Decrypted,
        ..Conclusion::observed(Outcome::Success)
    })
}

/// The alert that says what is wrong: the first, unless the handshake was in use, or its sender's peer had left.
fn first_error(
    transcript: &Transcript,
    decrypted: &Decrypted,
) -> Option<(AlertSeen, AlertDescription)> {
    for alert in transcript.alerts().iter().filter(|alert| !alert.is_late) {
        let side = transcript.side(alert.sender);
        match alert.description()? {
            // A side that has completed its part may leave, and still learn what was wrong with its flight.
            AlertDescription::CloseNotify if side == Side::Server => return None,
            AlertDescription::CloseNotify if !has_finished(decrypted, side, alert.at) => {
                return None;
            }
            AlertDescription::CloseNotify | AlertDescription::UserCanceled => {}
            description => {
                let is_answer = transcript.is_reaction(alert)
                    && (is_about_close(description)
                        || !has_finished(decrypted, side.peer(), alert.at));
                return (!is_answer).then_some((*alert, description));
            }
        }
    }
    None
}

/// Whether some stacks send this when a stream ends without close_notify: OpenSSL 3 sends decode_error.
const fn is_about_close(description: AlertDescription) -> bool {
    matches!(
        description,
        AlertDescription::DecodeError | AlertDescription::UnexpectedMessage
    )
}

/// Whether `side` had sent its Finished when something came `at`.
fn has_finished(decrypted: &Decrypted, side: Side, at: Arrival) -> bool {
    decrypted.finished[side].is_some_and(|finished| finished <= at.time)
}

/// Whether both sides completed the handshake, and the server accepted the client's flight.
fn is_success(transcript: &Transcript, decrypted: &Decrypted) -> bool {
    let is_complete = decrypted.finished.iter().all(Option::is_some);
    let has_gone_on = decrypted.server_messages > 0 || decrypted.application_data.server.is_some();
    is_complete
        && (has_gone_on || decrypted.has_read_all() && has_ended_well(transcript, decrypted))
}

/// Whether all that shows that the server accepted the client's flight are tickets, and a gap follows.
///
/// Some servers send tickets before they judge the client's certificate (tlslite): a refusal may be in what is missing.
fn may_lack_refusal(transcript: &Transcript, decrypted: &Decrypted) -> bool {
    let has_certificate = transcript.peer(Side::Client).certificate.is_some();
    let has_tickets_only =
        decrypted.server_messages > 0 && decrypted.application_data.server.is_none();
    let is_complete = decrypted.finished.iter().all(Option::is_some);
    is_complete
        && has_certificate
        && has_tickets_only
        && transcript.peer(Side::Server).ends_with_gap
}

/// Whether the end shows that the server accepted the client's flight, although it sent nothing but perhaps close_notify.
///
/// s2n is why the server's close_notify is no proof with a certificate: its servers refuse one in this way.
fn has_ended_well(transcript: &Transcript, decrypted: &Decrypted) -> bool {
    let has_certificate = transcript.peer(Side::Client).certificate.is_some();
    let has_unanswered_data = decrypted.application_data.client.is_some();
    let first_close = transcript
        .first_close()
        .map(|(side, close, _)| (side, close));
    let says_goodbye = |side| {
        let sender = transcript.direction(side);
        let mut alerts = transcript.alerts().iter();
        alerts.any(|alert| alert.sender == sender && alert.is_close_notify())
    };
    match first_close {
        // Servers that refuse a certificate without saying so leave data unanswered, or reset.
        _ if says_goodbye(Side::Server) && has_certificate => {
            says_goodbye(Side::Client)
                && !has_unanswered_data
                && first_close != Some((Side::Server, Close::Rst))
        }
        _ if says_goodbye(Side::Server) => true,
        _ if has_certificate => false,
        Some((Side::Server, _)) => false,
        Some((Side::Client, _)) => !has_unanswered_data,
        None => true,
    }
}

/// Replaces what was inferred from lengths by what is known.
pub(super) fn correct(shape: &mut Shape, transcript: &Transcript, decrypted: &Decrypted) {
    let PerSide {
        client: client_finished,
        server: server_finished,
    } = decrypted.finished;
    let is_requested = transcript.certificate_request().is_some();
    shape.client_certificate = match transcript.peer(Side::Client).certificate.as_deref() {
        Some(body) if is_empty_list(body) => ClientCertificate::Absent,
        Some(_) => ClientCertificate::Presented,
        None if is_requested && !decrypted.is_unreadable.client => ClientCertificate::Requested,
        None if !is_requested && server_finished.is_some() => ClientCertificate::NotRequested,
        None => shape.client_certificate,
    };
    if let Some(extensions) = &decrypted.extensions
        && shape.early_data.is_some()
    {
        shape.early_data = Some(if extensions.early_data {
            EarlyData::Accepted
        } else {
            EarlyData::Rejected
        });
    }
    if decrypted.has_read_all() {
        shape.finished = client_finished;
        shape.server_flight_end = server_finished;
        shape.application_data = decrypted.application_data.iter().flatten().min().copied();
        shape.server_records_after = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, full};
    use crate::tls::HandshakeType;

    const SUCCESS: &str = "success decrypted";

    /// The body of a Certificate message of TLS 1.3 with one certificate, and of one without any.
    const CHAIN: &[u8] = &[0, 0, 0, 6, 0, 0, 1, 0x30, 0, 0];
    const EMPTY: &[u8] = &[0, 0, 0, 0];

    /// The server's flight is opened.
    fn server_finished() -> Script {
        full()
            .opened(SERVER, HandshakeType::EncryptedExtensions, &[0, 0])
            .opened(SERVER, HandshakeType::Finished, &[])
    }

    /// Both flights are opened, without client authentication.
    fn both_finished() -> Script {
        server_finished().opened(CLIENT, HandshakeType::Finished, &[])
    }

    /// Both flights are opened, with this Certificate message of the client.
    fn with_certificate(body: &[u8]) -> Script {
        server_finished()
            .opened(CLIENT, HandshakeType::Certificate, body)
            .opened(CLIENT, HandshakeType::Finished, &[])
    }

    fn says_goodbye(script: Script, side: Side) -> Script {
        script.opened_alert(side, AlertDescription::CloseNotify)
    }

    #[test]
    fn a_server_that_goes_on_has_accepted_the_clients_flight() {
        let ticket = with_certificate(CHAIN).opened(SERVER, HandshakeType::NewSessionTicket, &[]);
        assert_eq!(ticket.verdict(), SUCCESS);
        let data = with_certificate(CHAIN).opened_data(SERVER);
        assert_eq!(data.verdict(), SUCCESS);
        // Even where the rest cannot be opened.
        let partly = with_certificate(CHAIN)
            .opened_data(SERVER)
            .unreadable(CLIENT);
        assert_eq!(partly.verdict(), SUCCESS);
        let silent = with_certificate(CHAIN).opened_data(CLIENT);
        assert_ne!(silent.verdict(), SUCCESS);
    }

    #[test]
    fn tickets_before_a_gap_do_not_show_that_the_client_was_accepted() {
        let ticket = |script: Script| script.opened(SERVER, HandshakeType::NewSessionTicket, &[]);
        let cut = ticket(with_certificate(CHAIN)).gap(SERVER);
        assert_eq!(cut.verdict(), "unknown observed");
        let used = ticket(with_certificate(CHAIN))
            .opened_data(SERVER)
            .gap(SERVER);
        assert_eq!(used.verdict(), SUCCESS);
        assert_eq!(ticket(both_finished()).gap(SERVER).verdict(), SUCCESS);
    }

    #[test]
    fn an_alert_of_a_client_that_has_finished_may_follow_tickets_that_the_capture_lacks() {
        let refuses = |script: Script| {
            script
                .opened_alert(CLIENT, AlertDescription::CertificateExpired)
                .verdict()
        };
        let refused = "failure decrypted: cert_expired by client";
        assert_eq!(refuses(both_finished()), refused);
        let lacks = both_finished().gap(SERVER).unreadable(SERVER);
        assert_eq!(refuses(lacks), "unknown observed");
        // Before its Finished, it refuses what it has received.
        let before = server_finished().gap(SERVER).unreadable(SERVER);
        assert_eq!(refuses(before), refused);
    }

    #[test]
    fn one_finished_is_no_success() {
        assert_ne!(server_finished().opened_data(SERVER).verdict(), SUCCESS);
        assert_eq!(both_finished().verdict(), SUCCESS);
    }

    #[test]
    fn without_a_certificate_only_a_server_that_leaves_early_has_not_accepted() {
        assert_eq!(both_finished().fin(CLIENT).verdict(), SUCCESS);
        assert_eq!(says_goodbye(both_finished(), SERVER).verdict(), SUCCESS);
        assert_ne!(both_finished().fin(SERVER).verdict(), SUCCESS);
        let unanswered = both_finished().opened_data(CLIENT).fin(CLIENT);
        assert_ne!(unanswered.verdict(), SUCCESS);
        // What could not be opened may be the refusal.
        assert_ne!(both_finished().unreadable(SERVER).verdict(), SUCCESS);
    }

    #[test]
    fn with_a_certificate_both_must_say_goodbye_and_no_data_be_left_unanswered() {
        let both = |script| says_goodbye(says_goodbye(script, SERVER), CLIENT);
        assert_eq!(both(with_certificate(CHAIN)).verdict(), SUCCESS);
        assert_eq!(both(with_certificate(EMPTY)).fin(SERVER).verdict(), SUCCESS);
        assert_ne!(both(with_certificate(CHAIN)).rst(SERVER).verdict(), SUCCESS);
        let unanswered = with_certificate(CHAIN).opened_data(CLIENT);
        assert_ne!(both(unanswered).verdict(), SUCCESS);
        let one = says_goodbye(with_certificate(CHAIN), SERVER);
        assert_ne!(one.verdict(), SUCCESS);
        assert_ne!(with_certificate(CHAIN).verdict(), SUCCESS);
    }

    #[test]
    fn an_opened_goodbye_of_the_server_is_no_refusal() {
        let ends = |script| {
            says_goodbye(script, SERVER)
                .fin(SERVER)
                .fin(CLIENT)
                .verdict()
        };
        assert_eq!(ends(with_certificate(CHAIN)), "unknown observed");
        let asked = with_certificate(CHAIN).opened_data(CLIENT);
        assert_eq!(ends(asked), "unknown observed");
    }

    #[test]
    fn an_opened_alert_may_complain_of_what_the_capture_lacks() {
        let complaint =
            |script: Script| script.opened_alert(SERVER, AlertDescription::BadRecordMac);
        assert_eq!(complaint(full().gap(CLIENT)).verdict(), "unknown observed");
        assert_eq!(
            complaint(full()).verdict(),
            "failure decrypted: bad_record_mac by server"
        );
        let refused = full().gap(CLIENT);
        let refused = refused.opened_alert(SERVER, AlertDescription::UnknownCa);
        assert_eq!(refused.verdict(), "failure decrypted: unknown_ca by server");
    }

    #[test]
    fn the_first_opened_alert_is_the_failure() {
        let refused = with_certificate(CHAIN).opened_alert(SERVER, AlertDescription::UnknownCa);
        assert_eq!(refused.verdict(), "failure decrypted: unknown_ca by server");
        let missing =
            with_certificate(EMPTY).opened_alert(SERVER, AlertDescription::BadCertificate);
        assert_eq!(
            missing.verdict(),
            "failure decrypted: missing_client_cert by server"
        );
        let client = server_finished()
            .opened_alert(CLIENT, AlertDescription::UserCanceled)
            .opened_alert(CLIENT, AlertDescription::CertificateExpired);
        assert_eq!(
            client.verdict(),
            "failure decrypted: cert_expired by client"
        );
    }

    #[test]
    fn an_alert_after_the_handshake_was_in_use_does_not_belong_to_it() {
        let late = with_certificate(CHAIN)
            .opened_data(SERVER)
            .opened_alert(SERVER, AlertDescription::InternalError);
        assert_eq!(late.verdict(), SUCCESS);
    }

    #[test]
    fn an_alert_after_close_notify_counts_only_if_its_receiver_had_completed_its_part() {
        let refused = |script: Script| {
            let left = says_goodbye(script, CLIENT);
            left.opened_alert(SERVER, AlertDescription::UnknownCa)
                .verdict()
        };
        assert_eq!(
            refused(with_certificate(CHAIN)),
            "failure decrypted: unknown_ca by server"
        );
        assert_ne!(
            refused(server_finished()),
            "failure decrypted: unknown_ca by server"
        );
        let server_left = says_goodbye(both_finished(), SERVER);
        let complaint = server_left.opened_alert(CLIENT, AlertDescription::DecodeError);
        assert_eq!(complaint.verdict(), SUCCESS);
    }

    #[test]
    fn an_alert_about_the_end_of_the_stream_only_answers_a_close() {
        let closed = || both_finished().fin(CLIENT);
        let complaint = closed().opened_alert(SERVER, AlertDescription::DecodeError);
        assert_eq!(complaint.verdict(), SUCCESS);
        let refusal = closed().opened_alert(SERVER, AlertDescription::UnknownCa);
        assert_eq!(refusal.verdict(), "failure decrypted: unknown_ca by server");
    }

    #[test]
    fn an_alert_in_the_clear_is_left_to_the_rules() {
        let refused = server_finished().alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(refused.verdict(), "failure observed: unknown_ca by client");
    }

    #[test]
    fn opened_messages_replace_what_lengths_say_of_the_clients_certificate() {
        let certificate = |script: Script| script.shape().client_certificate;
        let requested = server_finished().opened(SERVER, HandshakeType::CertificateRequest, &[0]);
        assert_eq!(
            certificate(both_finished()),
            ClientCertificate::NotRequested
        );
        assert_eq!(certificate(requested), ClientCertificate::Requested);
        assert_eq!(
            certificate(with_certificate(CHAIN)),
            ClientCertificate::Presented
        );
        assert_eq!(
            certificate(with_certificate(EMPTY)),
            ClientCertificate::Absent
        );
    }

    #[test]
    fn encrypted_extensions_say_whether_early_data_was_accepted() {
        let fate = |extensions: &[u8]| {
            let offered = connection()
                .client_hello(|hello| hello.early_data = true)
                .server_hello_13(|hello| hello.pre_shared_key = true);
            let opened = offered.opened(SERVER, HandshakeType::EncryptedExtensions, extensions);
            opened.shape().early_data
        };
        let accepted = fate(&[0, 4, 0, 42, 0, 0]); // extension 42, empty
        assert_eq!(accepted, Some(EarlyData::Accepted));
        assert_eq!(fate(&[0, 0]), Some(EarlyData::Rejected));
    }
}
