//! TLS 1.3 with keys: the verdict that rests on opened records.

use crate::event::{ClientCertificate, EarlyData, Evidence, Outcome};
use crate::flow::{PerSide, Side};
use crate::framing::Close;
use crate::handshake::cause;
use crate::handshake::transcript::{AlertSeen, Decrypted, Transcript, is_empty_list};
use crate::tls::AlertDescription;
use crate::transport::tcp::Arrival;

use super::conclusion::Conclusion;
use super::inferred::Shape;

/// The verdict that rests on opened records; `None` if they do not carry one.
pub(super) fn conclude(transcript: &Transcript) -> Option<Conclusion> {
    let decrypted = transcript.decrypted()?;
    if let Some((alert, description)) = first_error(transcript, decrypted) {
        let side = transcript.side(alert.sender);
        let failure = cause::from_alert(transcript, side, description);
        // One in the clear is left to the rules, which know what it answers.
        return alert.is_encrypted().then(|| Conclusion {
            evidence: Evidence::Decrypted,
            ..Conclusion::failed(failure)
        });
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
