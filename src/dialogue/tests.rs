//! Dialogues of every protocol, as their specifications and programs have them, cut at every byte.

use proptest::prelude::*;

use super::*;
use StartTls::{Amqp, Ftp, Imap, Irc, Ldap, Lmtp, ManageSieve, Mysql, Nntp, Pop3, Postgresql};
use StartTls::{Rdp, Smtp, Tds, Xmpp};

const UP: Direction = Direction::Forward;
const DOWN: Direction = Direction::Reverse;
const HELLO: &[u8] = &[22, 3, 1, 0, 100, 1, 0, 0, 96, 3, 3, 0xaa, 0xbb];

/// A run of bytes, of the client if it begins with `>`, and of the server if it begins with `<`.
type Run<'a> = &'a [u8];

/// What came of a dialogue.
#[derive(Debug, PartialEq)]
struct Found {
    /// How many bytes of the client TLS began after.
    begins_after: Option<usize>,
    starttls: Option<StartTls>,
    proxy: Option<String>,
    refusal: Option<String>,
    offered: Option<bool>,
}

/// Plays runs, the `cut`th byte of which is the first of a run of its own.
fn play(runs: &[Run<'_>], cut: Option<usize>) -> Found {
    let mut dialogue = Dialogue::default();
    let (mut at, mut sent) = (0, 0);
    let mut begins_after = None;
    'runs: for run in runs {
        let (who, run) = run.split_first().unwrap();
        let sender = if *who == b'>' { UP } else { DOWN };
        let middle = cut.map_or(0, |cut| cut.saturating_sub(at).min(run.len()));
        at += run.len();
        for part in [&run[..middle], &run[middle..]] {
            let held = dialogue.held(sender).len();
            match dialogue.take(sender, part, Timestamp::default()) {
                DialogueStep::More => {}
                DialogueStep::TlsBegins(skipped) => {
                    let again = dialogue.take(sender, part, Timestamp::default());
                    assert_eq!(again, DialogueStep::TlsBegins(skipped));
                    begins_after = Some(sent + skipped);
                    break 'runs;
                }
                DialogueStep::TlsBegan => {
                    begins_after = Some(sent - held);
                    break 'runs;
                }
            }
            sent += if sender == UP { part.len() } else { 0 };
        }
    }
    Found {
        begins_after,
        starttls: dialogue.starttls(),
        proxy: dialogue.proxy().map(ToString::to_string),
        offered: dialogue.untaken().and_then(|untaken| untaken.is_offered),
        refusal: dialogue.refusal().map(|refusal| refusal.to_string()),
    }
}

/// Plays runs as they are, and cut at each byte: it makes no difference.
fn found(runs: &[Run<'_>]) -> Found {
    let whole = play(runs, None);
    let bytes: usize = runs.iter().map(|run| run.len() - 1).sum();
    for cut in 1..bytes {
        assert_eq!(play(runs, Some(cut)), whole, "cut at {cut}");
    }
    let single: Vec<Vec<u8>> = runs
        .iter()
        .flat_map(|run| run[1..].iter().map(|byte| vec![run[0], *byte]))
        .collect();
    let single: Vec<&[u8]> = single.iter().map(Vec::as_slice).collect();
    assert_eq!(play(&single, None), whole, "byte by byte");
    whole
}

/// The protocol of a dialogue at whose end the client begins TLS, in a run of its own and in the client's last one.
fn protocol_of(runs: &[Run<'_>]) -> Option<StartTls> {
    let hello = [b">", HELLO].concat();
    let found = found(&[runs, &[&hello]].concat());
    let client = runs.iter().filter(|run| run[0] == b'>');
    let sent: usize = client.map(|run| run.len() - 1).sum();
    assert_eq!(found.begins_after, Some(sent));
    assert_eq!(found.refusal, None);
    found.starttls
}

/// A message of TDS.
fn tds(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() + 8) as u16;
    let [high, low] = length.to_be_bytes();
    [&[kind, 1, high, low, 0, 0, 1, 0], payload].concat()
}

/// A PRELOGIN message with a version and an encryption option.
fn prelogin(kind: u8, encryption: u8) -> Vec<u8> {
    let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff];
    tds(
        kind,
        &[&options[..], &[15, 0, 7, 208, 0, 0], &[encryption]].concat(),
    )
}

fn up(bytes: &[u8]) -> Vec<u8> {
    [b">", bytes].concat()
}

fn down(bytes: &[u8]) -> Vec<u8> {
    [b"<", bytes].concat()
}

/// A greeting of MariaDB, with the lower half of its capabilities.
fn mysql_greeting(capabilities: u16) -> Vec<u8> {
    let [low, high] = capabilities.to_le_bytes();
    let payload = [
        b"\x0a11.4.2-MariaDB\0\x07\0\0\0abcdefgh\0".as_slice(),
        &[low, high],
        b"\x21\x02\0\xff\x81\x15\0\0\0\0\0\0\x0f\0\0\0ijklmnopqrst\0mysql_native_password\0",
    ]
    .concat();
    [&[payload.len() as u8, 0, 0, 0], &payload[..]].concat()
}

const LDAP_REQUEST: &[u8] = b">\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
const SSL_REQUEST: &[u8] = b">\0\0\0\x08\x04\xd2\x16\x2f";
const GSS_REQUEST: &[u8] = b">\0\0\0\x08\x04\xd2\x16\x30";
const STARTUP: &[u8] = b">\0\0\0\x13\0\x03\0\0user\0postgres\0\0";
const RDP_REQUEST: &[u8] =
    b">\x03\0\0\x28\x23\xe0\0\0\0\0\0Cookie: mstshash=me\r\n\x01\0\x08\0\x0b\0\0\0";
const MYSQL_REQUEST: &[u8] =
    b">\x20\0\0\x01\x85\xae\xff\x19\0\0\0\x01\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[test]
fn every_protocol_is_named() {
    let greeting = down(&mysql_greeting(0xfffe));
    let cases: [(StartTls, &[Run<'_>]); 21] = [
        (
            Smtp,
            &[
                b"<220 mx ESMTP\r\n",
                b">EHLO me\r\n",
                b"<250-mx\r\n250 STARTTLS\r\n",
                b">STARTTLS\r\n",
                b"<220 go\r\n",
            ],
        ),
        (
            Lmtp,
            &[
                b"<220 mx LMTP\r\n",
                b">LHLO me\r\n",
                b"<250 STARTTLS\r\n",
                b">STARTTLS\r\n",
                b"<220 2.0.0 go\r\n",
            ],
        ),
        (
            Imap,
            &[
                b"<* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n",
                b">a1 starttls\r\n",
                b"<a1 OK go\r\n",
            ],
        ),
        (Pop3, &[b"<+OK hi\r\n", b">STLS\r\n", b"<+OK go\r\n"]),
        (
            Ftp,
            &[
                b"<220-hello\r\n220 vsFTPd\r\n",
                b">AUTH TLS\r\n",
                b"<234 go\r\n",
            ],
        ),
        (
            Nntp,
            &[b"<200 news\r\n", b">STARTTLS\r\n", b"<382 go\r\n"],
        ),
        (
            ManageSieve,
            &[
                b"<\"IMPLEMENTATION\" \"x\"\r\n\"STARTTLS\"\r\nOK \"ready\"\r\n",
                b">STARTTLS\r\n",
                b"<OK \"go\"\r\n",
            ],
        ),
        (
            Irc,
            &[
                b">CAP LS 302\r\n",
                b"<:irc.example CAP * LS :tls sasl\r\n",
                b">STARTTLS\r\n",
                b"<:irc.example 670 * :go\r\n",
            ],
        ),
        (Irc, &[b">STARTTLS\r\n", b"<:irc.example 670 * :go\r\n"]),
        (
            Irc,
            &[
                b"<:irc.example NOTICE * :*** Looking up your hostname...\r\n",
                b">CAP LS 302\r\n",
                b"<:irc.example CAP * LS :tls sasl\r\n",
                b">STARTTLS\r\n",
                b"<:irc.example 670 * :go\r\n",
            ],
        ),
        (
            Irc,
            &[
                b"<NOTICE AUTH :*** Looking up your hostname\r\n",
                b">STARTTLS\r\n",
                b"<:irc.example 670 * :go\r\n",
            ],
        ),
        (
            Irc,
            &[
                b">STARTTLS\r\n",
                b"<:irc.example NOTICE * :*** Looking up your hostname...\r\n",
                b"<:irc.example 670 * :go\r\n",
            ],
        ),
        (
            Xmpp,
            &[
                b"><?xml version='1.0'?><stream:stream to='a' xmlns='jabber:client'>",
                b"<<?xml version='1.0'?><stream:stream><stream:features><starttls/></stream:features>",
                b"><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
                b"<<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            ],
        ),
        (
            Ldap,
            &[LDAP_REQUEST, b"<\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0"],
        ),
        (Postgresql, &[SSL_REQUEST, b"<S"]),
        (Postgresql, &[GSS_REQUEST, b"<N", SSL_REQUEST, b"<S"]),
        (Mysql, &[&greeting, MYSQL_REQUEST]),
        (
            Rdp,
            &[
                RDP_REQUEST,
                b"<\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0",
            ],
        ),
        (
            Amqp,
            &[b">AMQP\x02\x01\0\0", b"<AMQP\x02\x01\0\0"],
        ),
        // Servers of Qpid Proton have no header of their own.
        (Amqp, &[b">AMQP\x02\x01\0\0"]),
        (Smtp, &[b">STARTTLS\r\n", b"<220 go\r\n"]),
    ];
    for (starttls, runs) in cases {
        assert_eq!(protocol_of(runs), Some(starttls), "{starttls}");
    }
}

#[test]
fn tls_begins_inside_a_packet_of_tds() {
    let request = up(&prelogin(0x12, 0));
    let answer = down(&prelogin(0x04, 1));
    let hello = up(&tds(0x12, HELLO));
    let found = found(&[&request, &answer, &hello]);
    assert_eq!(found.starttls, Some(Tds));
    assert_eq!(found.begins_after, Some(request.len() - 1 + 8));
    let mut dialogue = Dialogue::default();
    for (sender, run) in [(UP, &request), (DOWN, &answer), (UP, &hello)] {
        dialogue.take(sender, &run[1..], Timestamp::default());
    }
    let mut packets = dialogue.tds().unwrap();
    assert!(packets[DOWN].is_between() && !packets[UP].is_between());
    let mut bytes = HELLO;
    assert_eq!(packets[UP].payload(&mut bytes), Ok(Some(HELLO)));
    assert!(packets[UP].is_between());
}

#[test]
fn proxies_are_named_with_where_they_lead() {
    let v2 = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f".as_slice(),
        &[192, 0, 2, 1, 198, 51, 100, 1, 0xc3, 0x50, 1, 0xbb],
        b"\x04\0\0", // a TLV
    ]
    .concat();
    let ticket = [b">\x01\x01\x01\x40".as_slice(), &[0x60; 0x140]].concat();
    let cases: [(&str, &[Run<'_>]); 11] = [
        (
            "http_connect to example.org:443",
            &[
                b">CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
                b"<HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n",
            ],
        ),
        (
            "http_connect to [2001:db8::1]:443",
            &[
                b">CONNECT [2001:db8::1]:443 HTTP/1.1\r\n\r\n",
                b"<HTTP/1.1 407 no\r\nContent-Length: 2\r\n\r\nno",
                b">CONNECT [2001:db8::1]:443 HTTP/1.1\r\nProxy-Authorization: x\r\n\r\n",
                b"<HTTP/1.1 200 OK\r\n\r\n",
            ],
        ),
        (
            "socks4 to 192.0.2.7:443",
            &[
                b">\x04\x01\x01\xbb\xc0\0\x02\x07me\0",
                b"<\0\x5a\0\0\0\0\0\0",
            ],
        ),
        (
            "socks4 to example.org:443",
            &[
                b">\x04\x01\x01\xbb\0\0\0\x01\0example.org\0",
                b"<\0\x5a\x01\xbb\0\0\0\0",
            ],
        ),
        (
            "socks5 to example.org:443",
            &[
                b">\x05\x02\0\x01",
                b"<\x05\0",
                b">\x05\x01\0\x03\x0bexample.org\x01\xbb",
                b"<\x05\0\0\x01\x7f\0\0\x01\x04\x38",
            ],
        ),
        (
            "socks5 to [2001:db8::9]:443",
            &[
                b">\x05\x02\0\x02",
                b"<\x05\x02",
                b">\x01\x02me\x06secret",
                b"<\x01\0",
                b">\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\x01\xbb",
                b"<\x05\0\0\x03\x03abc\x04\x38",
            ],
        ),
        (
            "socks5 to 192.0.2.7:443",
            &[
                b">\x05\x02\0\x01",
                b"<\x05\x01",
                &ticket,
                b"<\x01\x01\0\x02\x05\x05",
                b">\x01\x02\0\x01\0", // the level of protection: none
                b"<\x01\x02\0\x01\0",
                b">\x05\x01\0\x01\xc0\0\x02\x07\x01\xbb",
                b"<\x05\0\0\x01\0\0\0\0\0\0",
            ],
        ),
        (
            "socks5 to 192.0.2.7:443",
            &[
                b">\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x07\x01\xbb", // does not wait
                b"<\x05\0\x05\0\0\x01\0\0\0\0\0\0",
            ],
        ),
        (
            "proxy_v1 for 203.0.113.9:50123 to 198.51.100.10:443",
            &[b">PROXY TCP4 203.0.113.9 198.51.100.10 50123 443\r\n"],
        ),
        ("proxy_v1", &[b">PROXY UNKNOWN\r\n"]),
        (
            "proxy_v2 for 192.0.2.1:50000 to 198.51.100.1:443",
            &[&up(&v2)],
        ),
    ];
    for (proxy, runs) in cases {
        let hello = up(HELLO);
        let in_own_run = found(&[runs, &[&hello]].concat());
        let client = runs.iter().filter(|run| run[0] == b'>');
        let sent: usize = client.map(|run| run.len() - 1).sum();
        assert_eq!(in_own_run.proxy.as_deref(), Some(proxy));
        assert_eq!(in_own_run.begins_after, Some(sent), "{proxy}");
        assert_eq!((in_own_run.starttls, in_own_run.refusal), (None, None));
        if let [header] = runs {
            let glued = [header, HELLO].concat();
            assert_eq!(found(&[&glued]).begins_after, Some(sent), "{proxy}");
        }
    }
}

#[test]
fn a_protocol_behind_a_proxy_is_named_too() {
    let found = found(&[
        b">CONNECT mx.example.org:25 HTTP/1.1\r\n\r\n",
        b"<HTTP/1.1 200 OK\r\n\r\n220 mx\r\n",
        b">EHLO me\r\n",
        b"<250 STARTTLS\r\n",
        b">STARTTLS\r\n",
        b"<220 go\r\n",
        &up(HELLO),
    ]);
    assert_eq!(found.starttls, Some(Smtp));
    assert_eq!(
        found.proxy.as_deref(),
        Some("http_connect to mx.example.org:25")
    );
}

#[test]
fn refusals_are_recognised_in_every_protocol_with_the_answer() {
    let able = up(&prelogin(0x12, 1));
    let unable = down(&prelogin(0x04, 2));
    let cases: [(Option<StartTls>, &str, &[Run<'_>]); 24] = [
        (
            Some(Smtp),
            "server refused STARTTLS: \"454 TLS not available\"",
            &[
                b"<220 mx ESMTP\r\n",
                b">EHLO me\r\n",
                b"<250-mx\r\n250 STARTTLS\r\n",
                b">STARTTLS\r\n",
                b"<454 TLS not available\r\n",
            ],
        ),
        (
            Some(Imap),
            "server refused starttls: \"a1 NO later\"",
            &[
                b"<* OK hi\r\n",
                b">a1 starttls\r\n",
                b"<* NOTE\r\na1 NO later\r\n",
            ],
        ),
        (
            Some(Lmtp),
            "server refused STARTTLS: \"454 no\"",
            &[
                b"<220 mx\r\n",
                b">LHLO me\r\n",
                b"<250 mx\r\n",
                b">STARTTLS\r\n",
                b"<454 no\r\n",
            ],
        ),
        (
            Some(Nntp),
            "server refused STARTTLS: \"580 no\"",
            &[b"<200 news\r\n", b">STARTTLS\r\n", b"<580 no\r\n"],
        ),
        (
            Some(ManageSieve),
            "server refused STARTTLS: \"NO \\\"busy\\\"\"",
            &[
                b"<\"IMPLEMENTATION\" \"x\"\r\nOK\r\n",
                b">STARTTLS\r\n",
                b"<NO \"busy\"\r\n",
            ],
        ),
        (
            Some(Irc),
            "server refused STARTTLS: \":irc.example 691 * :no\"",
            &[b">NICK me\r\nSTARTTLS\r\n", b"<:irc.example 691 * :no\r\n"],
        ),
        (
            Some(Irc),
            "server refused STARTTLS: \":irc.example 421 * STARTTLS :Unknown command\"",
            &[
                b"<:irc.example NOTICE * :*** Looking up your hostname...\r\n",
                b">STARTTLS\r\n",
                b"<:irc.example 421 * STARTTLS :Unknown command\r\n",
            ],
        ),
        (
            Some(Pop3),
            "server refused STLS: \"-ERR no\"",
            &[b"<+OK hi\r\n", b">STLS\r\n", b"<-ERR no\r\n"],
        ),
        (
            Some(Ftp),
            "server refused AUTH TLS: \"534 policy\"",
            &[b"<220 ftp\r\n", b">AUTH TLS\r\n", b"<534 policy\r\n"],
        ),
        (
            Some(Postgresql),
            "server refused SSLRequest: \"N\"",
            &[SSL_REQUEST, b"<N"],
        ),
        (
            Some(Postgresql),
            "server refused SSLRequest: \"N\"; the client continued in plaintext",
            &[GSS_REQUEST, b"<N", SSL_REQUEST, b"<N", STARTUP],
        ),
        (
            Some(Postgresql),
            "server refused SSLRequest: \"too many clients\"",
            &[
                SSL_REQUEST,
                b"<E\0\0\0\x25SFATAL\0C53300\0Mtoo many clients\0\0",
            ],
        ),
        (
            Some(Xmpp),
            "server refused STARTTLS: \"<failure/>\"",
            &[
                b"><stream:stream to='a'>",
                b"<<stream:features><starttls/></stream:features>",
                b"><starttls/>",
                b"<<failure/></stream>",
            ],
        ),
        (
            Some(Ldap),
            "server refused StartTLS: \"protocolError (2): no TLS\"",
            &[
                LDAP_REQUEST,
                b"<\x30\x12\x02\x01\x01\x78\x0d\x0a\x01\x02\x04\0\x04\x06no TLS",
            ],
        ),
        (
            Some(Tds),
            "server refused encryption in PRELOGIN: \"ENCRYPT_NOT_SUP (2)\"",
            &[&able, &unable],
        ),
        (
            Some(Rdp),
            "server refused TLS with CredSSP in RDP: \"SSL_NOT_ALLOWED_BY_SERVER (2)\"",
            &[
                RDP_REQUEST,
                b"<\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x03\0\x08\0\x02\0\0\0",
            ],
        ),
        (
            Some(Amqp),
            "server refused TLS in AMQP: \"AMQP\\x03\\x01\\x00\\x00\"",
            &[b">AMQP\x02\x01\0\0", b"<AMQP\x03\x01\0\0"],
        ),
        (
            None,
            "proxy refused CONNECT example.org:443: \"HTTP/1.1 407 Proxy Authentication Required\"",
            &[
                b">CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
                b"<HTTP/1.1 407 Proxy Authentication Required\r\nVia: x\r\n\r\n",
            ],
        ),
        (
            None,
            "proxy refused SOCKS5 CONNECT 192.0.2.7:443: \"connection not allowed by the rules (2)\"",
            &[
                b">\x05\x01\0",
                b"<\x05\0",
                b">\x05\x01\0\x01\xc0\0\x02\x07\x01\xbb",
                b"<\x05\x02\0\x01\0\0\0\0\0\0",
            ],
        ),
        (
            None,
            "proxy refused SOCKS5 login: \"authentication failed (GSSAPI)\"",
            &[
                b">\x05\x01\x01",
                b"<\x05\x01",
                b">\x01\x01\0\x01\x60",
                b"<\x01\xff",
            ],
        ),
        (
            None,
            "proxy refused SOCKS5 login: \"no acceptable authentication method (255)\"",
            &[b">\x05\x01\0", b"<\x05\xff"],
        ),
        (
            None,
            "proxy refused SOCKS5 login: \"authentication failed (1)\"",
            &[
                b">\x05\x01\x02",
                b"<\x05\x02",
                b">\x01\x02me\x06secret",
                b"<\x01\x01",
            ],
        ),
        (
            None,
            "proxy refused SOCKS4 CONNECT 192.0.2.7:443: \"request rejected or failed (91)\"",
            &[
                b">\x04\x01\x01\xbb\xc0\0\x02\x07me\0",
                b"<\0\x5b\0\0\0\0\0\0",
            ],
        ),
        (
            Some(Smtp),
            "server refused STARTTLS: \"454 no\"; the client continued in plaintext",
            &[
                b"<220 mx\r\n",
                b">STARTTLS\r\n",
                b"<454 no\r\n",
                b">MAIL FROM:<a@example>\r\n",
            ],
        ),
    ];
    for (starttls, text, runs) in cases {
        let found = found(runs);
        assert_eq!(found.refusal.as_deref(), Some(text));
        assert_eq!(found.starttls, starttls, "{text}");
    }
}

#[test]
fn a_hello_after_a_refusal_does_not_hide_it() {
    let found = found(&[b"<220 mx\r\n", b">STARTTLS\r\n", b"<502 no\r\n", &up(HELLO)]);
    assert_eq!(found.begins_after, Some(10));
    assert_eq!(
        found.refusal.as_deref(),
        Some("server refused STARTTLS: \"502 no\"")
    );
}

#[test]
fn what_is_offered_and_not_taken_is_known() {
    let offers = down(&mysql_greeting(0xfffe));
    let none = down(&mysql_greeting(0xf7fe));
    let login = b">\x30\0\0\x01\x85\xa6\xff\x19 login";
    let cases: [(StartTls, Option<bool>, &[Run<'_>]); 10] = [
        (
            Smtp,
            Some(true),
            &[
                b"<220 mx\r\n",
                b">EHLO me\r\n",
                b"<250-mx\r\n250-STARTTLS\r\n250 HELP\r\n",
                b">MAIL FROM:<a>\r\n",
            ],
        ),
        (
            Smtp,
            Some(false),
            &[
                b"<220 mx\r\n",
                b">EHLO me\r\n",
                b"<250 mx\r\n",
                b">QUIT\r\n",
            ],
        ),
        (
            Imap,
            Some(true),
            &[
                b"<* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n",
                b">a LOGIN b c\r\n",
            ],
        ),
        (
            Imap,
            Some(false),
            &[
                b"<* OK hi\r\n",
                b">a CAPABILITY\r\n",
                b"<* CAPABILITY IMAP4rev1\r\na OK\r\n",
            ],
        ),
        (
            Pop3,
            Some(true),
            &[b"<+OK hi\r\n", b">CAPA\r\n", b"<+OK\r\nSTLS\r\n.\r\n"],
        ),
        (
            Ftp,
            Some(true),
            &[
                b"<220 ftp\r\n",
                b">FEAT\r\n",
                b"<211-Features:\r\n AUTH TLS\r\n211 End\r\n",
            ],
        ),
        (Postgresql, None, &[STARTUP, b"<R\0\0\0\x08\0\0\0\0"]),
        (Mysql, Some(true), &[&offers, login]),
        (Mysql, Some(false), &[&none]),
        (
            Xmpp,
            Some(true),
            &[
                b"><stream:stream to='a'>",
                b"<<stream:features><starttls/></stream:features>",
                b"><auth>",
            ],
        ),
    ];
    for (starttls, offered, runs) in cases {
        let found = found(runs);
        assert_eq!((found.starttls, found.offered), (Some(starttls), offered));
        assert_eq!((found.begins_after, found.refusal), (None, None));
    }
}

#[test]
fn what_only_resembles_a_dialogue_is_none() {
    let cases: [&[Run<'_>]; 9] = [
        &[b"<:04010000FB\r\n", b">:0403\r\n"],
        &[
            b">\x05\x01\x01",
            b"<\x05\x01",
            b">\x01\x03\0\x08\x05\x01\0\x01\xc0\0\x02\x07", // protected by GSSAPI
            b"<\x01\x03\0\x01x",
        ],
        &[b">GET / HTTP/1.1\r\n\r\n", b"<HTTP/1.1 407 no\r\n\r\n"],
        &[b">\0\0\0\x1b\0\x03\0\0\0\0\0\x01\0\x05kafka"],
        &[b">\x05\x01\x02\x03\x04\x05 not socks"],
        &[b"<SSH-2.0-OpenSSH_9.2\r\n", b">SSH-2.0-x\r\n"],
        &[b">AMQP\0\0\x09\x01", b"<\x01\0\0"],
        &[b"><html><starttls/></html>", b"<<failure/>"],
        &[b"<220 mx\r\n", b">QUIT\r\n"],
    ];
    for runs in cases {
        let found = found(runs);
        let text = runs[0].escape_ascii();
        assert_eq!(
            (found.starttls, found.proxy, found.refusal),
            (None, None, None),
            "{text}"
        );
    }
}

fn after(first: &[u8]) -> Dialogue {
    let mut dialogue = Dialogue::default();
    assert_eq!(take(&mut dialogue, UP, first), DialogueStep::More);
    dialogue
}

fn take(dialogue: &mut Dialogue, sender: Direction, bytes: &[u8]) -> DialogueStep {
    dialogue.take(sender, bytes, Timestamp::default())
}

fn refusal_after(runs: &[Run<'_>]) -> Option<Refusal> {
    let mut dialogue = Dialogue::default();
    for run in runs {
        let sender = if run[0] == b'>' { UP } else { DOWN };
        take(&mut dialogue, sender, &run[1..]);
    }
    dialogue.refusal()
}

#[test]
fn a_client_that_prepares_to_ask_again_does_not_continue_in_plain_text() {
    let refused = [
        &b"<220 mx\r\n"[..],
        b">STARTTLS\r\n",
        b"<503 EHLO first\r\n",
    ];
    let then = |runs: &[&'static [u8]]| refusal_after(&[&refused, runs].concat());
    let greets = then(&[b">EHLO a\r\n", b"<250 STARTTLS\r\n"]).unwrap();
    assert!(!greets.is_downgraded);
    assert!(!then(&[b">NOOP\r\n"]).unwrap().is_downgraded);
    assert!(!then(&[b">QUIT\r\n"]).unwrap().is_downgraded);
    assert_eq!(
        then(&[b">EHLO a\r\n", b">STARTTLS\r\n", b"<220 go\r\n"]),
        None
    );
    assert!(then(&[b">AUTH PLAIN\r\n"]).unwrap().is_downgraded);
}

#[test]
fn a_line_of_a_message_is_no_command() {
    let message = b">a\r\nSTARTTLS\r\n.\r\n";
    let refused = b"<554 spam\r\n";
    let data = [&b"<220 mx\r\n"[..], b">DATA\r\n", b"<354 go\r\n"];
    let in_body = [&data[..], &[message, refused]].concat();
    assert_eq!(refusal_after(&in_body), None);
    let behind = [
        &data[..],
        &[message, b"<250 ok\r\n", b">STARTTLS\r\n", refused],
    ]
    .concat();
    assert!(refusal_after(&behind).is_some());
    let chunk = b">BDAT 10 LAST\r\nSTARTTLS\r\n";
    assert_eq!(refusal_after(&[b"<220 mx\r\n", chunk, refused]), None);
    let short = b">BDAT 2 LAST\r\n\r\nSTARTTLS\r\n";
    assert!(refusal_after(&[b"<220 mx\r\n", short, refused]).is_some());
}

#[test]
fn an_answer_cannot_reach_the_terminal() {
    let refusal =
        refusal_after(&[b"<220 mx\r\n", b">STARTTLS\r\n", b"<454 \x1b[2J\x80\"\r\n"]).unwrap();
    assert_eq!(refusal.answer, "454 \\x1b[2J\\x80\\\"");
    let found = found(&[
        b">CONNECT \x1b[2J:443 HTTP/1.1\r\n\r\n",
        b"<HTTP/1.1 200 OK\r\n\r\n",
    ]);
    assert_eq!(found.proxy.as_deref(), Some("http_connect"));
}

#[test]
fn memory_is_the_same_from_the_first_bytes_on_and_bounded() {
    let filler = vec![b'x'; 60_000];
    let starts: [&[u8]; 5] = [
        b"PROXY ",
        b"<?xml",
        b"CONNECT ",
        b"\x30\x84\0\xff\xff\xff\x02\x01\x01\x63",
        b"\x04\x01\x01\xbb\0\0\0\x01user",
    ];
    for start in starts {
        let mut dialogue = after(start);
        let before = dialogue.allocated();
        take(&mut dialogue, UP, &filler);
        take(&mut dialogue, DOWN, &filler);
        assert_eq!(dialogue.allocated(), before);
    }
}

#[test]
fn a_hello_after_much_talk_begins_a_run_or_follows_a_line_of_an_early_one() {
    let talk = |runs| {
        let mut dialogue = after(&[b'x'; 100]);
        for _ in 0..runs {
            assert_eq!(take(&mut dialogue, DOWN, b"so it is\n"), DialogueStep::More);
            assert_eq!(take(&mut dialogue, UP, b"is it so\n"), DialogueStep::More);
        }
        dialogue
    };
    let glued = [b"now or later\n", HELLO].concat();
    assert_eq!(take(&mut talk(3), UP, &glued), DialogueStep::TlsBegins(13));
    assert_eq!(take(&mut talk(300), UP, &glued), DialogueStep::More);
    for runs in [3, 300] {
        assert_eq!(take(&mut talk(runs), UP, HELLO), DialogueStep::TlsBegins(0));
        let mut split = talk(runs);
        assert_eq!(take(&mut split, UP, &HELLO[..4]), DialogueStep::More);
        assert_eq!(take(&mut split, UP, &HELLO[4..]), DialogueStep::TlsBegan);
    }
}

/// A whole ClientHello, alone in its record.
fn whole_hello() -> Vec<u8> {
    [HELLO, &[7; 92]].concat()
}

#[test]
fn a_hello_in_the_middle_of_data_is_no_beginning() {
    for hello in [HELLO, &whole_hello()] {
        let inside = [b"POST /upload HTTP/1.1\r\n\r\nabc", hello].concat();
        assert_eq!(
            take(&mut Dialogue::default(), UP, &inside),
            DialogueStep::More
        );
    }
    let more_behind = [b"\x04\xd2\x16\x2f", &whole_hello()[..], b"x"].concat();
    assert_eq!(
        take(&mut Dialogue::default(), UP, &more_behind),
        DialogueStep::More
    );
}

#[test]
fn a_hello_may_follow_a_request_an_element_or_a_line_in_the_same_run() {
    let cases: [&[u8]; 4] = [
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"<stream:stream><starttls/>",
        b"PROXY TCP4 203.0.113.9 198.51.100.10 50123 443\r\n",
        b"PLAIN\r\n",
    ];
    for request in cases {
        let glued = [request, HELLO].concat();
        for cut in 1..request.len() + 11 {
            let mut dialogue = Dialogue::default();
            let first = take(&mut dialogue, UP, &glued[..cut]);
            let held = dialogue.held(UP).len();
            let begins = match (first, take(&mut dialogue, UP, &glued[cut..])) {
                (DialogueStep::More, DialogueStep::TlsBegins(at)) => cut + at,
                (DialogueStep::More, DialogueStep::TlsBegan) => cut - held,
                other => panic!("{other:?} at {cut}"),
            };
            assert_eq!(begins, request.len(), "{cut}");
        }
        let whole = take(&mut Dialogue::default(), UP, &glued);
        assert_eq!(whole, DialogueStep::TlsBegins(request.len()));
    }
}

#[test]
fn what_looks_like_the_beginning_of_a_hello_and_is_none_is_forgotten() {
    let mut dialogue = after(b"x\r\n");
    assert_eq!(take(&mut dialogue, UP, &[22, 3]), DialogueStep::More);
    assert_eq!(take(&mut dialogue, UP, &[9, 9]), DialogueStep::More);
    assert_eq!(dialogue.held(UP), b"");
    assert_eq!(take(&mut dialogue, UP, HELLO), DialogueStep::TlsBegins(0));
}

/// Runs as they come on connections of all kinds: a few bytes, lines, hellos, and bytes that look like the beginning of one.
fn run() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => proptest::collection::vec(prop_oneof![Just(1u8), Just(22), Just(3), Just(b'\n'), any::<u8>()], 0..30),
        2 => Just(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec()),
        1 => Just(b"220 ready\r\n".to_vec()),
        1 => Just([&[b'a'; 300][..], b"\n", HELLO].concat()),
        1 => (0..HELLO.len()).prop_map(|length| HELLO[..length].to_vec()),
    ]
}

proptest! {
    #[test]
    fn a_run_that_passes_by_leaves_what_reading_it_leaves(runs in proptest::collection::vec((any::<bool>(), run()), 1..60)) {
        let (mut passing, mut reading) = (Dialogue::default(), Dialogue::default());
        for (is_up, run) in runs {
            let sender = if is_up { UP } else { DOWN };
            let expected = reading.take(sender, &run, Timestamp::default());
            let step = if passing.passes_by(sender, &run) {
                DialogueStep::More
            } else {
                passing.take(sender, &run, Timestamp::default())
            };
            prop_assert_eq!(step, expected);
            prop_assert_eq!(format!("{passing:?}"), format!("{reading:?}"));
            if step != DialogueStep::More {
                break;
            }
        }
    }

    #[test]
    fn a_record_may_begin_where_its_type_and_major_version_are(
        bytes in proptest::collection::vec(prop_oneof![Just(22u8), Just(3), any::<u8>()], 0..40),
    ) {
        let begins = |at: usize| bytes[at] == 22 && bytes.get(at + 1).is_none_or(|major| *major == 3);
        prop_assert_eq!(may_hold_record(&bytes), (0..bytes.len()).any(begins));
    }

    #[test]
    fn where_no_record_may_begin_there_is_no_hello(
        before in proptest::collection::vec(prop_oneof![Just(22u8), Just(3), Just(b'\n'), any::<u8>()], 0..40),
        length in 0..60usize,
    ) {
        let hello = [22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
        let mut bytes = [&before[..], &hello, &[0; 39]].concat();
        bytes.truncate(length);
        let found = !matches!(HelloPlace::find(&bytes), HelloPlace::Nowhere);
        prop_assert!(!found || may_hold_record(&bytes));
    }
}
