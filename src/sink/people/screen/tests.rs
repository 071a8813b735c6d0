//! Frames in a buffer, and what keys change about them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::*;
use crate::event::{ClientCertificate, ErrorType, HandshakeError, Outcome, Side};
use crate::sink::test_events;
use crate::stats::InterfaceHealth;

/// A run with handshakes: a screen of its own, and a terminal in memory.
struct Run {
    sink: ScreenSink<Vec<u8>>,
    screen: Screen,
    terminal: Terminal<TestBackend>,
    health: Health,
    seconds: i64,
}

impl Run {
    fn new(columns: u16, rows: u16) -> Self {
        Self::with_style(columns, rows, TextStyle::default())
    }

    fn with_style(columns: u16, rows: u16, style: TextStyle) -> Self {
        let sink = ScreenSink::new(Vec::new(), style);
        let health = Health {
            interfaces: vec![InterfaceHealth {
                name: "eth0".into(),
                is_up: true,
                ..InterfaceHealth::default()
            }],
            ..Health::default()
        };
        let mut run = Self {
            screen: sink.screen(),
            sink,
            terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(),
            health,
            seconds: 1_772_366_400,
        };
        run.tick();
        run
    }

    fn handshake(&mut self, event: &Handshake) {
        self.health.stats.handshakes += 1;
        match event.outcome {
            Outcome::Success => self.health.stats.handshakes_succeeded += 1,
            Outcome::Failure => self.health.stats.handshakes_failed += 1,
            Outcome::Unknown => self.health.stats.handshakes_unknown += 1,
        }
        self.sink.add(event, None).unwrap();
    }

    fn fail(&mut self, class: ErrorType, server: &str) {
        self.handshake(&failure(class, server, self.seconds));
    }

    fn tick(&mut self) {
        self.sink
            .tick(Timestamp::from_seconds(self.seconds), &self.health)
            .unwrap();
        self.seconds += 1;
    }

    /// The frame as text.
    fn frame(&mut self) -> String {
        self.frame_with(&[])
    }

    fn frame_with(&mut self, notes: &[String]) -> String {
        self.terminal
            .draw(|frame| self.screen.draw(frame, notes))
            .unwrap();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let symbols: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
        let lines = symbols.chunks(width).map(|line| line.concat());
        lines
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }

    fn press(&mut self, code: KeyCode) -> Reaction {
        self.screen
            .handle_key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn type_text(&mut self, text: &str) {
        for character in text.chars() {
            self.press(KeyCode::Char(character));
        }
    }

    fn colors(&mut self) -> Vec<Color> {
        let buffer = self.terminal.backend().buffer();
        buffer.content.iter().map(|cell| cell.fg).collect()
    }
}

fn failure(class: ErrorType, server: &str, second: i64) -> Handshake {
    let mut event = test_events::refused_by_the_client();
    event.time = Timestamp::from_seconds(second);
    event.tls.server_name = Some(server.into());
    event.error = Some(HandshakeError {
        error_type: class,
        side: Some(Side::Client),
        message: format!("client refused the certificate: {class}"),
        hint: Some("trust the CA".to_owned()),
    });
    event
}

fn took(milliseconds: u64, server: &str) -> Handshake {
    let mut event = test_events::completed();
    event.tls.server_name = Some(server.into());
    event.rejected_after = None;
    event.timing.handshake = Some(Duration::from_millis(milliseconds));
    event
}

/// The line of `frame` that contains `text`.
fn line<'a>(frame: &'a str, text: &str) -> &'a str {
    let found = frame.lines().find(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("no {text} in\n{frame}"))
}

#[test]
fn the_overview_fits_80_by_24_and_has_rates_outcomes_causes_and_failures() {
    let mut run = Run::new(80, 24);
    for _ in 0..3 {
        run.handshake(&took(5, "good.example"));
    }
    run.fail(ErrorType::UnknownCa, "bad.example");
    run.health.stats.bytes = 1_000_000;
    run.tick();
    let frame = run.frame();
    assert!(line(&frame, "tlscope").contains("eth0  0:00:01"), "{frame}");
    assert!(frame.contains(" handshakes/s 4.0"), "{frame}");
    assert!(frame.contains(" failures/s 1.0"), "{frame}");
    assert!(frame.contains(" Mbit/s 8.0"), "{frame}");
    let success = line(&frame, "│success");
    let counts: Vec<_> = success.split_whitespace().skip(1).take(3).collect();
    assert_eq!(counts, ["3", "3", "75.0"], "{frame}");
    assert!(line(&frame, "unknown_ca  ").contains(" 1 "), "{frame}");
    let failed = line(&frame, "unknown_ca (client)");
    assert!(failed.contains("10.0.0.1"), "{frame}");
    assert!(failed.contains("bad.example:443"), "{frame}");
    assert!(line(&frame, "no packets dropped").contains("q quit"));
}

#[test]
fn the_longest_cause_is_whole_at_80_columns_and_cut_with_a_sign_below() {
    for (width, cause) in [(80, "unsupported_certificate "), (60, "unsupported…")] {
        let mut run = Run::new(width, 24);
        run.fail(ErrorType::UnsupportedCertificate, "bad.example");
        run.tick();
        let frame = run.frame();
        assert!(line(&frame, "│unsupported").contains(cause), "{frame}");
    }
}

#[test]
fn a_narrow_terminal_has_every_number_of_the_outcomes() {
    for width in [60, 66, 72, 79] {
        let mut run = Run::new(width, 20);
        for second in 0..3 {
            run.handshake(&took(second, "a.example"));
        }
        run.fail(ErrorType::UnknownCa, "bad.example");
        run.tick();
        let frame = run.frame();
        for column in ["outcome", "minute", "total"] {
            assert!(line(&frame, "│outcome").contains(column), "{frame}");
        }
        let success = line(&frame, "│success");
        let counts: Vec<_> = success.split_whitespace().skip(1).take(4).collect();
        assert_eq!(counts[..3], ["3", "3", "75.0"], "{frame}");
        assert!(counts[3].starts_with('%'), "{frame}");
    }
}

#[test]
fn a_large_terminal_has_servers_and_certificates_in_the_overview() {
    let mut run = Run::new(160, 50);
    run.fail(ErrorType::CertExpired, "bad.example");
    run.tick();
    let frame = run.frame();
    for part in ["Servers: 1", "Certificates by expiry", "message"] {
        assert!(frame.contains(part), "no {part} in\n{frame}");
    }
    assert!(frame.contains("client refused the certificate: cert_expired"));
}

#[test]
fn the_last_minute_differs_from_the_total() {
    let mut run = Run::new(80, 24);
    run.fail(ErrorType::UnknownCa, "bad.example");
    run.tick();
    for _ in 0..model::MINUTE {
        run.tick();
    }
    let frame = run.frame();
    let failure = line(&frame, "│failure");
    let counts: Vec<_> = failure.split_whitespace().skip(1).take(2).collect();
    assert_eq!(counts, ["0", "1"], "{frame}");
}

#[test]
fn servers_are_sorted_by_choice_and_filtered() {
    let mut run = Run::new(100, 30);
    run.handshake(&took(900, "slow.example"));
    run.handshake(&took(1, "fast.example"));
    run.handshake(&took(1, "fast.example"));
    run.fail(ErrorType::UnknownCa, "bad.example");
    run.tick();
    run.press(KeyCode::Char('3'));
    let order = |frame: &str| {
        let names = frame
            .lines()
            .filter_map(|line| line.split(".example").next());
        let names = names.filter_map(|text| text.strip_prefix('│'));
        let names = names.filter(|text| text.len() < 9).map(str::to_owned);
        names.collect::<Vec<_>>()
    };
    assert_eq!(order(&run.frame()), ["bad", "fast", "slow"]);
    run.press(KeyCode::Char('s'));
    assert_eq!(order(&run.frame()), ["fast", "bad", "slow"]);
    run.press(KeyCode::Char('s'));
    let frame = run.frame();
    assert!(frame.contains("Servers: 3, by p99"), "{frame}");
    assert_eq!(order(&frame)[0], "slow");
    run.press(KeyCode::Char('r'));
    assert_eq!(order(&run.frame())[2], "slow");
    run.press(KeyCode::Char('/'));
    run.type_text("FAST");
    run.press(KeyCode::Enter);
    let frame = run.frame();
    assert_eq!(order(&frame), ["fast"]);
    assert!(frame.contains("filter: FAST"), "{frame}");
    run.press(KeyCode::Esc);
    assert_eq!(order(&run.frame()).len(), 3);
}

#[test]
fn the_details_of_a_failure_are_those_of_show() {
    let mut run = Run::new(90, 24);
    run.fail(ErrorType::UnknownCa, "first.example");
    run.fail(ErrorType::CertExpired, "last.example");
    run.tick();
    run.press(KeyCode::Char('2'));
    run.frame();
    run.press(KeyCode::Down);
    run.press(KeyCode::Down);
    run.press(KeyCode::Enter);
    let frame = run.frame();
    assert!(
        frame.contains("Handshake  FAILED: unknown_ca (client)"),
        "{frame}"
    );
    assert!(frame.contains("first.example"), "{frame}");
    run.press(KeyCode::End);
    let end = run.frame();
    assert!(!end.contains("FAILED: unknown_ca"), "scrolled: {end}");
    run.press(KeyCode::Esc);
    assert!(run.frame().contains("Last failures: 2"));
}

#[test]
fn the_details_name_the_saved_capture_and_no_packets_of_an_interface() {
    let mut run = Run::new(100, 60);
    let mut event = failure(ErrorType::UnknownCa, "saved.example", run.seconds);
    event.source = "lo".into();
    event.capture.first_packet = 103_103;
    event.saved_to = Some("/var/a b.pcapng".into());
    let ladder = Ladder {
        steps: vec![crate::event::LadderStep {
            time: event.time,
            source: "lo".into(),
            packet: 103_103,
            sender: Side::Client,
            kind: crate::event::StepKind::Rst,
            bytes: None,
            encrypted: false,
        }],
        omitted: 0,
    };
    run.sink.add(&event, Some(&ladder)).unwrap();
    run.tick();
    run.press(KeyCode::Char('2'));
    run.frame();
    run.press(KeyCode::Enter);
    let top = run.frame();
    run.press(KeyCode::End);
    let all = top + &run.frame();
    assert!(all.contains("wireshark -r '/var/a b.pcapng'"), "{all}");
    assert!(all.contains("tcp.port == 443"), "{all}");
    assert!(all.contains("TCP RST"), "{all}");
    for useless in ["103103", "of lo", "-r lo", "frame.number", "packet "] {
        assert!(!all.contains(useless), "{useless}: {all}");
    }
}

#[test]
fn a_pause_holds_the_frame_and_the_run_goes_on() {
    let mut run = Run::new(80, 24);
    run.tick();
    run.frame();
    run.press(KeyCode::Char('p'));
    run.fail(ErrorType::UnknownCa, "bad.example");
    run.tick();
    let frame = run.frame();
    assert!(frame.contains("PAUSED"), "{frame}");
    assert!(!frame.contains("bad.example"), "{frame}");
    run.press(KeyCode::Char('p'));
    assert!(run.frame().contains("bad.example"));
}

#[test]
fn every_part_can_be_looked_at_during_a_pause_as_it_was_when_that_began() {
    let mut run = Run::new(80, 24);
    run.fail(ErrorType::UnknownCa, "before.example");
    run.tick();
    run.frame();
    run.press(KeyCode::Char('p'));
    run.fail(ErrorType::UnknownCa, "after.example");
    run.tick();
    for (part, has_server) in [('2', true), ('3', true), ('4', false), ('1', true)] {
        run.press(KeyCode::Char(part));
        let frame = run.frame();
        assert!(!frame.contains("after.example"), "{part}: {frame}");
        assert_eq!(frame.contains("before.example"), has_server, "{part}");
    }
}

#[test]
fn keys_between_two_frames_are_about_the_part_that_they_opened() {
    let mut run = Run::new(80, 24);
    for name in ["first.example", "second.example"] {
        run.handshake(&took(5, name));
    }
    run.tick();
    run.frame();
    run.press(KeyCode::Char('3'));
    run.press(KeyCode::End);
    let frame = run.frame();
    let selected = run.screen.view.table.selected();
    assert_eq!(selected, Some(1), "the last of two servers: {frame}");
}

#[test]
fn keys_are_explained_and_q_quits() {
    let mut run = Run::new(80, 24);
    assert_eq!(run.press(KeyCode::Char('?')), Reaction::Continue);
    assert!(run.frame().contains("all about the selected failure"));
    assert_eq!(run.press(KeyCode::Char('x')), Reaction::Continue);
    assert!(!run.frame().contains("all about the selected failure"));
    assert_eq!(run.press(KeyCode::Char('q')), Reaction::Quit);
}

#[test]
fn a_storm_leaves_room_for_the_rare_failure() {
    let mut run = Run::new(80, 24);
    run.fail(ErrorType::CertExpired, "rare.example");
    for _ in 0..1_000 {
        run.fail(ErrorType::UnknownCa, "busy.example");
    }
    run.tick();
    run.press(KeyCode::Char('2'));
    let frame = run.frame();
    assert!(frame.contains("Last failures: 128 of 1001 kept"), "{frame}");
    run.press(KeyCode::Char('G'));
    run.frame();
    run.press(KeyCode::End);
    assert!(run.frame().contains("rare.example"));
}

#[test]
fn losses_and_an_interface_that_is_gone_are_marked() {
    let mut run = Run::new(80, 24);
    run.health.interfaces[0].dropped_queue = 7;
    run.tick();
    assert!(
        run.frame()
            .contains("dropped: kernel 0, interface 0, queue 7")
    );
    run.health.interfaces[0].is_up = false;
    run.tick();
    assert!(run.frame().contains("eth0 is gone"));
}

#[test]
fn text_from_the_traffic_and_notes_cannot_control_the_terminal() {
    let mut run = Run::new(100, 24);
    run.fail(ErrorType::UnknownCa, "\u{1b}[2Jx");
    run.tick();
    let frame = run.frame_with(&["warning: \u{1b}[2J".to_owned()]);
    assert!(frame.contains("\\u{1b}[2Jx:443"), "{frame}");
    assert!(frame.contains("warning: \\u{1b}[2J"), "{frame}");
    assert!(!frame.contains('\u{1b}'));
}

#[test]
fn a_hidden_certificate_leaves_the_address_of_the_client_readable() {
    for (width, client) in [
        (60, "127.0.0.1 (hidden)"),
        (80, "127.0.0.1 (hidden)"),
        (100, "127.0.0.1 (certificate hidden)"),
    ] {
        let mut run = Run::new(width, 24);
        let mut event = took(5, "api.acme.internal");
        event.client.address = std::net::Ipv4Addr::LOCALHOST.into();
        event.tls.client_certificate = ClientCertificate::Presented;
        run.handshake(&event);
        run.tick();
        run.press(KeyCode::Char('5'));
        let frame = run.frame();
        assert!(line(&frame, "127").contains(client), "{frame}");
        if width >= 80 {
            assert!(frame.contains("api.acme.internal:443"), "{frame}");
        }
    }
}

#[test]
fn while_nothing_happens_only_the_time_is_written() {
    let mut run = Run::new(80, 24);
    run.fail(ErrorType::UnknownCa, "bad.example");
    for _ in 0..400 {
        run.tick(); // the failure is older than what the sparklines show
    }
    run.frame();
    let mut shown = run.terminal.backend().buffer().clone();
    let area = shown.area;
    let mut written = 0;
    for _ in 0..15 {
        run.tick();
        let cells = run.screen.draw_time(area, &[]);
        for (x, y, cell) in cells.expect("nothing has happened") {
            shown[(x, y)] = cell;
            written += 1;
        }
    }
    assert!((15..=40).contains(&written), "{written}");
    let mut whole = run.screen.head();
    assert_eq!(whole.len(), 160);
    let other_size = Rect::new(0, 0, 100, 30);
    assert!(run.screen.draw_time(other_size, &[]).is_none());
    let notes = ["warning: x".to_owned()];
    assert!(run.screen.draw_time(area, &notes).is_none());
    run.screen.handle_key(KeyCode::Char('9').into());
    assert!(run.screen.draw_time(area, &[]).is_none());

    // A terminal that knows nothing of the time that was written has to be sent the first rows.
    run.frame();
    let frame = run.terminal.backend().buffer();
    assert_eq!(frame, &shown);
    whole.retain(|(x, y, cell)| frame[(*x, *y)] != *cell);
    assert_eq!(whole, []);
    run.fail(ErrorType::UnknownCa, "bad.example");
    assert!(run.screen.draw_time(area, &[]).is_none());
}

#[test]
fn a_tick_wakes_the_screen_if_something_has_changed() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let mut run = Run::new(80, 24);
    run.tick();
    run.sink.on_change(|| {
        CALLS.fetch_add(1, Ordering::Relaxed);
    });
    let calls = || CALLS.swap(0, Ordering::Relaxed);
    run.tick();
    run.tick();
    assert_eq!(calls(), 0);
    run.fail(ErrorType::UnknownCa, "bad.example");
    run.tick();
    assert_eq!(calls(), 1);
}

#[test]
fn every_part_is_drawn_at_any_size() {
    for (columns, rows) in [(1, 1), (10, 3), (40, 10), (79, 23), (300, 100)] {
        let mut run = Run::new(columns, rows);
        run.fail(ErrorType::UnknownCa, "bad.example");
        run.tick();
        for tab in ['1', '2', '3', '4', '5', '6'] {
            run.press(KeyCode::Char(tab));
            run.press(KeyCode::Down);
            run.frame();
            run.press(KeyCode::Enter);
            run.press(KeyCode::Char('?'));
            run.frame();
            run.press(KeyCode::Char('?'));
        }
    }
}

#[test]
fn colors_are_left_out_if_the_user_wants_none() {
    let mut plain = Run::new(80, 24);
    plain.fail(ErrorType::UnknownCa, "bad.example");
    plain.tick();
    plain.frame();
    assert!(plain.colors().iter().all(|color| *color == Color::Reset));
    let style = TextStyle {
        color: true,
        width: None,
    };
    let mut colored = Run::with_style(80, 24, style);
    colored.fail(ErrorType::UnknownCa, "bad.example");
    colored.tick();
    colored.frame();
    assert!(colored.colors().contains(&Color::Red));
}

#[test]
fn on_a_wide_terminal_the_numbers_of_a_cause_are_next_to_it() {
    let mut run = Run::new(160, 50);
    run.fail(ErrorType::UnknownCa, "bad.example");
    run.tick();
    let text = run.frame();
    let (_, causes) = text.split_once("Failures by cause").unwrap();
    let row = causes.lines().find(|line| line.contains("unknown_ca"));
    let (_, after) = row.unwrap().split_once("unknown_ca").unwrap();
    let gap = after.len() - after.trim_start().len();
    assert!(gap < 30, "{text}");
}

#[test]
fn the_summary_comes_at_the_end() {
    let mut run = Run::new(80, 24);
    run.fail(ErrorType::UnknownCa, "bad.example");
    run.sink.finish(&run.health.stats).unwrap();
    let text = String::from_utf8(run.sink.summary.output.clone()).unwrap();
    assert!(text.contains("Failures by cause"), "{text}");
}
