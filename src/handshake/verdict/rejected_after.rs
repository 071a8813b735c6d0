//! Whether a side refused its peer once the handshake had completed.
//!
//! Many programs complete the handshake and look at the certificate then. TLS has done its
//! part, so the outcome is a success; the connection is still useless. Only what
//! the records show is reported:
//!
//! | who refuses | what shows it | module |
//! | --- | --- | --- |
//! | any side | an alert about a certificate after both Finished, readable | here |
//! | RADIUS servers | the login over EAP was rejected | here |
//! | Apache per location, TLS 1.3 | the client is asked for a certificate in use, and the answer to it is an alert | here |
//! | nginx, HAProxy | the only answer has exactly the length of their error page | here |
//! | ldapsearch with GnuTLS | no data in TLS, and plain text after the handshake | [`by_plaintext`] |
//! | curl, libpq and others | a certificate for another name, and the client leaves without data | [`by_flaw`] |
//!
//! A client that leaves without data and whose peer's certificate is not visible may as
//! well have been a port scanner, and most servers' error pages (Apache, Go, Java) have the length
//! of any short answer. Nothing is claimed of those.

use crate::error_type::ErrorType;
use crate::event::{
    ClientCertificate, ClosedBy, EapResult, Evidence, Finding, Handshake, Outcome, RejectedAfter,
};
use crate::flow::Side;
use crate::handshake::transcript::Transcript;
use crate::handshake::{cause, explain};
use crate::tls::HandshakeType;

use super::inferred::{self, OnlyAnswer};

/// The refusal of a completed handshake that alerts or records show. `findings` are those on the certificates shown.
pub(in crate::handshake) fn rejected_after(
    transcript: &Transcript,
    outcome: Outcome,
    client_certificate: ClientCertificate,
    findings: &[Finding],
) -> Option<RejectedAfter> {
    if outcome != Outcome::Success {
        return None;
    }
    by_alert(transcript, findings)
        .or_else(|| by_login(transcript))
        .or_else(|| by_later_answer(transcript, findings))
        .or_else(|| by_error_page(transcript, client_certificate, findings))
}

/// The first alert that is about the peer's certificate, of which the findings may say more.
fn by_alert(transcript: &Transcript, findings: &[Finding]) -> Option<RejectedAfter> {
    let mut alerts = transcript.alerts().iter();
    alerts.find_map(|alert| {
        let side = transcript.side(alert.sender);
        let error_type = cause::certificate_refused(alert.description()?)?;
        let flaw = explain::reason(findings, side.peer()).filter(|_| explain::is_vague(error_type));
        Some(refused(
            flaw.map_or(error_type, |flaw| flaw.error_type),
            side,
            if alert.is_encrypted() {
                Evidence::Decrypted
            } else {
                Evidence::Observed
            },
            1.0,
            vec!["an alert about the certificate followed the completed handshake"],
        ))
    })
}

/// A client that completed the handshake and went on in plain text, without a byte of data in TLS: `ldapsearch` with GnuTLS
/// looks at the certificate then, and says goodbye to the server rather than to TLS.
pub(in crate::handshake) fn by_plaintext(
    transcript: &Transcript,
    unused: Option<bool>,
    findings: &[Finding],
) -> Option<RejectedAfter> {
    /// 2 of 2, and no other client in the labelled captures does that.
    const CONFIDENCE: f64 = 0.9;
    let has_returned = transcript.peer(Side::Client).is_not_tls;
    (unused == Some(true) && has_returned).then(|| {
        refused(
            explain::reason(findings, Side::Server)
                .map_or(ErrorType::ClientRejectedServer, |flaw| flaw.error_type),
            Side::Client,
            Evidence::Inferred,
            CONFIDENCE,
            vec![
                "the client sent no data in TLS",
                "the client continued in plaintext and closed",
            ],
        )
    })
}

/// A refusal by `side`. Its hint follows once the chains have been validated.
const fn refused(
    error_type: ErrorType,
    side: Side,
    evidence: Evidence,
    confidence: f64,
    observations: Vec<&'static str>,
) -> RejectedAfter {
    RejectedAfter {
        error_type,
        side,
        evidence,
        confidence,
        observations,
        hint: None,
    }
}

/// The login over EAP that the server rejected although its handshake had completed: mostly for a wrong password.
fn by_login(transcript: &Transcript) -> Option<RejectedAfter> {
    let end = transcript.eap()?.end?;
    (end.result == EapResult::Reject).then(|| {
        refused(
            ErrorType::AccessDenied,
            Side::Server,
            Evidence::Observed,
            1.0,
            vec!["the login over EAP was rejected after the handshake had completed"],
        )
    })
}

/// What the client answered when it was asked for a certificate after the handshake, and the server ended the connection
/// with an alert.
fn by_later_answer(transcript: &Transcript, findings: &[Finding]) -> Option<RejectedAfter> {
    /// 8 of 8, all of Apache, rounded down.
    const CONFIDENCE: f64 = 0.9;
    if !transcript.is_tls13() {
        return None; // a renegotiation that fails is a failure
    }
    let certificate = inferred::refused_later(transcript)?;
    Some(refused(
        refusal_of(certificate, findings)?,
        Side::Server,
        Evidence::Inferred,
        CONFIDENCE,
        vec![
            "the client was asked for a certificate after the handshake",
            "the server closed with an alert-length record",
        ],
    ))
}

/// What a server refuses that got this answer to its request for a certificate.
fn refusal_of(certificate: ClientCertificate, findings: &[Finding]) -> Option<ErrorType> {
    match certificate {
        ClientCertificate::Absent => Some(ErrorType::MissingClientCert),
        ClientCertificate::Presented => Some(
            explain::reason(findings, Side::Client)
                .map_or(ErrorType::ServerRejectedClient, |flaw| flaw.error_type),
        ),
        _ => None,
    }
}

/// A response that a program has in its source, whose length only depends on the name that it gives itself.
struct ErrorPage {
    /// Length without the name.
    fixed: u16,
    /// How often the name occurs in it.
    names: u16,
    /// The client's certificate for which the page is sent; `None` for either.
    certificate: Option<ClientCertificate>,
    observation: &'static str,
}

/// Lengths of the names that nginx gives itself: `nginx`, `nginx/1.9.9`, `nginx/1.22.1`, `nginx/1.18.0 (Ubuntu)`.
const NGINX_NAMES: [u16; 4] = [5, 11, 12, 21];

/// What nginx appends for Chrome, which replaces short error pages.
const NGINX_CHROME: u16 = 402;

/// The pages over HTTP/1, after which nginx says goodbye; clients often do it first. Over HTTP/2, frames share records or do not, and an
/// answer to HEAD has the length of any. In 4,112 labelled connections, nginx: 65 of 65 claims are right, and 5 of 70 refusals are not found, mostly of
/// clients that left before the page came; HAProxy: 9 of 9, and all are found. No other answer has one of these lengths.
const ERROR_PAGES: [ErrorPage; 4] = [
    ErrorPage {
        fixed: 365,
        names: 2,
        certificate: Some(ClientCertificate::Absent),
        observation: "the server's only answer has the length of nginx's page `No required SSL certificate was sent`",
    },
    ErrorPage {
        fixed: 343,
        names: 2,
        certificate: Some(ClientCertificate::Presented),
        observation: "the server's only answer has the length of nginx's page `The SSL certificate error`",
    },
    // With and without `connection: close`.
    ErrorPage {
        fixed: 208,
        names: 0,
        certificate: None,
        observation: HAPROXY,
    },
    ErrorPage {
        fixed: 189,
        names: 0,
        certificate: None,
        observation: HAPROXY,
    },
];

const HAPROXY: &str = "the server's only answer has the length of HAProxy's page `403 Forbidden`";

/// 73 of 73, rounded down: other programs may send an answer of the same length.
const ERROR_PAGE_CONFIDENCE: f64 = 0.97;

impl ErrorPage {
    fn fits(&self, answer: OnlyAnswer, certificate: ClientCertificate) -> bool {
        let is_nginx = self.names > 0;
        let is_length = |name: u16| {
            let length = self.fixed + self.names * name;
            answer.content == length || is_nginx && answer.content == length + NGINX_CHROME
        };
        // nginx closes after such a page. So a ticket of the same length is not taken for it.
        self.certificate.is_none_or(|wanted| wanted == certificate)
            && (answer.has_goodbye || !is_nginx)
            && NGINX_NAMES.into_iter().any(is_length)
    }
}

/// A server that asked for a certificate answers the first request with an error page, and the connection ends.
fn by_error_page(
    transcript: &Transcript,
    certificate: ClientCertificate,
    findings: &[Finding],
) -> Option<RejectedAfter> {
    let error_type = refusal_of(certificate, findings)?;
    let answer = if transcript.is_tls13() {
        inferred::only_answer(transcript)
    } else {
        only_answer_12(transcript)
    }?;
    let page = ERROR_PAGES
        .iter()
        .find(|page| page.fits(answer, certificate))?;
    let asked = match certificate {
        ClientCertificate::Absent => "the client was asked for a certificate and had none",
        _ => "the client showed the certificate that it was asked for",
    };
    Some(refused(
        error_type,
        Side::Server,
        Evidence::Inferred,
        ERROR_PAGE_CONFIDENCE,
        vec![asked, page.observation],
    ))
}

/// Up to TLS 1.2: the server's only record of application data, if the connection ended after it.
fn only_answer_12(transcript: &Transcript) -> Option<OnlyAnswer> {
    let client = transcript.peer(Side::Client);
    let server = transcript.peer(Side::Server);
    let is_asked = transcript.has_message(HandshakeType::CertificateRequest);
    let is_first = client.application_data? <= server.application_data?;
    let mut alerts = transcript.alerts().iter();
    let has_ended = transcript.first_close().is_some() || !transcript.alerts().is_empty();
    let suite = transcript.server_hello()?.cipher_suite?.name()?;
    let overhead = if suite.contains("_GCM_") {
        8 + 16 // explicit nonce and tag (RFC 5288 section 3)
    } else if suite.contains("_CHACHA20_") {
        16 // RFC 7905 section 2
    } else {
        return None; // CBC: the length says too little
    };
    let is_only = is_asked && is_first && has_ended && server.data_records == 1;
    (is_only && !transcript.has_gap()).then_some(OnlyAnswer {
        content: server.data_length.checked_sub(overhead)?,
        has_goodbye: alerts.any(|alert| transcript.side(alert.sender) == Side::Server),
    })
}

/// A client that leaves without data after it has seen a certificate for another name: TLS libraries leave names to the program.
///
/// They judge all else inside the handshake. A client that completed it with an expired or unknown certificate and leaves was to ignore
/// that: `gnutls-cli --insecure`, `openssl s_client`, monitors. Some of these say goodbye and wait until the server has closed, which
/// looks like the alert of an NSS client, so nothing is claimed of flaws other than the name. Nor of a client that resets the connection
/// without a word: health checks do (HAProxy with `verify none`).
pub(in crate::handshake) fn by_flaw(
    event: &Handshake,
    flaw: Option<&Finding>,
) -> Option<RejectedAfter> {
    /// 13 of 13 in the labs, of curl and psql with keys. But clients that compare no names leave in the same way: s_client, and programs in
    /// Perl and Ruby that verify nothing, in a blind test.
    const CONFIDENCE: f64 = 0.75;
    let is_first = match event.alerts.first() {
        Some(alert) => alert.sender == Side::Client,
        None => event.closed_by == Some(ClosedBy::ClientFin),
    };
    let has_left = event.outcome == Outcome::Success && event.tls.unused == Some(true) && is_first;
    let flaw = flaw.filter(|flaw| has_left && flaw.error_type == ErrorType::HostnameMismatch)?;
    Some(refused(
        flaw.error_type,
        Side::Client,
        Evidence::Inferred,
        CONFIDENCE,
        vec![
            "the server's certificate is for another name",
            "the client left first and sent no data",
        ],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Alert;
    use crate::flow::Endpoint;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, finding, full, tls12};
    use crate::time::Timestamp;
    use crate::tls::AlertDescription;

    /// Type, side and evidence of what is found.
    fn claim(script: &Script) -> Option<(ErrorType, Side, Evidence)> {
        let certificate = script.client_certificate();
        let rejected = rejected_after(&script.transcript, Outcome::Success, certificate, &[])?;
        Some((rejected.error_type, rejected.side, rejected.evidence))
    }

    /// A server that asked for a certificate, and got an empty message or a certificate; then its two tickets and the request.
    fn request(client_flight: &[u16]) -> Script {
        full()
            .server_flight_with_request()
            .client_records(client_flight)
            .server_records(&[266, 266])
            .client_records(&[91])
    }

    const EMPTY: &[u16] = &[25, 53];
    const CHAIN: &[u16] = &[900, 281, 53];

    const MISSING: Option<(ErrorType, Side, Evidence)> =
        Some((ErrorType::MissingClientCert, SERVER, Evidence::Inferred));
    const REJECTED: Option<(ErrorType, Side, Evidence)> =
        Some((ErrorType::ServerRejectedClient, SERVER, Evidence::Inferred));

    fn answered(client_flight: &[u16], answer: u16) -> Option<(ErrorType, Side, Evidence)> {
        claim(
            &request(client_flight)
                .server_records(&[answer, 19])
                .fin(SERVER),
        )
    }

    #[test]
    fn nginx_is_known_by_the_length_of_its_page_for_this_certificate() {
        assert_eq!(answered(EMPTY, 389 + 17), MISSING);
        assert_eq!(answered(EMPTY, 375 + 17), MISSING, "without its version");
        assert_eq!(answered(EMPTY, 389 + 402 + 17), MISSING, "for Chrome");
        assert_eq!(answered(EMPTY, 390 + 17), None);
        assert_eq!(answered(CHAIN, 367 + 17), REJECTED);
        assert_eq!(
            answered(CHAIN, 389 + 17),
            None,
            "the page for no certificate"
        );
        assert_eq!(answered(EMPTY, 367 + 17), None);
    }

    #[test]
    fn haproxy_is_known_by_its_page_with_any_certificate() {
        assert_eq!(answered(EMPTY, 208 + 17), MISSING);
        assert_eq!(answered(CHAIN, 189 + 17), REJECTED);
        assert_eq!(answered(CHAIN, 207 + 17), None);
    }

    #[test]
    fn a_page_is_the_only_answer_and_the_last() {
        let page = 389 + 17;
        let goes_on = request(EMPTY).server_records(&[page]).client_records(&[91]);
        assert_eq!(claim(&goes_on.server_records(&[page, 19])), None);
        let larger = request(EMPTY).server_records(&[300, page, 19]);
        assert_eq!(claim(&larger.fin(SERVER)), None, "three records before it");
        let ticket = full()
            .server_flight_with_request()
            .client_records(&[25, 53, 91])
            .server_records(&[page]);
        assert_eq!(claim(&ticket.rst(SERVER)), None, "nginx says goodbye");
        let unasked = full().server_flight().client_records(&[53, 91]);
        assert_eq!(claim(&unasked.server_records(&[page, 19])), None);
        let gap = request(EMPTY).server_records(&[page, 19]).gap(SERVER);
        assert_eq!(claim(&gap), None);
    }

    /// curl closes as soon as it has the whole page, often before nginx does.
    #[test]
    fn a_page_counts_if_the_client_says_goodbye_first_and_it_can_be_no_ticket() {
        let page = 389 + 17;
        let leaves = |script: Script| script.client_records(&[19]).fin(CLIENT);
        let answered = leaves(request(EMPTY).server_records(&[page]));
        assert_eq!(claim(&answered.server_records(&[19])), MISSING);
        let silent = leaves(request(EMPTY).server_records(&[page]));
        assert_eq!(claim(&silent), None, "nginx says goodbye");
        let no_ticket_before = full()
            .server_flight_with_request()
            .client_records(&[25, 53, 91])
            .server_records(&[page]);
        let left = leaves(no_ticket_before).server_records(&[19]);
        assert_eq!(claim(&left), None, "it may be the first ticket");
        let left = request_12(&[0, 0, 0]).data_12(SERVER, 389 + 24);
        let left = left.sealed_alert(CLIENT).fin(CLIENT);
        assert_eq!(claim(&left.sealed_alert(SERVER)), MISSING);
    }

    #[test]
    fn a_certificate_asked_for_in_use_is_refused_by_an_alert_after_it() {
        let asked = || {
            let offered = connection().client_hello(|hello| hello.post_handshake_auth = true);
            let accepted = offered.server_hello_13(|_| {}).server_flight();
            let in_use = accepted.client_records(&[53]).server_records(&[250]);
            in_use.client_records(&[91]).server_records(&[148])
        };
        let empty = || asked().client_records(&[57, 53]);
        let refused = empty().server_records(&[19]).fin(SERVER);
        assert_eq!(refused.verdict(), "success P5");
        assert_eq!(claim(&refused), MISSING);
        let refused = asked().client_records(&[900, 281, 53]);
        assert_eq!(claim(&refused.server_records(&[19]).fin(SERVER)), REJECTED);
        let answered = empty().server_records(&[794, 19]).fin(SERVER);
        assert_eq!(claim(&answered), None);
        assert_eq!(claim(&empty().fin(SERVER)), None, "without a word");
    }

    /// TLS 1.2 up to the request.
    fn request_12(certificate: &[u8]) -> Script {
        tls12()
            .message(SERVER, HandshakeType::CertificateRequest, &[0])
            .message(CLIENT, HandshakeType::Certificate, certificate)
            .finished_12(CLIENT)
            .finished_12(SERVER)
            .data_12(CLIENT, 98)
    }

    #[test]
    fn up_to_tls12_the_page_is_the_only_record_of_data() {
        let page = 389 + 24;
        let closes = |script: Script| script.sealed_alert(SERVER).fin(SERVER);
        let refused = closes(request_12(&[0, 0, 0]).data_12(SERVER, page));
        assert_eq!(claim(&refused), MISSING);
        let longer = closes(request_12(&[0, 0, 0]).data_12(SERVER, page + 1));
        assert_eq!(claim(&longer), None);
        let two = request_12(&[0, 0, 0]).data_12(SERVER, page);
        assert_eq!(claim(&closes(two.data_12(SERVER, page))), None);
        let open = request_12(&[0, 0, 0]).data_12(SERVER, page);
        assert_eq!(claim(&open), None);
    }

    #[test]
    fn a_readable_alert_about_the_certificate_is_certain() {
        let complete = || tls12().finished_12(CLIENT).finished_12(SERVER);
        let refused = complete().opened_alert(CLIENT, AlertDescription::UnknownCa);
        let certain = Some((ErrorType::UnknownCa, CLIENT, Evidence::Decrypted));
        assert_eq!(claim(&refused), certain);
        let goodbye = complete().opened_alert(CLIENT, AlertDescription::CloseNotify);
        assert_eq!(claim(&goodbye), None);
        let failed = rejected_after(
            &refused.transcript,
            Outcome::Failure,
            ClientCertificate::Unknown,
            &[],
        );
        assert_eq!(failed, None, "then it is the error");
    }

    #[test]
    fn a_client_that_returns_to_plain_text_without_data_refused_the_server() {
        let complete = || tls12().finished_12(CLIENT).finished_12(SERVER);
        let returned = complete().not_tls(CLIENT).fin(CLIENT);
        let claim = by_plaintext(&returned.transcript, Some(true), &[]);
        let claim = claim.map(|claim| (claim.error_type, claim.side));
        assert_eq!(claim, Some((ErrorType::ClientRejectedServer, CLIENT)));
        let used = by_plaintext(&returned.transcript, Some(false), &[]);
        let left = by_plaintext(&complete().fin(CLIENT).transcript, Some(true), &[]);
        assert_eq!((used, left), (None, None));
    }

    #[test]
    fn the_findings_make_a_vague_alert_after_the_handshake_precise() {
        let refused = |description| {
            let complete = tls12().finished_12(CLIENT).finished_12(SERVER);
            let script = complete.alert(SERVER, description);
            let findings = [finding(CLIENT, ErrorType::CertExpired)];
            by_alert(&script.transcript, &findings).map(|refused| refused.error_type)
        };
        let vague = refused(AlertDescription::BadCertificate);
        assert_eq!(vague, Some(ErrorType::CertExpired));
        let precise = refused(AlertDescription::UnknownCa);
        assert_eq!(precise, Some(ErrorType::UnknownCa));
        assert_eq!(refused(AlertDescription::CloseNotify), None);
    }

    #[test]
    fn a_client_that_leaves_unused_refused_the_name_in_view() {
        let endpoint = Endpoint::new([192, 0, 2, 1].into(), 443);
        let mut event = Handshake::new(Timestamp::from_seconds(0), endpoint, endpoint);
        event.outcome = Outcome::Success;
        event.tls.unused = Some(true);
        event.closed_by = Some(ClosedBy::ClientFin);
        let flaw = finding(SERVER, ErrorType::HostnameMismatch);
        let found = |event: &Handshake| by_flaw(event, Some(&flaw)).map(|found| found.error_type);
        assert_eq!(found(&event), Some(ErrorType::HostnameMismatch));
        assert_eq!(by_flaw(&event, None), None);
        // What libraries judge inside the handshake, this client did not mind.
        let expired = finding(SERVER, ErrorType::CertExpired);
        assert!(by_flaw(&event, Some(&expired)).is_none());
        for other in [ClosedBy::ServerFin, ClosedBy::ClientRst] {
            event.closed_by = Some(other);
            assert_eq!(found(&event), None, "{other:?}");
        }
        let alert = |sender| Alert {
            time: event.time,
            sender,
            level: None,
            description: None,
            encrypted: true,
        };
        // Its goodbye, after which it waits until the server has closed, looks like a fatal alert.
        let mut leaving = event.clone();
        leaving.closed_by = Some(ClosedBy::ServerFin);
        leaving.alerts = vec![alert(CLIENT)];
        assert!(by_flaw(&leaving, Some(&expired)).is_none());
        assert_eq!(found(&leaving), Some(ErrorType::HostnameMismatch));
        event.closed_by = Some(ClosedBy::ClientFin);
        event.tls.unused = Some(false);
        assert_eq!(found(&event), None);
    }
}
