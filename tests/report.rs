//! The HTML report: the file that `--report` writes, and what a browser makes of it.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::read::ZlibDecoder;
use tlscope::event::{Handshake, Outcome};
use tlscope::flow::Endpoint;
use tlscope::sink::Sink;
use tlscope::sink::report::ReportSink;
use tlscope::stats::Stats;
use tlscope::time::Timestamp;

use crate::support::fixtures::{self, package};
use crate::support::needs;
use crate::support::program::{output, stderr, stdout};
use crate::support::scratch::{existing_folder, file, folder, path};

/// The report on a fixture, read with these flags as well.
fn report(fixture: &str, name: &str, flags: &[&str]) -> String {
    let path = path(name);
    let capture = fixtures::named(fixture).capture;
    let arguments = [
        "read",
        "--no-verify",
        "--format",
        "summary",
        "--report",
        &path,
        &capture,
    ];
    let output = output(&[&arguments, flags].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stderr(&output), "");
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_report_is_the_same_for_any_number_of_threads() {
    let single = report("mtls-day", "report-1.html", &["--threads", "1"]);
    for threads in ["2", "7"] {
        let several = report("mtls-day", "report-n.html", &["--threads", threads]);
        assert!(single == several, "{threads} threads");
    }
}

#[test]
fn the_report_is_written_next_to_the_other_output() {
    let page = report("mtls-day", "report-unfinished.html", &[]);
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.ends_with("</html>\n"));
    assert!(!Path::new(&path("report-unfinished.html.unfinished")).exists());
}

#[test]
fn the_report_counts_what_is_selected() {
    let page = report(
        "mtls-day",
        "report-selected.html",
        &["--server-name", "pay.*"],
    );
    assert!(page.contains("pay.example.org:443"));
    assert!(!page.contains("shop.example.org:443"));
}

#[test]
fn several_captures_are_one_report_that_names_each() {
    let path = path("report-several.html");
    let [first, second] =
        ["mtls-day", "alert-unknown-ca"].map(|name| fixtures::named(name).capture);
    let output = output(&["read", "--no-verify", "--report", &path, &first, &second]);
    assert!(output.status.success(), "{output:?}");
    let page = fs::read_to_string(path).unwrap();
    assert!(page.contains(&first) && page.contains(&second));
    assert!(page.contains(" and 1 other"));
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_before_anything_is_read() {
    let output = output(&[
        "read",
        "--report",
        "/nonexistent/report.html",
        "/nonexistent/capture.pcap",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let error = stderr(&output);
    assert!(error.contains("/nonexistent/"), "{error}");
    let capture = fixtures::named("mtls-day").capture;
    let output = crate::support::program::output(&[
        "read",
        "--report",
        "/nonexistent/report.html",
        &capture,
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    assert!(
        stderr(&output)
            .starts_with("error: cannot write the report `/nonexistent/report.html`: no such file"),
        "{output:?}"
    );
}

#[test]
fn a_run_that_fails_leaves_the_older_report() {
    let old = file("report-old.html", "old");
    let broken = file("report-broken.pcap", "no capture at all");
    let output = output(&["read", "--report", &old, &broken]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read_to_string(&old).unwrap(), "old");
    assert!(!Path::new(&format!("{old}.unfinished")).exists());
}

#[test]
fn a_report_does_not_replace_a_capture_that_is_read() {
    let capture = fixtures::named("mtls-day").capture;
    let copy = file(
        "report-input.pcap",
        fs::read(package().join(capture)).unwrap(),
    );
    let before = fs::read(&copy).unwrap();
    let output = output(&["read", "--report", &copy, &copy]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("is one of the captures"),
        "{output:?}"
    );
    assert_eq!(fs::read(&copy).unwrap(), before);
}

/// What Chromium prints and what it writes to `out.png` or `out.pdf` in its folder, with these flags; `None` if there is none. `fragment` is what
/// follows the `#`.
fn browsed(page: &str, name: &str, fragment: &str, flags: &[&str]) -> Option<(String, Vec<u8>)> {
    let chromium = needs::program("chromium")?;
    let name = format!("chromium-{name}");
    let folder = folder(&name);
    let file = folder.join("report.html");
    fs::write(&file, page).unwrap();
    let output = Command::new(chromium)
        .current_dir(&folder)
        // As root, which CI may be, there is no other way; the page is ours.
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args(["--hide-scrollbars", "--virtual-time-budget=10000"])
        .args(flags)
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}#{fragment}", file.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let written = ["out.png", "out.pdf"].map(|out| fs::read(folder.join(out)).unwrap_or_default());
    let written = written.concat(); // there is at most one
    let _ = fs::remove_dir_all(existing_folder(&name));
    Some((String::from_utf8(output.stdout).unwrap(), written))
}

/// The page after its scripts have run, as HTML; `None` if there is no Chromium.
fn rendered(page: &str, name: &str, fragment: &str) -> Option<String> {
    let (dom, _) = browsed(page, name, fragment, &["--dump-dom"])?;
    Some(dom)
}

/// The first pixel of a PNG with eight bits a channel: no filter changes it, since nothing is before it.
fn first_pixel(png: &[u8]) -> [u8; 3] {
    let (mut chunks, mut pixels) = (png.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap(), Vec::new());
    while let [a, b, c, d, kind @ ..] = chunks {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if kind.starts_with(b"IDAT") {
            pixels.extend_from_slice(&kind[4..4 + length]);
        }
        chunks = &kind[4 + length + 4..];
    }
    let mut start = [0; 4]; // the filter of the row, and three channels
    ZlibDecoder::new(&*pixels).read_exact(&mut start).unwrap();
    [start[1], start[2], start[3]]
}

#[test]
fn a_browser_draws_the_page_in_light_and_in_dark() {
    let page = report("mtls-day", "report-drawn.html", &[]);
    let themes = [
        ("light", "1", [0xfa, 0xfa, 0xf8]),
        ("dark", "0", [0x14, 0x16, 0x18]),
    ];
    for (theme, preference, background) in themes {
        let preference = format!("--blink-settings=preferredColorScheme={preference}");
        let flags = [
            "--screenshot=out.png",
            "--window-size=1280,2400",
            &preference,
        ];
        let Some((_, image)) = browsed(&page, theme, "", &flags) else {
            return;
        };
        assert_eq!(first_pixel(&image), background, "{theme}");
        // An empty page of this size takes 10 KB.
        assert!(image.len() > 60_000, "{theme}: {} bytes", image.len());
    }
}

#[test]
fn a_browser_prints_the_page() {
    let page = report("mtls-day", "report-printed.html", &[]);
    let Some((_, pdf)) = browsed(&page, "print", "", &["--print-to-pdf=out.pdf"]) else {
        return;
    };
    assert!(pdf.starts_with(b"%PDF-"));
}

#[test]
fn a_browser_searches_for_what_the_address_asks() {
    let page = report("mtls-day", "report-search.html", &[]);
    let Some(dom) = rendered(&page, "search", "q=cert_expired%20pay") else {
        return;
    };
    let rows = count(&dom, r#"<tr class="row""#);
    assert!((1..5).contains(&rows), "{rows}");
    assert_eq!(
        count(&dom, "<code>cert_expired"),
        rows + in_tables(&page, "cert_expired")
    );
}

/// How often the tables of causes and findings have `cause`.
fn in_tables(page: &str, cause: &str) -> usize {
    count(page, &format!("<code>{cause}</code>"))
}

/// Elements of the page with exactly this class, counted before the data and the script, which are text.
fn count(dom: &str, start_of_element: &str) -> usize {
    let (body, _) = dom
        .split_once(r#"<script type="application/json""#)
        .unwrap();
    body.matches(start_of_element).count()
}

#[test]
fn a_browser_lists_the_failures_first() {
    let page = report("mtls-day", "report-list.html", &[]);
    let Some(dom) = rendered(&page, "list", "") else {
        return;
    };
    let failures = page.matches(r#""outcome":"failure""#).count();
    assert!(failures > 5);
    assert_eq!(count(&dom, r#"<tr class="row""#), failures);
    assert_eq!(
        count(&dom, r#"<span class="outcome failure">Failed</span>"#),
        failures
    );
    assert!(dom.contains(&format!("Showing {failures} of {failures} that match")));
    // The list says how it is sorted, and its headings can be pressed.
    assert_eq!(
        count(
            &dom,
            r#"aria-sort="ascending"><button type="button">No.</button>"#
        ),
        1
    );
}

#[test]
fn a_browser_shows_the_messages_of_an_addressed_failure() {
    let page = report("alert-unknown-ca", "report-ladder.html", &[]);
    let Some(dom) = rendered(&page, "ladder", "h1") else {
        return;
    };
    assert_eq!(count(&dom, r#"<tr class="row open" id="h1""#), 1);
    for step in [
        "ClientHello",
        "ServerHello",
        "Certificate",
        "Alert unknown_ca (fatal)",
    ] {
        let step = format!(r#"<span class="what">{step}</span>"#);
        assert_eq!(count(&dom, &step), 1, "{step}");
    }
    assert!(dom.contains(r#"aria-expanded="true""#));
    assert!(dom.contains("frame.number &gt;= ") && dom.contains("tcp.port == "));
}

fn handshake(number: u16, name: &str) -> Handshake {
    let client = Endpoint::new([192, 0, 2, 1].into(), number);
    let server = Endpoint::new([192, 0, 2, 10].into(), 443);
    let time =
        Timestamp::from_nanoseconds(1_772_366_400_000_000_000 + i64::from(number) * 1_000_000);
    let mut event = Handshake::new(time, client, server);
    event.tls.server_name = Some(name.into());
    event.outcome = if number.is_multiple_of(7) {
        Outcome::Unknown
    } else {
        Outcome::Success
    };
    event
}

fn page_of(events: impl Iterator<Item = Handshake>) -> String {
    let mut page = Vec::new();
    let mut sink = ReportSink::new(&mut page);
    for event in events {
        sink.handshake(&event).unwrap();
    }
    sink.finish(&Stats::default()).unwrap();
    String::from_utf8(page).unwrap()
}

#[test]
fn a_browser_takes_a_hostile_name_for_text() {
    let name = r#"</script><script>document.title = "owned"</script><img src="x" onerror="document.title = 'owned'">"#;
    let page = page_of((1..4).map(|number| handshake(number, name)));
    let Some(dom) = rendered(&page, "hostile", "h1") else {
        return;
    };
    assert!(dom.contains("<title>TLS handshakes: "));
    assert_eq!(dom.matches("<script").count(), 2, "the data and the script");
    assert!(!dom.contains("<img"));
    let shown = "<span class=\"name\">&lt;/script&gt;&lt;script&gt;document.title";
    assert_eq!(count(&dom, shown), 3);
}

#[test]
fn a_browser_lists_ten_thousand_handshakes() {
    let page = page_of((1..=10_000).map(|number| handshake(number, "www.example.org")));
    let Some(dom) = rendered(&page, "many", "") else {
        return;
    };
    assert!(dom.contains("Showing 100 of 10,000"));
    assert_eq!(count(&dom, r#"<tr class="row""#), 100);
}
