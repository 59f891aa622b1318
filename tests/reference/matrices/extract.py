"""Copies the cases of Coulomb and sine matrices out of a folder of vectors that DScribe 2.1.2 computed.

    python tests/reference/matrices/extract.py FOLDER

FOLDER holds dscribe_cases.json, dscribe.npz (an array per case) and structures.json. Left out: random permutations.
"""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def main(folder):
    cases = json.loads((folder / "dscribe_cases.json").read_text())
    cases = [case for case in cases if case["cls"] in ("CoulombMatrix", "SineMatrix")]
    cases = [case for case in cases if case["kwargs"]["permutation"] != "random"]
    arrays, structures = np.load(folder / "dscribe.npz"), json.loads((folder / "structures.json").read_text())
    result = {
        "structures": {name: structures[name] for name in sorted({case["structure"] for case in cases})},
        "cases": [
            {key: case[key] for key in ("cls", "structure", "kwargs")} | {"features": arrays[case["id"]].tolist()}
            for case in cases
        ],
    }
    (HERE / "dscribe.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
