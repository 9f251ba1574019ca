# SPDX-License-Identifier: Apache-2.0
"""Runs a command that prints TAP and turns what it printed into checks.

Understood: `ok N - name`, `not ok N - name`, `# SKIP reason` behind either, several plans `1..N`
in one stream (cmocka prints one per group and counts each from 1), `1..0 # SKIP reason`, and
cmocka's own way to skip, `not ok N # SKIP name`, with the reason on the `# ` line before it.
"""

import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

TEST = re.compile(
    r"\s*(?P<bad>not )?ok\b\s*\d*\s*(?:-\s+)?(?P<name>.*?)\s*(?:#\s*SKIP\b[:\s]*(?P<skip>.*))?$"
)
PLAN = re.compile(r"\s*1\.\.(?P<count>\d+)\s*(?:#\s*SKIP\b[:\s]*(?P<skip>.*))?$")
STEP = re.compile(r"\S.* \.\.\. \d+ s")  # how common.sh's step reports what took a while
SHOWN = 30  # lines of output that a failed check shows
KEPT = 2000  # lines that are remembered of one command
GRACE = 3  # seconds between asking and forcing a command to end

children = set()  # process groups that are still to be ended, should we be


@dataclass
class Check:
    suite: str
    name: str
    status: str  # passed, failed, skipped
    seconds: float
    reason: str = ""
    output: list = field(default_factory=list)


def end(process):
    """Ends a command and everything that it started; first gently, for it may have to clean up."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(GRACE)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_all():
    for process in list(children):
        end(process)


class Reader:
    """Takes one command's lines as they arrive and collects its checks."""

    def __init__(self, suite, prefix):
        self.suite, self.prefix = suite, prefix
        self.checks, self.lines = [], []
        self.planned, self.seen, self.plans = 0, 0, 0
        self.since = time.monotonic()
        self.mark = 0  # where the lines since the last test line begin

    def line(self, text):
        if STEP.fullmatch(text):
            print(f"   {text}", flush=True)
        self.lines.append(text)
        if len(self.lines) > KEPT:
            del self.lines[: KEPT // 2]
            self.mark = max(0, self.mark - KEPT // 2)
        plan, test = PLAN.fullmatch(text), TEST.fullmatch(text)
        if plan:
            self._plan(plan)
        elif test:
            self._test(test)

    def add(self, name, status, reason=""):
        now = time.monotonic()
        check = Check(self.suite, name, status, round(now - self.since, 3), reason)
        check.output = self.lines[self.mark : -1]
        self.since, self.mark = now, len(self.lines)
        self.checks.append(check)

    def failed(self):
        return any(check.status == "failed" for check in self.checks)

    def _plan(self, match):
        self.plans += 1
        self.planned += int(match["count"])
        if match["skip"]:
            self.add(self.prefix + "all", "skipped", match["skip"])

    def _test(self, match):
        self.seen += 1
        name, skip = match["name"], match["skip"]
        full = self.prefix + (name or skip or "(no name)")
        if skip is not None:
            self.add(full, "skipped", skip if name else self._last_comment())
        else:
            self.add(full, "failed" if match["bad"] else "passed")

    def _last_comment(self):
        comments = [text[2:].strip() for text in self.lines[self.mark : -1] if text[:2] == "# "]
        return comments[-1] if comments else "the test gives no reason"

    def verdict(self, code, limit, late):
        """What is wrong with the command as a whole; empty if nothing is."""
        if late:
            return f"still running after {limit} s"
        if code < 0:
            return f"died of {signal.Signals(-code).name}"
        if not self.plans:
            return "printed no plan (1..N)" if self.seen else "ran no test"
        if self.seen != self.planned:
            return f"planned {self.planned} tests, ran {self.seen}"
        if not self.checks:
            return "ran no test"
        if code and not self.failed():
            return f"ended with status {code}"
        return ""


def _attach_output(checks, rest):
    """A failed check shows what was printed during it, and the `# ` lines that follow it."""
    following = [check.output for check in checks[1:]] + [rest]
    for check, after in zip(checks, following):
        during = [text for text in check.output if not text.startswith("#")]
        comments = [text for text in after if text.startswith("#")]
        check.output = (during + comments)[-SHOWN:] if check.status == "failed" else []


def run(suite, name, command, cwd, env, limit, prefix="", stop=False):
    """Runs one command; returns its checks. `prefix` goes before the name of each. With `stop` the
    first failed check is the last."""
    reader, late = Reader(suite, prefix), threading.Event()
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )

    def too_late():
        late.set()
        end(process)

    timer = threading.Timer(limit, too_late)
    children.add(process)
    timer.start()
    try:
        for line in process.stdout:
            reader.line(line.rstrip("\n"))
            if stop and reader.failed():
                return reader.checks
        code = process.wait()
    finally:
        timer.cancel()
        end(process)
        children.discard(process)
    _attach_output(reader.checks, reader.lines[reader.mark :])
    wrong = reader.verdict(code, limit, late.is_set())
    if wrong:
        reader.add(name, "failed", wrong)
        reader.checks[-1].output = reader.lines[-SHOWN:]
    return reader.checks
