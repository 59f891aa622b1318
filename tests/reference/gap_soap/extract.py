"""Copies the cases that mercer.SOAP covers out of a folder of vectors that quippy 0.10.3 computed.

    python tests/reference/gap_soap/extract.py FOLDER

FOLDER holds cases.json, vectors.npz (one array of rows per case, for the centres that the descriptor string selects)
and structures.xyz. Left out: centres in all channels, averaged vectors, other radial bases.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np

UNSUPPORTED = ("average=T", "radial_basis=", "central_reference_all_species=T", "diagonal_radial=T")
HERE = Path(__file__).parent


def covered(case):
    """One channel of a given element counts the centre whatever it is, unless the flag says otherwise."""
    text = case["descriptor"]
    one_channel = "n_species=1 species_Z=6" in text and "central_reference_all_species=F" not in text
    return not one_channel and not any(word in text for word in UNSUPPORTED)


def main(folder):
    cases = [case for case in json.loads((folder / "cases.json").read_text())["soap_cases"] if covered(case)]
    vectors = np.load(folder / "vectors.npz")
    keep = [{key: case[key] for key in ("key", "structure", "descriptor")} for case in cases]
    (HERE / "cases.json").write_text(json.dumps(keep, indent=1) + "\n")
    np.savez_compressed(HERE / "vectors.npz", **{case["key"]: vectors[case["key"]] for case in cases})
    shutil.copyfile(folder / "structures.xyz", HERE / "structures.xyz")
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
