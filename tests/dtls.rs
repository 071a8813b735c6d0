//! DTLS over a network that loses, repeats and reorders datagrams; and traffic that is none.
//!
//! The fixtures of DTLS are changed. Where datagrams are lost or swapped, a verdict may become `unknown` and nothing else;
//! copies change nothing at all.

use crate::support::datagrams::{
    self, Case, assert_nothing_reported, doubled, each_cut, each_lost, each_swapped, many_lost,
    noise,
};
use crate::support::pcap::Pcap;
use crate::support::random::Random;

fn cases() -> Vec<Case> {
    datagrams::cases("dtls")
}

fn assert_not_wrong(case: &Case, (change, changed): (String, Pcap)) {
    let what = format!("{} {change}", case.name);
    datagrams::assert_not_wrong(&what, "dtls", (&case.capture, &changed), b"");
}

#[test]
fn a_datagram_that_the_capture_lacks_makes_no_verdict_wrong() {
    for case in cases() {
        each_lost(&case.capture).for_each(|lossy| assert_not_wrong(&case, lossy));
    }
}

#[test]
fn many_lost_datagrams_make_no_verdict_wrong() {
    let mut random = Random::new(14);
    for case in cases() {
        many_lost(&case.capture, &mut random).for_each(|lossy| assert_not_wrong(&case, lossy));
    }
}

#[test]
fn the_order_of_datagrams_makes_no_verdict_wrong() {
    for case in cases() {
        each_swapped(&case.capture).for_each(|swapped| assert_not_wrong(&case, swapped));
    }
}

#[test]
fn copies_of_datagrams_change_nothing() {
    for Case { name, capture, .. } in cases() {
        let verdicts = |capture| datagrams::verdicts("dtls", capture, b"");
        assert_eq!(verdicts(&doubled(&capture)), verdicts(&capture), "{name}");
    }
}

#[test]
fn a_capture_cut_by_the_snap_length_makes_no_verdict_wrong() {
    for case in cases() {
        each_cut(&case.capture).for_each(|cut| assert_not_wrong(&case, cut));
    }
}

#[test]
fn noise_over_udp_is_no_handshake() {
    const HEADS: [&[u8]; 8] = [
        &[22, 0xfe, 0xfd, 0, 0],
        &[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        &[20, 0xfe, 0xfd],
        &[0x40, 0x01, 0, 40, 22, 0xfe, 0xff, 0, 0],
        &[0, 0x17, 0, 60, 0x21, 0x12, 0xa4, 0x42],
        &[1, 0, 0, 0, 22, 0xfe, 0xff],
        &[0x2f],
        &[0x80, 96],
    ];
    assert_nothing_reported(&noise(16, &HEADS));
}
