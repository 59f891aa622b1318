"""From DScribe's geometry, grid and weighting to a part of mercer's MBTR."""

import math

from mercer._validation import check_choice, check_count, check_flag, check_mapping, check_number, check_positive
from mercer.descriptors import MBTRPart
from mercer.errors import ConfigError

#: Number of atoms of a tuple.
GEOMETRIES = {"atomic_number": 1, "distance": 2, "inverse_distance": 2, "angle": 3, "cosine": 3}

#: Number of atoms -> weighting -> what it needs.
WEIGHTINGS = {
    1: {},
    2: {"unity": (), "exp": ("threshold",), "inverse_square": ("r_cut",)},
    3: {"unity": (), "exp": ("threshold",), "smooth_cutoff": ("r_cut",)},
}


def part(geometry, grid, weighting, normalize_gaussians, periodic):
    """(MBTRPart, factor): DScribe's numbers are `factor` times mercer's."""
    name, normalized = _geometry(geometry), check_flag(normalize_gaussians, "normalize_gaussians")
    if weighting is not None:
        check_mapping(weighting, "weighting")
    k = GEOMETRIES[name]
    # mercer has radians and DScribe degrees: densities per degree.
    unit = math.pi / 180 if name == "angle" else 1.0
    first, last, sigma, n = _grid(grid)
    made = MBTRPart(
        name,
        (unit * first, unit * last, n),
        unit * sigma,
        values="average",
        normalized=normalized,
        **_weight(weighting, k),
    )
    if periodic and k > 1 and (weighting is None or weighting.get("function") == "unity"):
        raise ConfigError(f"periodic=True: weighting={weighting!r} does not end; give one that does.")
    return made, unit if normalized else 1.0


def _geometry(geometry):
    options = dict(check_mapping({} if geometry is None else geometry, "geometry"))
    if "function" not in options:
        raise ConfigError(f"geometry={geometry!r}: expected {{'function': name}}, one of {', '.join(GEOMETRIES)}.")
    name = check_choice(options.pop("function"), GEOMETRIES, "geometry function")
    if options:
        raise ConfigError(f"geometry={geometry!r}: unknown key {next(iter(options))!r}; expected 'function'.")
    return name


def _grid(grid):
    options = dict(check_mapping({} if grid is None else grid, "grid"))
    for key in options:
        check_choice(key, ("min", "max", "sigma", "n"), "a key of grid")
    for key in ("min", "max", "sigma", "n"):
        if key not in options:
            raise ConfigError(f"grid={grid!r}: {key} is missing; it needs min, max, sigma and n.")
    first, last = (check_number(options[key], f"grid: {key}", smallest=-1e6, largest=1e6) for key in ("min", "max"))
    if not first < last:
        raise ConfigError(f"grid={grid!r}: expected min < max.")
    return (
        first,
        last,
        check_positive(options["sigma"], "sigma"),
        check_count(options["n"], "n", minimum=2, maximum=1_000_000),
    )


def _weight(weighting, k):
    """What MBTRPart takes of it."""
    if weighting is None or k == 1:
        return {}
    options = dict(check_mapping(weighting, "weighting"))
    known = WEIGHTINGS[k]
    function = check_choice(options.pop("function", None), known, "weighting function")
    taken = {"exp": ("threshold", "scale", "r_cut"), "smooth_cutoff": ("r_cut", "sharpness")}.get(
        function, known[function]
    )
    for key in options:
        check_choice(key, taken, f"a key of weighting {function!r}")
    for key in known[function]:
        if key not in options:
            raise ConfigError(f"weighting={weighting!r}: {key} is missing; {function!r} needs it.")
    numbers = {key: check_positive(value, f"weighting[{key!r}]") for key, value in options.items()}
    if function == "exp":
        if ("scale" in numbers) == ("r_cut" in numbers):
            raise ConfigError(f"weighting={weighting!r}: 'exp' needs one of scale and r_cut.")
        threshold = numbers["threshold"]
        if threshold >= 1:
            raise ConfigError(f"weighting={weighting!r}: expected a threshold below 1.")
        # Of three atoms the perimeter counts, which is at least twice the longest side.
        scale = numbers.get("scale") or -math.log(threshold) / (numbers["r_cut"] * (k - 1))
        return {"weight": {"function": "exponential", "scale": scale}, "threshold": threshold}
    if function == "inverse_square":
        return {"weight": "inverse_square", "r_cut": numbers["r_cut"], "cutoff": "none"}
    if function == "smooth_cutoff":
        numbers = {"sharpness": 2.0} | numbers
        return {"weight": {"function": "sharpness", **numbers}}
    return {}
