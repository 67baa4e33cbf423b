"""What a package costs before it answers: time to import it and to load its network, and what is installed for it."""

import importlib.util
import json
import statistics
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TIMER = """import time
def now(): return [time.perf_counter(), time.process_time()]
started = now()
{imports}
imported = now()
{loads}
loaded = now()
print()
print(*(end - start for ends in (imported, loaded) for end, start in zip(ends, started)))
"""
MEASURES = ("import_s", "import_processor_s", "import_and_load_s", "import_and_load_processor_s")


def start_times(programs: dict[str, tuple[str, str]], rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds to import, and to import and load, in fresh processes: medians over rounds that take turns.

    programs: by name, Python that imports and Python that loads. The first of each is not counted, as it reads files
    from the disk. Those that fail have the last line of their error instead.
    """
    times: dict[str, list[list[float]]] = {name: [] for name in programs}
    failed: dict[str, str] = {}
    for round_ in range(rounds + 1):
        for name, (imports, loads) in programs.items():
            if name in failed:
                continue
            code = TIMER.format(imports=imports, loads=loads)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
            if done.returncode:
                failed[name] = (done.stderr.strip().splitlines() or ["no message"])[-1]
            elif round_:
                times[name].append([float(each) for each in done.stdout.splitlines()[-1].split()])
    found: dict[str, dict[str, Any]] = {}
    for name, rows in times.items():
        if name in failed:
            found[name] = {**dict.fromkeys(MEASURES), "import_fails": failed[name]}
        else:
            medians = (round(statistics.median(column), 3) for column in zip(*rows, strict=True))
            found[name] = dict(zip(MEASURES, medians, strict=True))
    return found


def installed_size(name: str) -> dict[str, Any]:
    """Bytes of all files of a distribution and of what it requires, without extras; those that are not installed.

    Bytes are null where some are not installed.
    """
    files: set[Path] = set()
    missing: set[str] = set()
    seen: set[tuple[str, str]] = set()
    wanted = [(name, "")]
    while wanted:
        each, extra = wanted.pop()
        if (canonicalize_name(each), extra) in seen:
            continue
        seen.add((canonicalize_name(each), extra))
        try:
            found = distribution(each)
        except PackageNotFoundError:
            missing.add(each)
            continue
        files |= files_of(found)
        for requirement in map(Requirement, found.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                wanted += [(requirement.name, other) for other in ("", *sorted(requirement.extras))]
    sizes = sum(file.stat().st_size for file in files)
    return {
        "installed_bytes": None if missing else sizes,
        "distributions": len({each for each, _ in seen}),
        "not_installed": sorted(missing),
    }


def files_of(found: Distribution) -> set[Path]:
    """The files of a distribution; of one installed for development, those of its package too."""
    files = {Path(str(found.locate_file(file))).resolve() for file in found.files or []}
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        package = importlib.util.find_spec(found.metadata["Name"])
        for folder in (package.submodule_search_locations or []) if package else []:
            files |= {file.resolve() for file in Path(folder).rglob("*")}
    return {file for file in files if file.is_file()}
