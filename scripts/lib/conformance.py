# SPDX-License-Identifier: Apache-2.0
"""scripts/conformance: which test proves what VIRTIO 1.4 demands of a device, and SCMI of a platform.

    scripts/conformance           writes docs/conformance.md and docs/scmi.md
    scripts/conformance --check   fails if that is not what stands there already

Requirements stand in test/conformance/requirements.txt, which explains itself, and scmi.txt. A test cites them in
the last sentence of the comment above it, "Proves THIS-ONE, AND-THIS-ONE.", be it a function of a
test program or a tap_check of a shell script. Fails if an id does not exist, or a test: programs
of the dev preset, which has to be built, are asked for theirs.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import suites

ROOT = Path(__file__).resolve().parents[2]
PRESET = "dev"

STRENGTHS = ("MUST NOT", "MUST", "SHOULD NOT", "SHOULD", "MAY", "TEXT")
REQUIREMENT = re.compile(rf"([A-Z][A-Z0-9-]+)  ({'|'.join(STRENGTHS)})  (\S.*)")
IDS = r"[A-Z][A-Z0-9-]+"
PROVES = re.compile(rf"\bProves ((?:{IDS}, )*{IDS})\.$")


class Problems(Exception):
    """Everything that is wrong, one line each: where and what."""


@dataclass(frozen=True)
class Document:
    requirements: str
    output: str
    head: str


@dataclass
class Requirement:
    id: str
    strength: str
    text: str
    section: str
    file: str
    inapplicable: str = ""  # why
    tests: list = field(default_factory=list)

    @property
    def counts(self):
        return not self.inapplicable and self.strength != "MAY"


@dataclass(frozen=True, order=True)
class Test:
    name: str
    file: str
    suites: tuple


# --- what is demanded -----------------------------------------------------------------------------


def _read_line(line, section, found, file):
    """One line of the file, comments and empty ones excepted. Returns the section it belongs to."""
    if line.startswith("== "):
        return line[3:]
    last = found[-1] if found else None
    match = REQUIREMENT.fullmatch(line)
    if match and section:
        found.append(Requirement(*match.groups(), section, file))
    elif last and line.startswith("    -- "):
        last.inapplicable = line[7:]
    elif last and line.startswith("    ") and last.inapplicable:
        last.inapplicable += " " + line.strip()
    elif last and line.startswith("    "):
        last.text += " " + line.strip()
    else:
        raise ValueError("neither a section, nor `ID  STRENGTH  what`, nor more of one")
    return section


def _read_file(root, file, problems):
    found, section = [], ""
    for number, line in enumerate((root / file).read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        try:
            section = _read_line(line, section, found, file)
        except ValueError as error:
            problems.append(f"{file}:{number}: {error}")
    return found


def read_requirements(root):
    found, problems = [], []
    for document in DOCUMENTS:
        found += _read_file(root, document.requirements, problems)
    ids = [requirement.id for requirement in found]
    problems += [f"{r.file}: {r.id} stands there twice" for r in found if ids.count(r.id) > 1]
    if problems:
        raise Problems(problems)
    return found


# --- what is cited --------------------------------------------------------------------------------

# A comment and what follows it: a test function, or a check of a script.
C_COMMENT = re.compile(
    r"/\*(?P<text>(?:(?!\*/).)*)\*/(?=(?:\s*(?:static void |TEST\()(?P<name>\w+)[()])?)", re.S
)
SH_COMMENT = re.compile(
    r'(?P<text>(?:^ *#.*\n)+)(?= *(?:tap_(?:check|empty) "(?P<name>[^"]*)")?)', re.M
)


def _cited_in(path, text, problems):
    """(name, ids, line) of each citation. A sentence that only looks like one is a problem."""
    for match in (C_COMMENT if path.suffix == ".c" else SH_COMMENT).finditer(text):
        words = " ".join(re.sub(r"^ *[*#]", "", match["text"], flags=re.M).split())
        if not re.search(rf"\bProves {IDS}\b", words):
            continue
        line = text.count("\n", 0, match.start()) + 1
        ids = PROVES.search(words)
        if ids and match["name"]:
            yield match["name"], ids[1].split(", "), line
        else:
            why = "does not end with `Proves ID, ID.`" if not ids else "stands above no test"
            problems.append(f"{path}:{line}: a citation that {why}")


def _names(text, function):
    """What the tests are called that a C function stands for."""
    rows = re.findall(rf'\{{"([^"]+)", {function}\b', text)
    rows += re.findall(rf'\({function}, "([^"]+)"', text)
    return rows or [function]


def citations(root, problems):
    """(file, line, name of the test, ids)"""
    for path in sorted([*root.glob("test/**/*.c"), *root.glob("test/**/*.sh")]):
        text, file = path.read_text(), path.relative_to(root)
        for name, ids, line in _cited_in(file, text, problems):
            for test in _names(text, name) if path.suffix == ".c" else [name]:
                yield file, line, test, ids


# --- what exists ----------------------------------------------------------------------------------


def _list(command):
    output = subprocess.run([*command, "--list"], capture_output=True, text=True, check=False)
    names = output.stdout.splitlines()
    if output.returncode or any(" " in name for name in names):
        raise Problems([f"{command[0]} --list fails: ANYHV_TEST_MAIN makes a main() that can"])
    return names


def built_tests():
    """By program, as CMake knows it (`unit/test_rng`): the tests that it has."""
    command = ["ctest", "--test-dir", str(ROOT / "build" / PRESET), "--show-only=json-v1"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    programs = json.loads(output or '{"tests": []}')["tests"]
    if not programs:
        raise Problems([f"build/{PRESET}: no tests; cmake --preset {PRESET} && "
                        f"cmake --build --preset {PRESET}"])
    return {program["name"]: _list(program["command"]) for program in programs}


def suites_of(file, name, built):
    """The suites that run the test `name` of a file. Its program has the file's name, unless the
    file is part of a library, which several programs can use."""
    if file.suffix == ".sh":
        return tuple(s.name for s in suites.SUITES if any(str(file) in x for x in s.scripts))
    own = f"{file.parent.name}/{file.stem}"
    programs = [own] if own in built else built
    return tuple(sorted({
        program.split("/")[0] for program in programs
        if any(test == name or test.endswith("/" + name) for test in built[program])
    }))


def attach(root, requirements, built):
    """Gives each requirement the tests that prove it."""
    known, problems = {r.id: r for r in requirements}, []
    for file, line, name, ids in citations(root, problems):
        test = Test(name, str(file), suites_of(file, name, built))
        where = f"{file}:{line}: {name}"
        if not test.suites:
            problems.append(f"{where}: no suite runs such a test")
        for i in ids:
            if i not in known:
                problems.append(f"{where} proves {i}, which no list of requirements has")
            elif known[i].inapplicable:
                problems.append(f"{where} proves {i}, which does not apply, says {known[i].file}")
            elif test not in known[i].tests:
                known[i].tests.append(test)
    if problems:
        raise Problems(problems)


# --- the document ---------------------------------------------------------------------------------

HEAD = """\
# Conformance

What VIRTIO 1.4 asks of a device, for everything we offer, and the tests that prove it. Generated by
`scripts/conformance` from [requirements.txt](../test/conformance/requirements.txt) and from what
the tests say they prove; [testing.md](testing.md) says how to cite. The wording is ours. *Text*
marks what the specification describes without a MUST or SHOULD; a *may* is a permission, which
needs no test. The last column tells where these tests run: `conformance` is in process, through
registers and without, `vhost-user` the same tests with the device in another process.
"""

SCMI_HEAD = """\
# SCMI

The commands of Arm's DEN0056 that [devices/scmi](../devices/scmi/README.md) serves, what VIRTIO adds, and
the tests that prove each. Generated by `scripts/conformance` from [scmi.txt](../test/conformance/scmi.txt)
and from what the tests say they prove. The wording is ours. *Must* marks mandatory commands and what the
specifications demand, *text* optional commands and what is said about them, our own policy included.
"""

DOCUMENTS = (
    Document("test/conformance/requirements.txt", "docs/conformance.md", HEAD),
    Document("test/conformance/scmi.txt", "docs/scmi.md", SCMI_HEAD),
)


def _link(test):
    return f"[{test.name}](../{test.file})"


def _proof(requirement):
    """The two last columns."""
    if requirement.inapplicable:
        return f"*does not apply: {requirement.inapplicable}*", ""
    if requirement.tests:
        names = sorted({suite for test in requirement.tests for suite in test.suites})
        return ", ".join(map(_link, sorted(requirement.tests))), ", ".join(names)
    return ("" if requirement.strength == "MAY" else "**untested**"), ""


def _summary(requirements):
    yield "| | applies | proven | untested |"
    yield "| --- | ---: | ---: | ---: |"
    rows = [(s, [r for r in requirements if r.strength == s and r.counts]) for s in STRENGTHS]
    for name, members in [*rows, ("**all**", [r for r in requirements if r.counts])]:
        proven = sum(bool(r.tests) for r in members)
        if members:
            untested = len(members) - proven
            mark = "**" if untested else ""
            yield f"| {name.lower()} | {len(members)} | {proven} | {mark}{untested}{mark} |"
    yield ""
    inapplicable = sum(bool(r.inapplicable) for r in requirements)
    allowed = sum(r.strength == "MAY" and not r.inapplicable for r in requirements)
    yield f"Besides, {allowed} permissions, and {inapplicable} that do not apply."


def _table(section, members):
    yield f"\n## {section}\n"
    yield "| | | the device | proven by | suites |"
    yield "| --- | --- | --- | --- | --- |"
    for r in members:
        tests, where = _proof(r)
        yield f"| {r.id} | {r.strength.lower()} | {r.text} | {tests} | {where} |"


def text_of(head, requirements):
    lines = [head, *_summary(requirements)]
    for section, members in groupby(requirements, lambda r: r.section):
        lines += _table(section, members)
    return "\n".join(lines) + "\n"


# --- the program ----------------------------------------------------------------------------------


def run(root, check):
    requirements = read_requirements(root)
    attach(root, requirements, built_tests())
    for document in DOCUMENTS:
        text = text_of(document.head, [r for r in requirements if r.file == document.requirements])
        output = root / document.output
        if not check:
            output.write_text(text)
        elif not output.exists() or output.read_text() != text:
            raise Problems([f"{document.output}: is not what the tests say: run scripts/conformance"])
    untested = [r.id for r in requirements if r.counts and not r.tests]
    required = sum(r.counts for r in requirements)
    proven = required - len(untested)
    print(f"{required} required, {proven} proven, {len(untested)} untested")
    for i in untested:
        print(f"untested: {i}")


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/conformance", description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", type=Path, default=ROOT, help="sources to look at, if not these")
    options = parser.parse_args(arguments)
    try:
        run(options.root, options.check)
    except Problems as problems:
        print("\n".join(problems.args[0]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
