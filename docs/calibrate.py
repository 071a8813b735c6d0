#!/usr/bin/env python3
"""Measures the rules of inference on labelled captures, and writes the table in docs/inference.md.

usage: docs/calibrate.py [--check] TLSCOPE LAB [LAB ...]

TLSCOPE is the program to measure. A LAB is a directory with captures and `labels.ndjson`, one line for each connection:

    {"pcap": "captures/a.pcap", "start": 1795373918.14, "client_port": 52750, "server_port": 20200,
     "truth": {"outcome": "failure", "failed_by": "server", "cause": "client_cert_missing", "rejected_after": null}}

`start` is in seconds since 1970; `failed_by` and `cause` are null after a success; `cause` is server_cert_rejected,
client_cert_rejected or client_cert_missing where a certificate was at issue, and anything else otherwise.
`rejected_after` is null, or the cause for which a completed handshake was refused afterwards, as `{"cause": ...}`.

A verdict is right if its outcome is that of the label, and for a failure its side; if it claims that a certificate, or the lack
of one, was the reason, the label has to say so, too. A confidence that lies more than 0.03 from the measured share is an
error. With --check, the table is printed, and nothing is written.
"""
import argparse
import calendar
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "inference.md")
VERDICTS = os.path.join(HERE, "../src/handshake/verdict")
BEGIN, END = "<!-- table of the rules, written by calibrate.py -->\n", "<!-- end of the table -->\n"
TOLERANCE = 0.03
FEW = 10

REFUSED = {
    "bad_certificate", "certificate_unknown", "unsupported_certificate", "cert_revoked", "cert_expired",
    "cert_not_yet_valid", "unknown_ca", "untrusted_ca", "self_signed", "incomplete_chain", "access_denied", "decrypt_error",
}
TYPES = {
    "server_cert_rejected": REFUSED | {"hostname_mismatch", "client_rejected_server", "handshake_failure"},
    "client_cert_rejected": REFUSED | {"server_rejected_client"},
    "client_cert_missing": {"missing_client_cert", "server_rejected_client", "handshake_failure"},
}


SAYS = {
    "Alert": "what its alert says",
    "Certificate": "its peer's certificate",
    "Negotiation": "the hellos",
    "Closed": "it closed",
    "Other": "not known",
}


def rules():
    """Identifier, claim, and confidence as text and number of each rule, in the order of the source."""
    source = open(os.path.join(VERDICTS, "inferred/rules.rs")).read()
    constants = dict(re.findall(r"^const (\w+): f64 = ([0-9.]+);", source, re.MULTILINE))
    table = source[source.index("pub(in crate::handshake::verdict) static RULES"):]
    found = re.findall(r'rule\("(\w+)",\s*\w+,\s*([0-9.]+|[A-Z]+),\s*(Success|Unknown|Failure\((\w+), (\w+)\))', table)
    for name, confidence, claim, side, reason in found:
        says = f"failure of the {side.lower()}: {SAYS[reason]}" if side else claim.lower()
        yield name, says, float(constants.get(confidence, confidence))
    source = open(os.path.join(VERDICTS, "cleartext.rs")).read()
    found = re.findall(r'id: "(\w+)",\s*confidence: ([0-9.]+),', source)
    for name, confidence in found:
        yield name, "failure: silence" if name == "T5" else "failure, up to TLS 1.2", float(confidence)


def seconds(stamp):
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (fraction or "0"))


def handshakes(tlscope, capture):
    run = subprocess.run([tlscope, "read", "--format", "json", capture], capture_output=True, check=True)
    found = defaultdict(list)
    for line in run.stdout.decode("utf8", "replace").splitlines():
        event = json.loads(line)
        if event.get("type") == "handshake":
            found[event["client"]["port"], event["server"]["port"]].append(event)
    return found


CERTIFICATE = set().union(*TYPES.values()) - {"handshake_failure", "decrypt_error", "access_denied"}


def judge(truth, event):
    """Whether outcome and side are right, and whether the cause is, where the verdict claims that a certificate was it."""
    error = event.get("error") or {}
    late = truth["rejected_after"]
    if event["outcome"] != truth["outcome"]:
        is_late = bool(late) and event["outcome"] == "failure" and error.get("type") in TYPES.get(late["cause"], ())
        return is_late, None
    if truth["outcome"] == "success":
        return True, None
    is_right = error.get("side") == truth["failed_by"]
    if error.get("type") not in CERTIFICATE:
        return is_right, None
    return is_right, is_right and error["type"] in TYPES.get(truth["cause"], ())


def measure(tlscope, labs):
    counts = defaultdict(Counter)
    for lab in labs:
        labels = defaultdict(list)
        with open(os.path.join(lab, "labels.ndjson")) as file:
            for line in file:
                label = json.loads(line)
                labels[label["pcap"]].append(label)
        for capture in sorted(labels):
            found = handshakes(tlscope, os.path.join(lab, capture))
            for label in labels[capture]:
                near = found.get((label["client_port"], label["server_port"]))
                if not near:
                    continue
                event = min(near, key=lambda event: abs(seconds(event["time"]) - label["start"]))
                rule = (event.get("inference") or {}).get("rule")
                count = counts[rule]
                if event["outcome"] == "unknown":
                    count["success" if label["truth"]["outcome"] == "success" else "failure"] += 1
                    continue
                is_right, has_cause = judge(label["truth"], event)
                count["decided"] += 1
                count["right"] += is_right
                count["share"] += is_right if has_cause is None else has_cause
                if has_cause is not None:
                    count["claims"] += 1
                    count["cause"] += has_cause
    return counts


def table(counts):
    """The lines of the table, and what is out of tolerance."""
    lines = [
        "| rule | says | confidence | outcome and side right | certificate was the cause | share |",
        "|---|---|---|---|---|---|",
    ]
    faults = []
    for name, claim, confidence in rules():
        count = counts[name]
        if claim == "unknown":
            split = f"{count['success']} successes, {count['failure']} failures"
            lines.append(f"| {name} | unknown | | {split} | | |")
            continue
        decided = count["decided"]
        share = count["share"] / decided if decided else None
        shown = "not measured" if share is None else f"{share:.3f}, few cases" if decided < FEW else f"{share:.3f}"
        right = f"{count['right']} of {decided}" if decided else "no case"
        cause = f"{count['cause']} of {count['claims']}" if count["claims"] else ""
        lines.append(f"| {name} | {claim} | {confidence:.2f} | {right} | {cause} | {shown} |")
        if decided and abs(share - confidence) > TOLERANCE + 1e-9:
            faults.append(f"{name}: confidence {confidence}, measured {share:.3f} of {decided}")
    return lines, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("tlscope")
    parser.add_argument("labs", nargs="+")
    arguments = parser.parse_args()
    lines, faults = table(measure(arguments.tlscope, arguments.labs))
    if arguments.check:
        print("\n".join(lines))
    else:
        page = open(PAGE).read()
        before, rest = page.split(BEGIN)
        _, after = rest.split(END)
        with open(PAGE, "w") as file:
            file.write(before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + after)
    sys.exit("\n".join(faults) if faults else 0)


if __name__ == "__main__":
    main()
