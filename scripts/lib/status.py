# SPDX-License-Identifier: Apache-2.0
"""Counts checks, and writes the status section of README.md from a report of scripts/check."""

import json
from types import SimpleNamespace

from suites import SUITES

BEGIN, END = "<!-- status:begin -->", "<!-- status:end -->"


def count(checks, word):
    return sum(check.status == word for check in checks)


def tally(checks, always_skipped=False):
    """`N passed, N failed`, and `, N skipped` where there are any or it is asked for."""
    text = f"{count(checks, 'passed')} passed, {count(checks, 'failed')} failed"
    skipped = count(checks, "skipped")
    return f"{text}, {skipped} skipped" if skipped or always_skipped else text


def _verdict(checks):
    if count(checks, "failed"):
        return "**fails**"
    return "passes" if count(checks, "passed") else "skipped"


def _suite_rows(of_suite):
    yield "| suite | what it shows | passed | failed | skipped |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for suite, checks in of_suite:
        numbers = [str(count(checks, word)) for word in ("passed", "failed", "skipped")]
        yield f"| {suite.name} | {suite.about} | {' | '.join(numbers)} |"


def _proof_rows(of_suite):
    yield "| hypervisor module | device | guest | suite | result |"
    yield "| --- | --- | --- | --- | --- |"
    for suite, checks in of_suite:
        for module, device, guest in suite.proves:
            yield f"| {module} | {device} | {guest} | {suite.name} | {_verdict(checks)} |"


def section(checks):
    """What stands between the markers. A suite that did not run is left out."""
    of_suite = [(s, [c for c in checks if c.suite == s.name]) for s in SUITES]
    of_suite = [(suite, found) for suite, found in of_suite if found]
    return "\n".join([BEGIN, *_suite_rows(of_suite), "", *_proof_rows(of_suite), END])


def update(readme, report):
    """Replaces what stands between the two markers of `readme`."""
    checks = [SimpleNamespace(**row) for row in json.loads(report.read_text())]
    text = readme.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{readme}: needs the lines {BEGIN} and {END}, once each")
    before, rest = text.split(BEGIN)
    readme.write_text(before + section(checks) + rest.split(END)[1])
