"""Copies a few of the reference cases of DScribe and featomic into tests/reference/peers.

python tests/reference/copy_peers.py shared/data/peer_reference
"""

import json
import sys
from pathlib import Path

import numpy as np

CASES = {
    "dscribe": "d000 d008 d009 d011 d013 d014 d016 d017 d021 d025 d026 d027 d029 d031 d034 d036 d038 d039 "
    "d041 d042 d043 d045 d047 d048 d050 d051 d052 d055 d060 d061 d064 d065 "
    "d068 d069 d073 d074 d075 d076 d077 d078 d079 d080 d081 d082 d083 d084 d085 d086",
    "featomic": "f003 f004 f005 f008 f009 f010",
}


def copy(source, target):
    target.mkdir(exist_ok=True)
    used = set()
    for package, names in CASES.items():
        cases = [
            case for case in json.loads((source / f"{package}_cases.json").read_text()) if case["id"] in names.split()
        ]
        for case in cases:
            used.update([case["structure"]] if isinstance(case["structure"], str) else case["structure"])
            if package == "featomic":  # blocks of one centre are enough
                case["blocks"] = case["blocks"][-4:]
        (target / f"{package}_cases.json").write_text(json.dumps(cases, indent=0) + "\n")
        with np.load(source / f"{package}.npz") as data:
            wanted = {case["id"] for case in cases} | {f"{c['id']}__{b}" for c in cases for b in c.get("blocks", ())}
            kept = {name: data[name] for name in data.files if name in wanted or name.rsplit("__", 1)[0] in wanted}
        np.savez_compressed(target / f"{package}.npz", **kept)
    structures = json.loads((source / "structures.json").read_text())
    kept = {name: structure for name, structure in structures.items() if name in used}
    (target / "structures.json").write_text(json.dumps(kept, indent=0) + "\n")


if __name__ == "__main__":
    copy(Path(sys.argv[1]), Path(__file__).parent / "peers")
