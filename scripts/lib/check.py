# SPDX-License-Identifier: Apache-2.0
"""scripts/check: runs the suites, shows one table, writes build/check/report.json.

    scripts/check [NAME...]        all suites, or these; `quick` stands for the fast ones
    scripts/check --only WORD ...  of the suites, only programs with WORD in their names
    scripts/check --stop ...       ends each suite at its first failed check
    scripts/check --list           what there is
    scripts/check --update-readme  puts the last report into README.md's status section

Runs on a bare Debian 12: each suite installs what it needs. ANYHV_JOBS sets how many processes a
build may use, ANYHV_COMMAND_LIMIT after how many seconds a test program is ended.

Exit status: 0 all passed, 1 something failed, 2 wrong usage, 128 + n ended by signal n.
"""

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import status
import suites
import tap

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build/check/report.json"
JOBS = os.environ.get("ANYHV_JOBS") or str(os.cpu_count() or 1)
COMMAND_LIMIT = os.environ.get("ANYHV_COMMAND_LIMIT")  # seconds
BUILD_LIMIT = 900  # seconds
SHELL_LIBRARY = ". scripts/lib/common.sh; . scripts/lib/apt.sh; "


class Failure(Exception):
    """A step before the tests went wrong: a failed check, with the end of its output."""

    def __init__(self, name, reason, output=""):
        super().__init__(name)
        self.name, self.reason, self.output = name, reason, output.splitlines()[-tap.SHOWN :]


def shell(script, *args, stdout=None):
    """Runs bash with the project's shell functions at hand."""
    command = ["bash", "-euo", "pipefail", "-c", SHELL_LIBRARY + script, "check", *args]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, text=True)


class Preparation:
    """What suites share and what is done once per run: packages, sysroots, builds."""

    def __init__(self):
        self.env = dict(os.environ, ANYHV_JOBS=JOBS, CMAKE_BUILD_PARALLEL_LEVEL=JOBS, ANYHV_PASSED="")
        self.built = {}  # preset: None, or the Failure that it met

    def packages(self, suite):
        if shell('need_packages "$@"', *suite.packages).returncode:
            raise Failure("packages", f"could not install: {' '.join(suite.packages)}")
        for sysroot in suite.sysroots:
            self._unpack(sysroot)

    def _unpack(self, sysroot):
        cache = shell("anyhv_cache", stdout=subprocess.PIPE).stdout.strip()
        folder = f"{cache}/{sysroot.variable.lower().replace('_', '-')}"
        words = (folder, sysroot.release, sysroot.arch, *sysroot.packages)
        if shell('unpack_packages "$@"', *words).returncode:
            raise Failure("packages", f"could not unpack for {sysroot.arch}: {sysroot.packages}")
        self.env[sysroot.variable] = folder

    def build(self, preset):
        """Configures and builds a preset; a second suite that needs it meets the same result."""
        if preset not in self.built:
            self.built[preset] = self._build(preset)
        if self.built[preset]:
            raise self.built[preset]

    def _build(self, preset):
        begin = time.monotonic()
        # What somebody tried out in this build folder is cached there: back to the defaults. What the
        # preset sets it sets again, and -U would win over that.
        stale = {"ANYHV_HV", "ANYHV_DEVICES"} - preset_variables(preset)
        configure = " ".join([f"cmake --preset {preset}", *(f"-U{name}" for name in sorted(stale))])
        for command in (configure, f"cmake --build --preset {preset} -- --quiet"):
            code, output = self._quiet(command.split())
            if code:
                return Failure("build", f"{command}: {code}", output)
        print(f"   built {preset} in {time.monotonic() - begin:.0f} s", flush=True)
        return None

    def _quiet(self, command):
        """Status and output of a command that prints no TAP."""
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )
        tap.children.add(process)
        try:
            output, _ = process.communicate(timeout=BUILD_LIMIT)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            return f"still running after {BUILD_LIMIT} s", ""
        finally:
            tap.end(process)
            tap.children.discard(process)

    def tell_passed(self, results):
        """Whom a later suite need not run to know that it passes."""
        passed = [suite.name for suite, found, _ in results if not status.count(found, "failed")]
        self.env["ANYHV_PASSED"] = " ".join(passed)

    def programs(self, preset, folder):
        """The tests that CMake knows for a folder of test/, as (name, command, environment)."""
        command = ["ctest", "--test-dir", f"build/{preset}", "--show-only=json-v1",
                   "-L", f"^{folder}$"]
        output = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True)
        tests = json.loads(output.stdout or '{"tests": []}')["tests"]
        if not tests:
            reason = f"test/{folder} has no programs in preset {preset}"
            raise Failure(folder, reason, output.stderr)
        for test in tests:
            properties = {p["name"]: p["value"] for p in test.get("properties", [])}
            extra = dict(pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []))
            yield test["name"], test["command"], self.env | extra


def preset_variables(name):
    """The cache variables that a preset of CMakePresets.json sets by itself."""
    with open(f"{ROOT}/CMakePresets.json", encoding="utf-8") as file:
        presets = json.load(file)["configurePresets"]
    return {key for p in presets if p["name"] == name for key in p.get("cacheVariables", {})}


def all_commands(suite, preparation):
    """What the suite runs, as (name, prefix of its checks' names, command, environment)."""
    for folder in suite.programs:
        for name, command, env in preparation.programs(suite.preset, folder):
            short = name if len(suite.programs) > 1 else name.removeprefix(folder + "/")
            yield short, short + ".", command, env
    for script in suite.scripts:
        words = script.split()
        yield Path(words[0]).stem, "", ["bash", *words], preparation.env


def commands(suite, preparation, only):
    found = [row for row in all_commands(suite, preparation) if only in row[0]]
    if not found:
        raise Failure("programs", f"none has '{only}' in its name")
    return found


def show(name, checks, seconds):
    """One command's results: failures and skips in full, the rest as numbers."""
    for check in checks:
        if check.status == "skipped":
            print(f"   SKIP {check.name}: {check.reason}")
        elif check.status == "failed":
            print(f"   FAIL {check.name}{': ' + check.reason if check.reason else ''}")
            for line in check.output:
                print(f"        {line}")
    print(f"   {name}: {status.tally(checks)} ({seconds:.1f} s)", flush=True)


def run_command(suite, name, prefix, command, env, stop):
    reason = dict(suite.without).get(name)
    if reason:
        return [tap.Check(suite.name, prefix + "all", "skipped", 0.0, reason)]
    limit = float(COMMAND_LIMIT or 60 + 2 * suite.budget)
    return tap.run(suite.name, name, command, ROOT, env, limit, prefix, stop)


def run_suite(suite, preparation, options):
    """The suite's checks and the seconds that it took, packages excluded."""
    print(f"== {suite.name}: {suite.about}", flush=True)
    checks, begin = [], time.monotonic()
    try:
        preparation.packages(suite)
        begin = time.monotonic()
        if suite.preset:
            preparation.build(suite.preset)
        for name, prefix, command, env in commands(suite, preparation, options.only):
            since = time.monotonic()
            found = run_command(suite, name, prefix, command, env, options.stop)
            show(name, found, time.monotonic() - since)
            checks += found
            if options.stop and status.count(found, "failed"):
                break
    except Failure as failure:
        lost = tap.Check(suite.name, failure.name, "failed", 0.0, failure.reason, failure.output)
        show(failure.name, [lost], 0.0)
        checks.append(lost)
    return checks, time.monotonic() - begin


def show_table(results):
    """`results`: (suite, checks, seconds) of each suite that ran."""
    line = "{:<16}{:>8}{:>8}{:>8}{:>9}{:>9}{:>8}"
    print("\n" + line.format("suite", "checks", "passed", "failed", "skipped", "seconds", "budget"))
    for suite, checks, seconds in results:
        numbers = [status.count(checks, word) for word in ("passed", "failed", "skipped")]
        over = "  OVER BUDGET" if seconds > suite.budget else ""
        row = line.format(suite.name, len(checks), *numbers, f"{seconds:.1f}", suite.budget)
        print(row + over)
    print()
    for check in (c for _, checks, _ in results for c in checks if c.status != "passed"):
        print(f"{check.status.upper()} {check.suite}: {check.name}"
              f"{': ' + check.reason if check.reason else ''}")


def write_report(checks):
    keys = ("suite", "name", "status", "seconds", "reason")
    rows = [{key: getattr(check, key) for key in keys} for check in checks]
    REPORT.write_text(json.dumps(rows, indent=1) + "\n")


def alone():
    """Two runs would build into the same folders: the second waits. Holds until its end."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    lock = open(REPORT.parent / "lock", "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for another scripts/check of this tree ...", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def interrupted(number, _frame):
    tap.end_all()
    print("\ninterrupted", file=sys.stderr, flush=True)
    os._exit(128 + number)


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/check", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--only", metavar="WORD", default="")
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--update-readme", action="store_true")
    options = parser.parse_args(arguments)
    try:
        options.suites = suites.choose(options.names)
    except KeyError as error:
        parser.error(error.args[0])
    return options


def main(arguments):
    options = parse(arguments)
    if options.list:
        for suite in suites.SUITES:
            quick = "quick" if suite.quick else ""
            print(f"{suite.name:<16}{suite.budget:>4} s  {quick:<7}{suite.about}")
        return 0
    if options.update_readme:
        status.update(ROOT / "README.md", REPORT)
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    lock = alone()
    preparation = Preparation()
    results = []
    for suite in options.suites:
        results.append((suite, *run_suite(suite, preparation, options)))
        if not options.only:
            preparation.tell_passed(results)
    checks = [check for _, found, _ in results for check in found]
    show_table(results)
    write_report(checks)
    lock.close()
    print(status.tally(checks, always_skipped=True))
    return 1 if status.count(checks, "failed") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
