"""Copies potentials of QUIP's gap_fit, descriptor vectors and predictions that quippy 0.10.3 computed out of a folder.

    python tests/reference/gap/extract.py FOLDER

FOLDER holds cases.json (descriptor strings), vectors.npz (their values; energies, local energies, forces and virials of
the test frames, energies of the training frames), structures.xyz, and potentials/ (five XML files with their sparse
files, train.xyz and test.xyz). The training labels are those of a made-up pair sum: the potentials mean nothing.
"""

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(folder):
    cases = json.loads((folder / "cases.json").read_text())
    kept = {
        kind: [{key: case[key] for key in ("key", "structure", "descriptor")} for case in cases[kind]]
        for kind in ("soap_cases", "other_cases")
    }
    (HERE / "cases.json").write_text(json.dumps(kept, indent=1) + "\n")
    for file in [folder / "vectors.npz", folder / "structures.xyz", *sorted((folder / "potentials").iterdir())]:
        shutil.copyfile(file, HERE / file.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
