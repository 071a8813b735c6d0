//! The frame. Colour supports what the text says, and never says it alone.

use std::time::Duration;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Sparkline, Table, TableState, Widget};
use unicode_width::UnicodeWidthStr;

use super::super::summary::mutual::HIDDEN;
use super::super::summary::{day, milliseconds};
use super::super::text::{Cut, TextStyle, fit, printable};
use super::snapshot::{CertificateRow, FailureRow, MutualRow, PeerRow, Rates, Snapshot};
use super::view::{Details, Tab, View};
use crate::time::Timestamp;

/// Rows of the name and the tabs.
const HEAD: u16 = 2;
/// Columns from which tables have all their columns, and the overview two of them side by side.
const WIDE: u16 = 120;
/// Columns below which tables leave out what is not needed to find one's way.
const NARROW: u16 = 80;
/// Columns of a cause, where there is room: the longest error type is shorter.
const LONGEST_CAUSE: u16 = 26;
/// Rows from which the overview has servers and certificates.
const TALL: u16 = 36;
/// Days until the end of a certificate below which it is marked.
const SOON: f64 = 14.0;

/// Colours, if there are any.
#[derive(Clone, Copy, Debug)]
struct Palette {
    has_color: bool,
}

impl Palette {
    fn colored(self, color: Color) -> Style {
        match self.has_color {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    fn good(self) -> Style {
        self.colored(Color::Green)
    }

    fn bad(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn doubtful(self) -> Style {
        self.colored(Color::Yellow)
    }

    fn accent(self) -> Style {
        self.colored(Color::Cyan)
    }

    fn minor(self) -> Style {
        match self.has_color {
            true => Style::new().fg(Color::DarkGray),
            false => Style::new(),
        }
    }

    fn heading(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }
}

/// Draws `view` with the newest of `notes`.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View, style: TextStyle, notes: &[String]) {
    let palette = Palette {
        has_color: style.color,
    };
    let shown_notes = notes.len().min(usize::from(frame.area().height) / 8);
    let notes = notes.get(notes.len() - shown_notes..).unwrap_or_default();
    let [head, body, below, foot] = Layout::vertical([
        Constraint::Length(HEAD),
        Constraint::Min(0),
        Constraint::Length(u16::try_from(shown_notes).unwrap_or_default()),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(head_lines(head.width, view, palette), head);
    view.page = body.height.saturating_sub(3);
    match (&mut view.details, view.tab) {
        (Some(details), _) => draw_details(frame, body, details, palette),
        (None, Tab::Overview) => draw_overview(frame, body, view, palette),
        (None, Tab::Failures) => {
            let title = failures_title(view);
            draw_failures(frame, body, view, palette, &title);
        }
        (None, Tab::Servers) => draw_peers(frame, body, view, palette, true),
        (None, Tab::Clients) => draw_peers(frame, body, view, palette, false),
        (None, Tab::Mutual) => draw_mutual(frame, body, view, palette),
        (None, Tab::Certificates) => draw_certificates(frame, body, view, palette),
    }
    let notes: Vec<Line<'_>> = notes
        .iter()
        .map(|note| {
            let note = printable(note);
            Line::styled(
                fit(&note, below.width.into(), Cut::End).into_owned(),
                palette.doubtful(),
            )
        })
        .collect();
    frame.render_widget(Paragraph::new(notes), below);
    draw_foot(frame, foot, view, palette);
    if view.shows_help {
        draw_help(frame, palette);
    }
}

/// The first rows of a frame of this size, which have the time.
pub(super) fn head(area: Rect, view: &View, style: TextStyle) -> Buffer {
    let palette = Palette {
        has_color: style.color,
    };
    let area = Rect {
        height: HEAD.min(area.height),
        ..area
    };
    let mut buffer = Buffer::empty(area);
    head_lines(area.width, view, palette).render(area, &mut buffer);
    buffer
}

/// Name, interfaces, time and tabs.
fn head_lines(width: u16, view: &View, palette: Palette) -> Paragraph<'static> {
    let snapshot = &view.snapshot;
    let names: Vec<&str> = snapshot.interfaces.iter().map(|one| &*one.name).collect();
    let mut title = vec![
        Span::styled("tlscope", palette.heading()),
        Span::raw(format!(
            "  {}  {}",
            printable(&names.join(", ")),
            clock(snapshot.running)
        )),
    ];
    if view.is_paused() {
        title.push(Span::styled("  PAUSED", palette.doubtful()));
    }
    title.push(Span::raw(format!(
        "  open: {} handshakes, {} connections",
        snapshot.open_handshakes, snapshot.open_connections
    )));
    let narrow = width < NARROW;
    let mut tabs = Vec::new();
    for tab in Tab::ALL {
        let number = tab.place() + 1;
        let text = match narrow && tab != view.tab {
            true => format!(" {number} "),
            false => format!(" {number} {} ", tab.title()),
        };
        let style = match tab == view.tab {
            true => Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD),
            false => palette.minor(),
        };
        tabs.push(Span::styled(text, style));
    }
    Paragraph::new(vec![Line::from(title), Line::from(tabs)])
}

/// Lost packets, and keys.
fn draw_foot(frame: &mut Frame<'_>, area: Rect, view: &View, palette: Palette) {
    if view.is_typing {
        let line = format!(
            "filter: {}_  (Enter keeps it, Esc clears it)",
            printable(&view.filter)
        );
        frame.render_widget(Paragraph::new(line), area);
        return;
    }
    let mut spans = vec![losses(&view.snapshot, palette)];
    if !view.filter.is_empty() {
        let filter = format!("  filter: {}", printable(&view.filter));
        spans.push(Span::styled(filter, palette.doubtful()));
    }
    let keys = match (&view.details, view.tab) {
        (None, _) if area.width < NARROW => "? help  q quit",
        (Some(_), _) => "Esc back  ↑↓ scroll  ? help  q quit",
        (None, tab) if tab.is_sortable() => "s sort  r reverse  / filter  p pause  ? help  q quit",
        (None, Tab::Certificates) => "/ filter  p pause  ? help  q quit",
        (None, _) => "↑↓ select  Enter details  / filter  p pause  ? help  q quit",
    };
    spans.push(Span::styled(format!("  {keys}"), palette.minor()));
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

fn losses(snapshot: &Snapshot, palette: Palette) -> Span<'static> {
    let gone = snapshot.interfaces.iter().find(|one| !one.is_up);
    if let Some(interface) = gone {
        let text = format!("{} is gone", printable(&interface.name));
        return Span::styled(text, palette.bad());
    }
    let sum = |count: fn(&crate::stats::InterfaceHealth) -> u64| -> u64 {
        snapshot.interfaces.iter().map(count).sum()
    };
    let [kernel, interface, queue] = [
        sum(|one| one.dropped_kernel),
        sum(|one| one.dropped_interface),
        sum(|one| one.dropped_queue),
    ];
    match kernel + interface + queue {
        0 => Span::styled("no packets dropped", palette.good()),
        _ => Span::styled(
            format!("dropped: kernel {kernel}, interface {interface}, queue {queue}"),
            palette.bad(),
        ),
    }
}

fn draw_overview(frame: &mut Frame<'_>, area: Rect, view: &mut View, palette: Palette) {
    let tall = area.height >= TALL;
    let [rates, counts, rest] = Layout::vertical([
        Constraint::Length(if tall { 8 } else { 5 }),
        Constraint::Length(if tall { 9 } else { 7 }),
        Constraint::Min(0),
    ])
    .areas(area);
    draw_rates(frame, rates, &view.snapshot, palette);
    let outcomes = if counts.width < NARROW { 32 } else { 39 };
    let [outcomes, causes] =
        Layout::horizontal([Constraint::Length(outcomes), Constraint::Min(0)]).areas(counts);
    draw_outcomes(frame, outcomes, &view.snapshot, palette);
    draw_causes(frame, causes, &view.snapshot, palette);
    let title = failures_title(view);
    if !tall {
        return draw_failures(frame, rest, view, palette, &title);
    }
    let [failures, below] =
        Layout::vertical([Constraint::Percentage(55), Constraint::Min(0)]).areas(rest);
    draw_failures(frame, failures, view, palette, &title);
    // The tables below are for a look; their own tabs scroll.
    let selected = std::mem::take(&mut view.table);
    match below.width >= WIDE {
        true => {
            let [servers, certificates] =
                Layout::horizontal([Constraint::Percentage(50); 2]).areas(below);
            draw_peers(frame, servers, view, palette, true);
            draw_certificates(frame, certificates, view, palette);
        }
        false => draw_peers(frame, below, view, palette, true),
    }
    view.table = selected;
}

/// Sparklines, the newest second on the right.
fn draw_rates(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, palette: Palette) {
    type Value = fn(&Rates) -> f64;
    let last = snapshot.history.last().copied().unwrap_or_default();
    let kinds: [(&str, Value, Style); 3] = [
        (
            "handshakes/s",
            |rates| rates.per_second(rates.handshakes),
            palette.accent(),
        ),
        (
            "failures/s",
            |rates| rates.per_second(rates.failed + rates.refused),
            palette.bad(),
        ),
        (
            "Mbit/s",
            |rates| rates.per_second(rates.bytes) * 8e-6,
            palette.good(),
        ),
    ];
    let areas: [Rect; 3] = Layout::horizontal([Constraint::Ratio(1, 3); 3]).areas(area);
    for ((name, value, style), area) in kinds.into_iter().zip(areas) {
        let title = format!(" {name} {} ", short(value(&last)));
        let minute = format!(" minute {} ", short(value(&snapshot.minute)));
        let block = block(Line::styled(title, style), palette)
            .title_bottom(Line::styled(minute, palette.minor()));
        let columns = usize::from(area.width.saturating_sub(2));
        let history = snapshot.history.iter();
        // Sparklines take whole numbers: thousandths keep small rates apart.
        let mut data: Vec<u64> = history
            .rev()
            .take(columns)
            .map(|rates| (value(rates) * 1e3) as u64)
            .collect();
        data.resize(columns, 0);
        data.reverse();
        let sparkline = Sparkline::default().data(&data).style(style).block(block);
        frame.render_widget(sparkline, area);
    }
}

fn draw_outcomes(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, palette: Palette) {
    let (minute, totals) = (&snapshot.minute, &snapshot.totals);
    let share = |count: u64| match totals.handshakes {
        0 => String::new(),
        all => format!("{:.1} %", 100.0 * count as f64 / all as f64),
    };
    let rows = [
        (
            "success",
            minute.succeeded,
            totals.succeeded,
            palette.good(),
        ),
        ("failure", minute.failed, totals.failed, palette.bad()),
        (
            "unknown",
            minute.unknown,
            totals.unknown,
            palette.doubtful(),
        ),
        ("refused*", minute.refused, totals.refused, palette.bad()),
    ];
    // With the border and a space between columns, they fill the area.
    let columns: [u16; 3] = if area.width < 39 {
        [6, 6, 7]
    } else {
        [8, 10, 8]
    };
    let [of_minute, of_total, of_share] = columns.map(usize::from);
    let rows = rows.map(|(name, minute, total, style)| {
        Row::new([
            Cell::from(name).style(style),
            right(minute.to_string(), of_minute),
            right(total.to_string(), of_total),
            right(share(total), of_share),
        ])
    });
    let widths = [8, columns[0], columns[1], columns[2]].map(Constraint::Length);
    let header = [
        Cell::from("outcome"),
        right("minute".into(), of_minute),
        right("total".into(), of_total),
        right(String::new(), of_share),
    ];
    let table = table(rows.into(), widths, header, palette);
    let mut block = block(" Outcomes ".into(), palette);
    if totals.refused > 0 {
        let note = " * of the successes, later ";
        block = block.title_bottom(Line::styled(note, palette.minor()));
    }
    frame.render_widget(table.block(block), area);
}

fn draw_causes(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, palette: Palette) {
    let columns: [u16; 2] = match area.width {
        ..40 => [6, 6],
        40..44 => [6, 8], // leaves room for the longest cause
        _ => [8, 9],
    };
    let [of_minute, of_total] = columns.map(usize::from);
    // Far from their cause, numbers are hard to read.
    let of_cause = area.width.saturating_sub(columns[0] + columns[1] + 4);
    let of_cause = of_cause.clamp(10, LONGEST_CAUSE);
    let rows = snapshot.causes.iter().map(|(class, minute, total)| {
        Row::new([
            Cell::from(fit(class, of_cause.into(), Cut::End)).style(palette.bad()),
            right(minute.to_string(), of_minute),
            right(total.to_string(), of_total),
        ])
    });
    let widths = [
        Constraint::Length(of_cause),
        Constraint::Length(columns[0]),
        Constraint::Length(columns[1]),
    ];
    let header = [
        Cell::from("cause"),
        right("minute".into(), of_minute),
        right("total".into(), of_total),
    ];
    let table = table(rows.collect(), widths, header, palette);
    frame.render_widget(
        table.block(block(" Failures by cause ".into(), palette)),
        area,
    );
}

fn failures_title(view: &View) -> String {
    let (kept, seen) = (
        view.snapshot.failures.len() as u64,
        view.snapshot.failures_seen,
    );
    match seen > kept {
        true => format!(" Last failures: {kept} of {seen} kept "),
        false => format!(" Last failures: {seen} "),
    }
}

fn draw_failures(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &mut View,
    palette: Palette,
    title: &str,
) {
    let wide = area.width >= WIDE;
    let (of_client, of_server): (u16, u16) = match area.width {
        WIDE.. => (30, 34),
        NARROW.. => (16, 19), // leaves room for the longest cause
        _ => (12, 14),
    };
    let rows = view.failures().into_iter().take(needed(area, &view.table));
    let rows = rows.map(|row| {
        let FailureRow {
            time,
            client,
            server,
            class,
            side,
            message,
            ..
        } = row;
        let cause = match side {
            Some(side) if area.width >= NARROW => format!("{class} ({side})"),
            _ => (*class).to_owned(),
        };
        let mut cells = vec![
            Cell::from(time_of_day(*time)),
            Cell::from(fit(client, of_client.into(), Cut::Middle).into_owned()),
            Cell::from(fit(server, of_server.into(), Cut::Middle).into_owned()),
            Cell::from(cause).style(palette.bad()),
        ];
        if wide {
            cells.push(Cell::from(message.clone()));
        }
        Row::new(cells)
    });
    let (widths, header) = match wide {
        true => (
            vec![
                Constraint::Length(8),
                Constraint::Length(of_client),
                Constraint::Length(of_server),
                Constraint::Length(32),
                Constraint::Min(10),
            ],
            vec!["time", "client", "server", "cause", "message"],
        ),
        false => (
            vec![
                Constraint::Length(8),
                Constraint::Length(of_client),
                Constraint::Length(of_server),
                Constraint::Min(10),
            ],
            vec!["time", "client", "server", "cause"],
        ),
    };
    let header = header.into_iter().map(Cell::from);
    let table = table(rows.collect(), widths, header, palette)
        .block(block(title.to_owned().into(), palette));
    frame.render_stateful_widget(table, area, &mut view.table);
}

fn draw_peers(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &mut View,
    palette: Palette,
    is_servers: bool,
) {
    let (name, rows) = match is_servers {
        true => ("server", &view.snapshot.servers),
        false => ("client", &view.snapshot.clients),
    };
    let rows = view.peers(rows);
    let count = rows.len();
    let [has_time, has_cause] = [area.width >= 72, area.width >= 92];
    let taken = 43 + if has_time { 9 } else { 0 } + if has_cause { 24 } else { 0 };
    let name_width = usize::from(area.width).saturating_sub(taken);
    let rows = rows.into_iter().take(needed(area, &view.table));
    let rows = rows.map(|row| {
        let PeerRow {
            name,
            handshakes,
            failures,
            median,
            p99,
            last_failure,
            last_seen,
        } = row;
        let style = match failures {
            0 => Style::new(),
            _ => palette.bad(),
        };
        let mut cells = vec![
            Cell::from(fit(name, name_width, Cut::Middle).into_owned()),
            right(handshakes.to_string(), 10),
            right(failures.to_string(), 8).style(style),
            right(duration(*median), 9),
            right(duration(*p99), 9),
        ];
        if has_time {
            cells.push(right(time_of_day(*last_seen), 8));
        }
        if has_cause {
            cells.push(Cell::from(last_failure.unwrap_or("")).style(palette.bad()));
        }
        Row::new(cells)
    });
    let mut widths = vec![
        Constraint::Min(12),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(9),
    ];
    let mut header = vec![
        Cell::from(name),
        right("handshakes".into(), 10),
        right("failures".into(), 8),
        right("p50 ms".into(), 9),
        right("p99 ms".into(), 9),
    ];
    if has_time {
        widths.push(Constraint::Length(8));
        header.push(right("seen".into(), 8));
    }
    if has_cause {
        widths.push(Constraint::Length(23)); // the longest name of a class has 23 letters
        header.push(Cell::from("last failure"));
    }
    let kind = match is_servers {
        true => "Servers",
        false => "Clients",
    };
    let title = format!(
        " {kind}: {count}, by {}{} ",
        view.sort.as_str(),
        order(view)
    );
    let table = table(rows.collect(), widths, header, palette).block(block(title.into(), palette));
    frame.render_stateful_widget(table, area, &mut view.table);
}

fn draw_mutual(frame: &mut Frame<'_>, area: Rect, view: &mut View, palette: Palette) {
    let rows = view.mutual();
    let title = format!(
        " Clients with certificates: {} pairs, by {}{} ",
        rows.len(),
        view.sort.as_str(),
        order(view)
    );
    let has_time = area.width >= 72;
    // The other columns, a space between any two, and the border.
    let taken = if has_time { 32 } else { 23 };
    let room = usize::from(area.width.saturating_sub(taken));
    let longest = |name: fn(&MutualRow) -> &str| {
        let widths = rows.iter().map(|row| name(row).width());
        widths.max().unwrap_or_default()
    };
    let [of_client, of_server] = shared(
        room,
        [longest(|row| &row.client), longest(|row| &row.server)],
    );
    let rows = rows.into_iter().take(needed(area, &view.table));
    let rows = rows.map(|row| {
        let style = match row.failures {
            0 => Style::new(),
            _ => palette.bad(),
        };
        let mut cells = vec![
            Cell::from(fit_client(&row.client, of_client)),
            Cell::from(fit(&row.server, of_server, Cut::Middle).into_owned()),
            right(row.handshakes.to_string(), 10),
            right(row.failures.to_string(), 8).style(style),
        ];
        if has_time {
            cells.push(right(time_of_day(row.last_seen), 8));
        }
        Row::new(cells)
    });
    let mut widths = vec![length(of_client), length(of_server)];
    widths.extend([10, 8].map(Constraint::Length));
    let mut header = vec![
        Cell::from("client"),
        Cell::from("server"),
        right("handshakes".into(), 10),
        right("failures".into(), 8),
    ];
    if has_time {
        widths.push(Constraint::Length(8));
        header.push(right("seen".into(), 8));
    }
    let table = table(rows.collect(), widths, header, palette).block(block(title.into(), palette));
    frame.render_stateful_widget(table, area, &mut view.table);
}

/// Rows of a table that an area can show, and all before them: the selected one is always shown. To lay out the others would take most of the time
/// of a frame.
fn needed(area: Rect, table: &TableState) -> usize {
    table.selected().unwrap_or_default() + usize::from(area.height)
}

/// A client in at most `width` columns. That TLS 1.3 hides its certificate is said in one word if there is no room for more.
fn fit_client(name: &str, width: usize) -> String {
    const SHORT: &str = " (hidden)";
    match name.strip_suffix(HIDDEN) {
        Some(address) if name.width() > width => {
            let room = width.saturating_sub(SHORT.len());
            fit(address, room, Cut::Middle).into_owned() + SHORT
        }
        _ => fit(name, width, Cut::Middle).into_owned(),
    }
}

/// The widths of two columns of names that share `room`: half of it for each, or more if the names of the other need less.
fn shared(room: usize, longest: [usize; 2]) -> [usize; 2] {
    let half = room / 2;
    match longest {
        [_, second] if second < half => [room - second, second],
        [first, _] if first < half => [first, room - first],
        _ => [room - half, half],
    }
}

fn length(width: usize) -> Constraint {
    Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX))
}

fn draw_certificates(frame: &mut Frame<'_>, area: Rect, view: &mut View, palette: Palette) {
    let rows = view.certificates();
    let title = format!(" Certificates by expiry: {} ", rows.len());
    let room = usize::from(area.width.saturating_sub(45));
    let longest = |name: fn(&CertificateRow) -> &str| {
        let widths = rows.iter().map(|row| name(row).width());
        widths.max().unwrap_or_default()
    };
    let [of_name, of_issuer] = shared(room, [longest(|row| &row.name), longest(|row| &row.issuer)]);
    let rows = rows.into_iter().take(needed(area, &view.table));
    let rows = rows.map(|row| {
        let style = match row.days {
            ..0.0 => palette.bad(),
            ..SOON => palette.doubtful(),
            _ => Style::new(),
        };
        let left = match row.days {
            ..0.0 => "expired".to_owned(),
            days => format!("{days:.1} d"),
        };
        Row::new([
            Cell::from(day(row.not_after)),
            right(left, 9).style(style),
            Cell::from(row.role),
            Cell::from(fit(&row.name, of_name, Cut::Middle).into_owned()),
            Cell::from(fit(&row.issuer, of_issuer, Cut::Middle).into_owned()),
            right(row.times.to_string(), 7),
        ])
    });
    let widths = [
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(12),
        length(of_name),
        length(of_issuer),
        Constraint::Length(7),
    ];
    let header = [
        Cell::from("expires"),
        right("in".into(), 9),
        Cell::from("role"),
        Cell::from("name"),
        Cell::from("issuer"),
        right("shown".into(), 7),
    ];
    let table = table(rows.collect(), widths, header, palette).block(block(title.into(), palette));
    frame.render_stateful_widget(table, area, &mut view.table);
}

fn draw_details(frame: &mut Frame<'_>, area: Rect, details: &mut Details, palette: Palette) {
    let lines = details.lines(area.width.saturating_sub(2));
    let room = area.height.saturating_sub(2);
    let longest = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    details.scroll = details.scroll.min(longest.saturating_sub(room));
    let lines = lines.into_iter().map(|line| {
        let is_heading = !line.is_empty() && !line.starts_with(' ');
        match is_heading {
            true => Line::styled(line, palette.heading()),
            false => Line::raw(line),
        }
    });
    let text = Paragraph::new(lines.collect::<Vec<_>>()).scroll((details.scroll, 0));
    frame.render_widget(text.block(block(" Handshake ".into(), palette)), area);
}

/// Each line fits 60 columns.
const HELP: &[(&str, &str)] = &[
    ("1 … 6, Tab, ← →", "choose what is shown"),
    ("↑ ↓, j k", "select a row, or scroll"),
    ("PgUp PgDn, g G", "a page; the first and the last row"),
    ("Enter", "all about the selected failure"),
    ("Esc", "go back, or clear the filter"),
    ("/", "filter rows by a text"),
    ("s, r", "sort servers, clients, pairs; reverse"),
    ("p, space", "pause the screen; the run continues"),
    ("q", "end the run and print the summary"),
];

fn draw_help(frame: &mut Frame<'_>, palette: Palette) {
    let area = frame.area();
    let width = area.width.min(72);
    let height = u16::try_from(HELP.len() + 2).unwrap_or(area.height);
    let [_, area, _] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Length(height),
        Constraint::Fill(1),
    ])
    .areas(area);
    let [_, area, _] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Length(width),
        Constraint::Fill(1),
    ])
    .areas(area);
    let lines = HELP.iter().map(|(keys, meaning)| {
        Line::from(vec![
            Span::styled(format!(" {keys:<17}"), palette.heading()),
            Span::raw(*meaning),
        ])
    });
    frame.render_widget(Clear, area);
    let text = Paragraph::new(lines.collect::<Vec<_>>());
    frame.render_widget(text.block(block(" Keys ".into(), palette)), area);
}

fn block<'a>(title: Line<'a>, palette: Palette) -> Block<'a> {
    Block::bordered()
        .border_style(palette.minor())
        .title_style(palette.heading())
        .title(title)
}

fn table<'a>(
    rows: Vec<Row<'a>>,
    widths: impl IntoIterator<Item = Constraint>,
    header: impl IntoIterator<Item = Cell<'a>>,
    palette: Palette,
) -> Table<'a> {
    Table::new(rows, widths.into_iter().collect::<Vec<_>>())
        .header(Row::new(header).style(palette.minor()))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

/// A cell whose text ends at the right of a column.
fn right(text: String, width: usize) -> Cell<'static> {
    Cell::from(format!("{text:>width$}"))
}

fn order(view: &View) -> &'static str {
    match view.is_reversed {
        true => ", reversed",
        false => "",
    }
}

/// A duration in milliseconds; empty if none was measured.
fn duration(duration: Duration) -> String {
    match duration.is_zero() {
        true => String::new(),
        false => milliseconds(duration),
    }
}

/// A rate in few digits, as in `0.2`, `35` or `12.3k`.
fn short(rate: f64) -> String {
    match rate {
        ..10.0 => format!("{rate:.1}"),
        ..10_000.0 => format!("{rate:.0}"),
        _ => format!("{:.1}k", rate / 1e3),
    }
}

/// As in `12:00:03`, in UTC.
fn time_of_day(time: Timestamp) -> String {
    match time {
        Timestamp::MIN => String::new(),
        time => time.date_time().strftime("%H:%M:%S").to_string(),
    }
}

/// Hours, minutes and seconds, as in `1:02:03`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}
