#!/usr/bin/env python3
"""Checks what the style guide can say mechanically, over every file git tracks or would track.

    lint.py              the whole tree; prints file:line: rule: message, exits 1 if anything is found
    lint.py --self-test  proves that each rule finds its own bad example and passes its good one

Rules, each with the reason in its message: include directions between folders, identifiers and headers
banned per folder, budgets of files, functions and folders, format (clang-format 14), leftovers (machine
paths, TODO without an issue), shell scripts (shellcheck), claims of docs/COMPATIBILITY.md (each names
tests, and they exist). An exception needs a line with a reason in
tests/lint/exceptions.txt:  RULE PATH  reason
"""
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MODULES = ("router", "ipam", "dns", "policy", "plugin", "probe", "control", "app")
SOURCES = (".h", ".cc", ".c")

HEADER_LINES_MAX = 300
CORE_LINES_MAX = 600
SHELL_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
FOLDER_FILES_MAX = 25

# What a pure folder must not name: pattern, what to use instead.
PURE_BANS = (
    (r"#include <boost/(asio|beast)", "Asio belongs to io/ and sys/ (a core returns actions)"),
    (r"#include <(linux|netlink|libmnl|libnftnl|bpf)/", "kernel headers belong to sys/"),
    (r"#include <(net/if|sys/(socket|ioctl|mount|epoll)|unistd|fcntl|sched|poll)\.h>",
     "system calls belong to sys/"),
    (r"#include <(thread|mutex|shared_mutex|atomic|condition_variable|future|random|iostream|fstream)>",
     "cores are single-threaded, replayable and silent"),
    (r"#include \"base/log\.h\"", "a core returns events; the shell logs them once"),
    (r"\b(system_clock|steady_clock|high_resolution_clock)\b", "time is an argument (base/time.h)"),
    (r"\b(std::rand|srand|random_device|mt19937)\b", "randomness is an argument (base/rng.h)"),
    (r"\b(printf|std::cout|std::cerr|puts)\b", "a core does not print"),
    (r"\bgetenv\b", "configuration is an argument"),
    (r"\bunordered_(map|set)\b", "iteration order could reach an action: use map or set"),
)

# What no file of ours may name.
EVERYWHERE_BANS = (
    (r"\bstd::views\b|\bstd::ranges::views\b", "Clang 14 rejects views: use algorithms"),
    (r"#include <(format|source_location|expected)>", "not in both compilers: fmt, __builtin_FILE, Result"),
    (r"\busing namespace\b", "name what you use"),
    (r"\b(system|popen)\s*\(", "call the library, do not shell out"),
    (r"\bsleep_for\b|\busleep\s*\(", "wait for the condition, or move virtual time"),
    (r"\bGTEST_SKIP\b|\bDISABLED_", "a test runs or does not exist"),
)

LEFTOVERS = (
    (r"/(work|root|home/[a-z]+)/[A-Za-z.]", "a path of somebody's machine"),
    (r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))", "write TODO(#issue) or finish it"),
)


def folder_of(path):
    return path.split("/", 1)[0]


def is_shell_side(path):
    """io/, sys, agent, tests and bench may touch the world; the rest is pure."""
    top = folder_of(path)
    return top in ("sys", "agent", "tests", "bench") or "/io/" in path or "/bpf/" in path


def is_pure(path):
    return folder_of(path) in MODULES + ("base",) and not is_shell_side(path)


def allowed_includes(path):
    """The first components of quoted includes that `path` may use, and whether proto is among them."""
    top = folder_of(path)
    if top == "base":
        return {"base"}
    if top == "sys":
        # The fast path's maps are described once, next to its programs.
        return {"base", "sys", "router/bpf"}
    if top in MODULES:
        allowed = {"base", top}
        if "/io/" in path:
            allowed.add("sys")
        elif path.endswith(".cc"):
            allowed.add("proto")
        if top == "app":
            allowed.update({"probe/report", "control"})
        return allowed
    return None  # agent, tests, bench: everything.


def strip_code(text):
    """Comments, strings and characters blanked, line structure kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    pattern = r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])\''
    return re.sub(pattern, blank, text, flags=re.S)


def functions(text):
    """(first line, last line) of each outermost function body, by matching braces."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", strip_code(text), flags=re.M)
    stack, found, statement, line = [], [], "", 1
    for char in code:
        if char == "\n":
            line += 1
        if char == "{":
            head = statement.strip()
            inside = "function" in [kind for kind, _ in stack]
            container = re.search(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$", head)
            kind = "other"
            if not inside and not container and ")" in head and not re.search(r"=\s*$", head):
                kind = "function"
            stack.append((kind, line))
            statement = ""
        elif char == "}":
            if stack:
                kind, start = stack.pop()
                if kind == "function":
                    found.append((start, line))
            statement = ""
        elif char == ";":
            statement = ""
        else:
            statement += char
    return found


def check_source(path, text):
    """Yields (line, rule, message) for one C or C++ file."""
    lines = text.split("\n")
    allowed = allowed_includes(path)
    for number, line in enumerate(lines, 1):
        include = re.match(r'#include "([^"]+)"', line)
        if include and allowed is not None:
            target = include.group(1)
            generated = target.endswith(".skel.h")
            if not generated and not any(target.startswith(prefix + "/") for prefix in allowed):
                yield number, "include", f'"{target}" from {path}: allowed are {", ".join(sorted(allowed))}'
        bans = EVERYWHERE_BANS + (PURE_BANS if is_pure(path) else ())
        code = line if line.startswith("#include") else strip_code(line)
        for pattern, instead in bans:
            if re.search(pattern, code):
                yield number, "banned", f"{re.search(pattern, code).group(0).strip()}: {instead}"
    limit = HEADER_LINES_MAX if path.endswith(".h") else (
        SHELL_LINES_MAX if is_shell_side(path) else CORE_LINES_MAX)
    if len(lines) - 1 > limit:
        yield 1, "file-size", f"{len(lines) - 1} lines (at most {limit})"
    for start, end in functions(text):
        if end - start + 1 > FUNCTION_LINES_MAX:
            yield start, "function-size", f"{end - start + 1} lines (at most {FUNCTION_LINES_MAX})"
    if path.endswith(".h") and "#pragma once" not in text:
        yield 1, "header", "no #pragma once"


def check_leftovers(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, message in LEFTOVERS:
            if re.search(pattern, line):
                yield number, "leftover", f"{re.search(pattern, line).group(0)}: {message}"


def check_folders(paths):
    counts = {}
    for path in paths:
        if path.endswith(SOURCES):
            counts.setdefault(os.path.dirname(path), []).append(path)
    for folder, files in sorted(counts.items()):
        if len(files) > FOLDER_FILES_MAX:
            yield folder, f"{len(files)} source files (at most {FOLDER_FILES_MAX}; split it)"


COMPATIBILITY = "docs/COMPATIBILITY.md"
# A row of a table: what there was, what there is, and what shows it.
COMPATIBILITY_ROW = re.compile(r"\|(.*)\|(.*)\|(.*)\|\s*$")
TEST_NAME = re.compile(r"\b[A-Z][a-z]+(?:[A-Z0-9][a-z0-9]*){2,}\b")


def check_compatibility(text, test_files, test_names):
    for number, line in enumerate(text.splitlines(), 1):
        row = COMPATIBILITY_ROW.match(line.replace("\\|", "!"))
        if not row or set(row.group(1).strip()) <= {"-"} or row.group(1).strip() == "Weave":
            continue
        here, shown_by = row.group(2), row.group(3)
        if not shown_by.strip() and "**missing**" not in here and "not there" not in here:
            yield number, "compatibility", "a claim without a test that shows it"
        for name in TEST_NAME.findall(shown_by):
            if name not in test_names:
                yield number, "compatibility", f"{name} is no test"
        for name in re.findall(r"`([\w/]+\.(?:cc|sh|py))`", shown_by):
            if name.split("/")[-1] not in test_files:
                yield number, "compatibility", f"{name} is not there"


# What a row says of a script, `260_attach_2_test.sh`: some words; or by its number alone.
STEP = re.compile(r"(?:`(?:tests/e2e/)?(\d{3})_\w+\.sh`|\b(\d{3})): ([^;|`(]+)")


def check_steps(text, scripts):
    """Words beside a script's name are words of the script: of a step, or of what it asserts."""
    for number, line in enumerate(text.splitlines(), 1):
        row = COMPATIBILITY_ROW.match(line.replace("\\|", "!"))
        for step in STEP.finditer(row.group(3) if row else ""):
            script = scripts.get(step.group(1) or step.group(2), "")
            whole = step.group(3).strip(" ,").lower()
            for words in [whole] if whole in script else whole.split(","):
                if words.strip() not in script:
                    yield number, "compatibility", f"'{words.strip()}' is not in {step.group(0).split(':')[0]}"


def tracked():
    listing = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard"],
                             cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for path in listing.splitlines() if os.path.isfile(os.path.join(ROOT, path)))


def run_tool(command, paths, rule):
    """Feeds the files to an outside checker; yields its complaints."""
    if shutil.which(command[0]) is None:
        yield f"{command[0]} is not installed: run ./run setup [{rule}]"
        return
    result = subprocess.run(command + paths, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        for line in (result.stdout + result.stderr).splitlines():
            if re.match(r"\S+:\d+", line):
                yield f"{line} [{rule}]"


def exceptions():
    known = {}
    with open(os.path.join(ROOT, "tests/lint/exceptions.txt"), encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                rule, path, reason = line.strip().split(None, 2)
                known[(rule, path)] = reason
    return known


def lint():
    paths = tracked()
    excused, used, complaints = exceptions(), set(), []
    test_files = {path.split("/")[-1] for path in paths if path.startswith("tests/")}
    test_names, scripts, compatibility = set(), {}, ""

    def complain(path, number, rule, message):
        if (rule, path) in excused:
            used.add((rule, path))
        else:
            complaints.append(f"{path}:{number}: {rule}: {message}")

    for path in paths:
        if path.startswith(("tests/lint/", "tests/golden/")) or path == "LICENSE" or "/corpus/" in path:
            continue
        with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
            text = file.read()
        found = list(check_leftovers(path, text))
        if path.endswith(SOURCES):
            found += check_source(path, text)
        if path.startswith("tests/") and path.endswith(".cc"):
            test_names.update(re.findall(r"\bTEST(?:_F|_P)?\(\s*\w+,\s*(\w+)\)", text))
        if path.startswith("tests/e2e/") and path.endswith("_test.sh"):
            scripts[os.path.basename(path)[:3]] = text.lower()
        if path == COMPATIBILITY:
            compatibility = text
        for number, rule, message in found:
            complain(path, number, rule, message)
    claims = [*check_compatibility(compatibility, test_files, test_names), *check_steps(compatibility, scripts)]
    for number, rule, message in claims:
        complain(COMPATIBILITY, number, rule, message)
    for folder, message in check_folders(paths):
        complain(folder, 0, "folder-size", message)
    for key in sorted(set(excused) - used):
        complaints.append(f"tests/lint/exceptions.txt:0: stale: {' '.join(key)} excuses nothing")

    sources = [path for path in paths if path.endswith(SOURCES)]
    if shutil.which("clang-format-14") is None:
        print("lint: format not checked: other versions format differently, and this distribution has no clang-format-14")
    else:
        complaints += run_tool(["clang-format-14", "--dry-run", "-Werror"], sources, "format")
    scripts = [path for path in paths if path.endswith(".sh") or starts_as_shell(path)]
    complaints += run_tool(["shellcheck", "-S", "warning", "-x", "-f", "gcc"], scripts, "shellcheck")

    for complaint in complaints:
        print(complaint)
    print(f"lint: {len(complaints)} complaints in {len(paths)} files")
    return 1 if complaints else 0


def starts_as_shell(path):
    with open(os.path.join(ROOT, path), "rb") as file:
        return re.match(rb"#!\s*/(usr/)?bin/(env )?(ba)?sh\b", file.readline()) is not None


SELF_TESTS = (
    # path, text, rules expected
    ("ipam/ring.cc", '#include "router/mesh.h"\n', ["include"]),
    ("ipam/io/service.cc", '#include "sys/store.h"\n#include "ipam/ring.h"\n', []),
    ("ipam/ring.cc", '#include "sys/store.h"\n', ["include"]),
    ("ipam/ring.h", '#pragma once\n#include "proto/ipam.pb.h"\n', ["include"]),
    ("base/a.cc", '#include "sys/clock.h"\n', ["include"]),
    ("router/mesh.cc", "#include <boost/asio.hpp>\n", ["banned"]),
    ("router/io/mesh_service.cc", "#include <boost/asio.hpp>\n", []),
    ("router/mesh.cc", "auto t = std::chrono::steady_clock::now();\n", ["banned"]),
    ("router/mesh.cc", "// steady_clock is not used here\n", []),
    ("agent/a.cc", 'system("ip link");\n', ["banned"]),
    ("tests/unit/a.cc", "std::this_thread::sleep_for(1s);\n", ["banned"]),
    ("base/a.h", "int x;\n", ["header"]),
    ("base/a.h", "#pragma once\n" + "\n" * 300, ["file-size"]),
    ("ipam/a.cc", "void f() {\n" + "  g();\n" * 69 + "}\n", ["function-size"]),
    ("ipam/a.cc", "void f() {\n" + "  g();\n" * 68 + "}\n", []),
    ("ipam/a.cc", "namespace weft {\n" + "int g();\n" * 90 + "}\n", []),
)


def self_test():
    failures = 0
    for path, text, expected in SELF_TESTS:
        found = [rule for _, rule, _ in check_source(path, text)]
        if found != expected:
            print(f"self-test: {path} {text[:60]!r}: expected {expected}, found {found}")
            failures += 1
    for text, expected in (("see /" + "work/main/x", 1), ("// TO" + "DO: later", 1), ("// TO" + "DO(#4): later", 0)):
        if len(list(check_leftovers("a.cc", text))) != expected:
            print(f"self-test: leftovers in {text!r}: expected {expected}")
            failures += 1
    for row, expected in (("| a | the same | IsATest |", 0), ("| a | the same | |", 1), ("| a | **missing** | |", 0),
                          ("| a | the same | IsNoTest, `b_test.cc` |", 1), ("| a | the same | `c.sh` |", 1)):
        if len(list(check_compatibility(row, {"b_test.cc"}, {"IsATest"}))) != expected:
            print(f"self-test: compatibility of {row!r}: expected {expected}")
            failures += 1
    for shown_by, expected in (("100: one, two", 0), ("`100_x_2_test.sh`: Two things", 0), ("100: three", 1), ("200: one", 1)):
        if len(list(check_steps(f"| a | the same | {shown_by} |", {"100": 'step "one" and "two things"'}))) != expected:
            print(f"self-test: steps of {shown_by!r}: expected {expected}")
            failures += 1
    print(f"lint self-test: {len(SELF_TESTS) + 12 - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(self_test() if "--self-test" in sys.argv else lint())
