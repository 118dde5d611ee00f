#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Compare what the scenarios have measured on two kernels.

Reads DIR-A/SCENARIO-SEED and DIR-B/SCENARIO-SEED as scripts/compare.sh leaves them (meta.json,
verdict, ktap.log, console.log), prints a table and writes table.md and measures.json to --out.
A measure is a line "# measure: NAME UNIT lower|higher BOUND VALUE" of ktap.log; several seeds
give the median and, if they differ, the range. Exit status: 0; 1 where B is worse than a bound
allows or a run has no figures; 2 where the two cannot be compared. With --stored FILE, the
measures.json of another time: 0 where every figure is as it was there, 3 where some are not and
what was run is not the same either, 1 else.
"""
import argparse
import json
import pathlib
import re
import statistics
import sys

MEASURE = re.compile(
    r"^# # measure: (?P<name>\S+) (?P<unit>\S+) (?P<better>lower|higher) (?P<bound>\S+) (?P<value>\S+)$")

# What must be the same for a figure of one run to be held against that of another
SAME = ("initramfs_sha256", "topology_sha256", "seed", "accelerator", "icount_shift", "qemu",
        "qemu_cpu", "lockstep_sha256")


# What decides on the figures of one run
DECIDES = ("kernel_sha256", *SAME)


def refuse(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


def load(run):
    """The run's meta data and {measure: (unit, better, bound, value)}, or why there are none."""
    try:
        meta = json.loads((run / "meta.json").read_text())
        verdict = (run / "verdict").read_text().strip()
        log = (run / "ktap.log").read_text(errors="replace")
    except (OSError, ValueError) as error:
        return {}, {}, f"no run: {error}"
    args = meta.get("qemu_args", [])
    meta["qemu_cpu"] = args[args.index("-cpu") + 1] if "-cpu" in args else ""
    if verdict != "pass":
        try:
            console = (run / "console.log").read_text(errors="replace").splitlines()
        except OSError:
            console = []
        return meta, {}, "\n".join([verdict, *(f"    {line}" for line in console[-4:])])
    found = {}
    for line in log.splitlines():
        match = MEASURE.match(line)
        if match:
            found[match["name"]] = (match["unit"], match["better"], float(match["bound"]),
                                    float(match["value"]))
    return meta, found, "" if found else "it passed and measured nothing"


def number(value):
    if value and abs(value) < 0.1:
        return f"{value:.2g}"
    if value and abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def spread(values):
    text = number(statistics.median(values))
    if min(values) != max(values):
        text += f" ({number(min(values))} to {number(max(values))})"
    return text


def judge(a, b, better, bound):
    """Of the medians: ratio of b to a, and whether that is better, the same or worse."""
    a, b = statistics.median(a), statistics.median(b)
    if a == b:
        return 1.0, "same"
    if not a:
        return float("inf"), "worse" if better == "lower" else "better"
    ratio = b / a
    if better == "lower":
        verdict = "worse" if ratio > bound else "better" if ratio < 1 / bound else "same"
    else:
        verdict = "worse" if ratio < bound else "better" if ratio > 1 / bound else "same"
    return ratio, verdict


def hold_against(stored, now):
    """Each figure and digest of @now that @stored has too: what is to be said, and the status."""
    before = {(m["scenario"], m.get("measure")): m for m in stored["measures"]}
    equal, differ, other = 0, [], set()
    for row in now["measures"]:
        old = before.get((row["scenario"], row.get("measure")))
        if not old or "a" not in old or "a" not in row:
            differ.append(f"{row['scenario']}: {row.get('measure', 'no figures')}: not in both")
            continue
        for side in "ab":
            both = list(zip(old[side], row[side]))
            equal += sum(x == y for x, y in both)
            if all(x == y for x, y in both):
                continue
            was, is_now = (s["digests"][row["scenario"]][side] for s in (stored, now))
            changed = [k for k in DECIDES if was.get(k) != is_now.get(k)]
            other.update(changed)
            if not changed:
                differ.append(f"{row['scenario']}: {row['measure']}: {side.upper()} {row[side]}, "
                              f"stored {old[side]}, of the same run")
    for line in differ:
        print(line)
    if differ:
        return 1
    if other:
        print(f"{equal} figures as stored; others are not, and neither is what was run: "
              f"{', '.join(sorted(other))}")
        return 3
    if not equal:
        print("there is no figure to hold against those stored")
        return 1
    print(f"{equal} figures, each as stored")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("a", type=pathlib.Path)
    parser.add_argument("b", type=pathlib.Path)
    parser.add_argument("--names", nargs=2, required=True)
    parser.add_argument("--scenarios", required=True)
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--command", required=True, help="what to type to do it again")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--stored", type=pathlib.Path)
    args = parser.parse_args()

    rows, stored, bad, digests = [], [], 0, {}
    for scenario in args.scenarios.split():
        sides, order, why = ({}, {}), {}, []
        for seed in range(1, args.seeds + 1):
            metas = []
            for side, path in enumerate((args.a, args.b)):
                meta, found, problem = load(path / f"{scenario}-{seed}")
                metas.append(meta)
                if problem:
                    why.append(f"{args.names[side]}, seed {seed}: {problem}")
                for name, (unit, better, bound, value) in found.items():
                    order[name] = (unit, better, bound)
                    sides[side].setdefault(name, []).append(value)
            if seed == 1:
                digests[scenario] = {side: {k: m.get(k) for k in DECIDES}
                                     for side, m in zip("ab", metas)}
            if all(metas):
                for key in SAME:
                    if metas[0].get(key) != metas[1].get(key):
                        refuse(f"{scenario}: {key} differs: {metas[0].get(key)} and "
                               f"{metas[1].get(key)}; runs can be compared only where it is the same")
        if why:
            bad += 1
            rows.append((scenario, "-", "", "", "", "", "FAILED"))
            rows.extend(("", f"    {line}", "", "", "", "", "") for text in why
                        for line in text.splitlines())
            stored.append({"scenario": scenario, "verdict": "FAILED", "why": "\n".join(why)})
            continue
        for name, (unit, better, bound) in order.items():
            a, b = sides[0].get(name, []), sides[1].get(name, [])
            if len(a) != args.seeds or len(b) != args.seeds:
                rows.append((scenario, name, unit, spread(a) if a else "-",
                             spread(b) if b else "-", "", "FAILED: not measured in every run"))
                bad += 1
                stored.append({"scenario": scenario, "verdict": "FAILED",
                               "why": f"{name} was not measured in every run"})
                continue
            ratio, verdict = judge(a, b, better, bound)
            bad += verdict == "worse"
            rows.append((scenario, name, unit, spread(a), spread(b), f"{ratio:.3f}", verdict))
            stored.append({"scenario": scenario, "measure": name, "unit": unit, "better": better,
                           "bound": bound, "a": a, "b": b, "verdict": verdict})

    head = ("scenario", "measure", "unit", f"A {args.names[0]}", f"B {args.names[1]}", "B/A",
            "verdict")
    wide = [max(len(str(row[i])) for row in [head, *(r for r in rows if r[6] or r[2])])
            for i in range(len(head))]
    for row in [head, *rows]:
        if row[6] or row[2]:
            print("  ".join(str(cell).ljust(wide[i]) if i < 3 else str(cell).rjust(wide[i])
                            for i, cell in enumerate(row)).rstrip())
        else:
            print(row[1])
    table = ["| " + " | ".join(head) + " |", "|---|---|---|---:|---:|---:|---|"]
    table += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows if row[6]]
    (args.out / "table.md").write_text("\n".join(table) + "\n")
    result = {"a": args.names[0], "b": args.names[1], "seeds": args.seeds,
              "dirs": [str(args.a), str(args.b)], "scenarios": args.scenarios.split(),
              "command": args.command, "digests": digests, "measures": stored}
    (args.out / "measures.json").write_text(json.dumps(result, indent=1) + "\n")
    counts = {word: sum(row[6] == word for row in rows) for word in ("better", "same", "worse")}
    print(f"{counts['better']} better, {counts['same']} the same, {counts['worse']} worse, "
          f"{bad - counts['worse']} without figures; {args.out}/table.md")
    if args.stored:
        try:
            return hold_against(json.loads(args.stored.read_text()), result)
        except (OSError, ValueError, KeyError) as error:
            refuse(f"{args.stored} is no stored comparison: {error}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
