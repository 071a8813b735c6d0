//! DTLS over a network that loses, repeats and reorders datagrams; and traffic that is none.
//!
//! The fixtures of DTLS are changed. Where datagrams are lost or swapped, a verdict may become `unknown` and nothing else;
//! copies change nothing at all.

use crate::support::datagrams::{
    Subject, assert_nothing_reported, each_cut, each_lost, each_swapped, many_lost, noise,
};
use crate::support::random::Random;

const SUBJECT: Subject = Subject {
    protocol: "dtls",
    has_keys: false,
};

#[test]
fn a_datagram_that_the_capture_lacks_makes_no_verdict_wrong() {
    SUBJECT.assert_survives(|capture| each_lost(capture).collect());
}

#[test]
fn many_lost_datagrams_make_no_verdict_wrong() {
    let mut random = Random::new(14);
    SUBJECT.assert_survives(|capture| many_lost(capture, &mut random).collect());
}

#[test]
fn the_order_of_datagrams_makes_no_verdict_wrong() {
    SUBJECT.assert_survives(|capture| each_swapped(capture).collect());
}

#[test]
fn copies_of_datagrams_change_nothing() {
    SUBJECT.assert_ignores_copies();
}

#[test]
fn a_capture_cut_by_the_snap_length_makes_no_verdict_wrong() {
    SUBJECT.assert_survives(|capture| each_cut(capture).collect());
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
