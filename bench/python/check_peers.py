"""Agreement with DScribe and featomic: runs all reference cases found and prints a table (case, achieved, tolerance).

    python bench/python/check_peers.py [folder]

The folder is by default shared/data/peer_reference beside the repository, or tests/reference/peers, which has a few of
the cases; tests/python/peer_cases.py says what it holds.
"""

import argparse
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "python"))

import peer_cases  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = REPOSITORY.parent / "shared" / "data" / "peer_reference"
    if not default.exists():
        default = REPOSITORY / "tests" / "reference" / "peers"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    structures, cases, arrays = peer_cases.read(parser.parse_args().folder)
    failed, start = 0, time.perf_counter()
    for package, case in cases:
        try:
            achieved, tolerance = peer_cases.check(package, case, structures, arrays)
            good, text = achieved <= tolerance, f"{achieved:9.1e}  {tolerance:7.0e}"
        except Exception as error:  # the table goes on
            good, text = False, f"{type(error).__name__}: {error}"
        failed += not good
        what = " ".join(str(v) for v in (case["structure"], case["method"] if package == "dscribe" else ""))
        print(f"{case['id']}  {'ok  ' if good else 'FAIL'}  {case['cls']:18s} {what:24.24s} {text}", flush=True)
    print(f"{len(cases) - failed} of {len(cases)} cases agree to their tolerance, {time.perf_counter() - start:.1f} s")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
