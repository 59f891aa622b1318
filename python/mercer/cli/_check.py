"""``mercer check``: what a data set holds, what is suspicious in it, and the same data put right."""

import shlex

import numpy as np

from mercer import __version__, checks, contents_page
from mercer.cli._data import DataSet, read_data, with_labels
from mercer.cli._drop import parse_drops
from mercer.cli._output import output_file
from mercer.contents import contents
from mercer.errors import ConfigError
from mercer.structures import SPELLINGS, Frames, check_suffix, in_angstrom, read_labels, write_frames

#: Checks whose frames are taken out where that is asked for.
DROPPED = ("duplicates", "outliers", "distances", "overlap")

#: Sections of the options that remedies change, by flag.
_SECTIONS = {"--key": "keys", "--units": "units", "--stress-order": None}


def run_check(files, options, session, *, fix=None, html=None, drop_found=False):
    """Show contents and findings of `files`; write the data put right, and a page with pictures.

    Parameters
    ----------
    files : list of str
    options : mercer.config.FitOptions
        For `keys`, `units`, `stress_order` and `drop`.
    session : Session
    fix : path, optional
        Extended XYZ file to write with every label in eV and Angstrom, after the remedies of what is certain or likely.
    html : path, optional
        Page to write.
    drop_found : bool
        Whether frames that findings name (duplicates, outliers) are left out of `fix`.

    Returns
    -------
    bool
        Whether nothing that is certain is wrong: in `files`, or in what was written to `fix`.
    """
    if fix is not None:
        check_suffix(fix)
    elif drop_found:
        raise ConfigError("--drop-found says what --fix leaves out: give --fix FILE too")
    with session.stage("read structures"):
        data = read_data(files, options, required=False)
    with session.stage("contents"):
        found = contents(data.frames, data.labels)
    with session.stage("check data"):
        findings = checks.check_data(data.frames, data.labels, quick=False)
    units = {kind: options.units.model_dump().get(kind) or _usual_unit(kind, options) for kind in data.labels.found}
    tables = contents_page.tables(found, data.labels, units)
    session.say("")
    for table in tables:
        session.say(contents_page.rich_table(*table))
    for line in data.remarks():
        session.say(line)
    say_findings(findings, session)
    right = not any(finding.level == "certain" for finding in findings)
    if html is not None:
        with output_file(html) as temporary, session.stage("draw"):
            images = contents_page.pictures(found, data.labels)
            text = contents_page.page(", ".join(data.files), tables, findings, data.remarks(), images, __version__)
            temporary.write_text(text, encoding="utf-8")
        session.say(f"the page is in {html}")
    if fix is not None:
        right = _write_fixed(fix, data, findings, options, session, drop_found)
    return right


def _usual_unit(kind, options):
    energy = options.units.energy
    return {"forces": f"{energy}/angstrom", "stress": f"{energy}/angstrom^3"}.get(kind, energy)


def say_findings(findings, session):
    """One line each, with the remedy."""
    session.say("findings" if findings else "findings: none")
    for finding in findings:
        remedy = f"  [{' '.join(finding.remedy)}]" if finding.remedy else ""
        session.say(f"  {finding.level}: {finding}{remedy}")


def _write_fixed(fix, data, findings, options, session, drop_found):
    with session.stage("put right"):
        fixed, applied, dropped = put_right(data, findings, options, drop_found)
    with session.stage("check again"):
        left = checks.check_data(fixed.frames, fixed.labels)
    with output_file(fix) as temporary:
        write_frames(temporary, labelled_frames(fixed))
    for finding, n in applied:
        session.say(f"put right in {n} frames: {' '.join(finding.remedy)}")
    if dropped:
        session.say(f"left out: {dropped} frames")
    if not applied and not dropped:
        session.say("nothing to put right")
    session.say(f"{len(fixed)} frames with REF_ labels in eV and Angstrom are in {fix}")
    if left:
        session.say("what is found there:")
        say_findings(left, session)
    return not any(finding.level == "certain" for finding in left)


def put_right(data, findings, options, drop_found=False):
    """Data after the remedies of what is certain or likely.

    Each remedy is applied to the frames that its finding is about; of two that change the same option of a frame, the
    first one counts.

    Parameters
    ----------
    data : DataSet
    findings : list of mercer.checks.Finding
        Of this data.
    options : mercer.config.FitOptions
        With which the data were read.
    drop_found : bool
        Whether the frames of `DROPPED` findings are left out.

    Returns
    -------
    fixed : DataSet
    applied : list of (Finding, int)
        With the number of frames.
    dropped : int
    """
    changes = [{} for _ in range(len(data))]
    applied, out = [], np.zeros(len(data), dtype=bool)
    for finding in findings:
        if finding.check in DROPPED:
            if drop_found:
                out[list(finding.frames)] = True
            continue
        wanted = parse_remedy(finding.remedy)
        if finding.level == "note" or not wanted:
            continue
        members = [k for k in members_of(finding, data) if not wanted.keys() & changes[k].keys()]
        for k in members:
            changes[k].update(wanted)
        if members:
            applied.append((finding, len(members)))
    parts = {}
    for k in np.flatnonzero(~out):
        parts.setdefault(tuple(sorted(changes[k].items())), []).append(int(k))
    written = {}
    for change, members in parts.items():
        part = data.take(members)
        if change:
            changed, lengths = _changed(options, dict(change))
            frames = in_angstrom(part.frames, lengths) if lengths else part.frames
            part = with_labels(frames, changed, parse_drops(options.drop, data.files, data.files), required=False)
        written.update(zip(members, labelled_frames(part), strict=True))
    kept = sorted(written)
    frames = Frames([written[k] for k in kept], [data.frames.sources[k] for k in kept])
    return DataSet(frames, read_labels(frames, required=False)), applied, int(out.sum())


def members_of(finding, data):
    """Indices of the frames that a finding is about."""
    if finding.frames:
        return list(finding.frames)
    if finding.where.startswith("config_type "):
        name = finding.where.removeprefix("config_type ")
        return np.flatnonzero(data.labels.config_type == ("" if name == "(none)" else name)).tolist()
    if finding.where in data.files:
        return [k for k, source in enumerate(data.frames.sources) if source.rpartition(", frame ")[0] == finding.where]
    return list(range(len(data)))


def parse_remedy(remedy):
    """{(flag, label): value} of the options of a remedy that concern labels; empty if any other is among them."""
    words = [word for option in remedy for word in shlex.split(option)]
    found = {}
    for flag, value in zip(words[::2], words[1::2], strict=False):
        if flag not in _SECTIONS:
            return {}
        label, equals, rest = value.partition("=")
        found[flag, label if equals else ""] = rest if equals else value
    return found


def _changed(options, change):
    """Options with those of a remedy on top, and the unit of positions among them."""
    raw, lengths = options.model_dump(), None
    for (flag, label), value in change.items():
        if flag == "--stress-order":
            raw["stress_order"] = value
        elif (flag, label) == ("--units", "positions"):
            lengths = value
        else:
            raw[_SECTIONS[flag]][label] = value
    return type(options).model_validate(raw), lengths


def labelled_frames(data):
    """Frames with their labels under the REF_ keys alone, and every other entry as it was.

    Parameters
    ----------
    data : DataSet

    Returns
    -------
    Frames
    """
    labels = data.labels
    starts = np.concatenate([[0], np.cumsum(labels.n_atoms)])
    taken = {name for key, _ in labels.found.values() for name in key.removesuffix(" (calculator)").split(", ")}
    usual = {name.lower() for row in SPELLINGS.values() for names in row.values() for name in names}
    out = []
    for k, atoms in enumerate(data.frames):
        copy = atoms.copy()
        for place in (copy.info, copy.arrays):
            for name in [name for name in place if name in taken or str(name).lower() in usual]:
                del place[name]
        atoms_of = slice(starts[k], starts[k + 1])
        for kind in ("energy", "virial"):
            if labels.has(kind)[k]:
                value = getattr(labels, kind)[k]
                copy.info[f"REF_{kind}"] = float(value) if kind == "energy" else np.array(value)
        for kind in ("forces", "energies"):
            if labels.has(kind)[k]:
                copy.arrays[f"REF_{kind}"] = np.array(getattr(labels, kind)[atoms_of])
        if labels.config_type[k]:
            copy.info["config_type"] = str(labels.config_type[k])
        out.append(copy)
    return Frames(out, data.frames.sources)
