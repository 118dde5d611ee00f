#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A comparison as one HTML file with pictures.

Reads what scripts/compare.sh leaves in DIR (measures.json, a/ and b/ or where these were), and
writes DIR/report/report.html, which needs no other file and no network, and each picture as PNG
and SVG beside it. Pictures are of the lines "# sample: CURVE X VALUE" of a scenario: local.* is
percent of pages over guest seconds, faults.* of hinting faults, nodes.NAME.NODE pages over guest
seconds, latency.* nanoseconds over percent of the calls. Exit status: 0, 2 where there is no
comparison to show.
"""
import argparse
import hashlib
import html
import io
import json
import pathlib
import re
import sys

import matplotlib
import numpy
import scipy.stats

import compare

matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402, pylint: disable=wrong-import-position

SAMPLE = re.compile(r"^# # sample: (?P<curve>\S+) (?P<x>\S+) (?P<value>\S+)$")

# Two colours that are told apart on white and on black, and by the colour-blind
COLOURS = ("#c8762b", "#2f86c5")
# Text and lines: becomes the colour of the page's text
INK = "#010203"

pyplot.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "numa", "font.size": 9, "font.family": "sans-serif",
    "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "savefig.transparent": True, "figure.constrained_layout.use": True,
})

STYLE = """
:root { color-scheme: light dark; --line: #8886; --better: #2a7d3f; --worse: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --better: #6fcf87; --worse: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 75rem; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
td.n, th.n { text-align: right; }
@media (max-width: 30rem) { th, td { padding: .2rem .25rem; } }
.better { color: var(--better); font-weight: 600; }
.worse, .FAILED { color: var(--worse); font-weight: 600; }
tr.why td { white-space: pre-wrap; font-family: monospace; color: var(--worse); }
.pictures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); }
figure { margin: 0; } figcaption { font-size: .85rem; }
figure svg { width: 100%; height: auto; }
code, pre { font-size: .85rem; overflow-wrap: anywhere; white-space: pre-wrap; }
"""


def refuse(text):
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


class Pictures:
    """Keeps each picture as PNG and SVG below @out, and as a part of the page."""

    def __init__(self, out):
        self.out, self.parts = out, {}

    def add(self, scenario, name, caption, figure):
        stem = f"{scenario}-{name}"
        figure.savefig(self.out / f"{stem}.png", dpi=150, transparent=False, metadata={"Software": None})
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
        (self.out / f"{stem}.svg").write_text(text.getvalue())
        svg = text.getvalue()[text.getvalue().index("<svg"):].replace(INK, "currentColor")
        # the same ids in another picture of the page would be taken for it
        prefix = hashlib.sha256(stem.encode()).hexdigest()[:8]
        svg = re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{prefix}-", svg)
        self.parts.setdefault(scenario, []).append(
            f'<figure role="img" aria-label="{html.escape(caption)}">{svg}'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>")


def samples_of(run):
    """{curve: ([x...], [value...])} of the run in directory @run."""
    curves = {}
    try:
        log = (run / "ktap.log").read_text(errors="replace")
    except OSError:
        return curves
    for line in log.splitlines():
        match = SAMPLE.match(line)
        if match:
            xs, values = curves.setdefault(match["curve"], ([], []))
            xs.append(float(match["x"]))
            values.append(float(match["value"]))
    return curves


def draw_curves(pictures, scenario, sides, names):
    """sides: for A and B, the curves of each seed."""
    kinds = {"local.": ("guest seconds", "% of the pages", "post"),
             "faults.": ("guest seconds", "% of the hinting faults", "post"),
             "latency.": ("% of the calls", "ns or less", "")}
    for curve in sorted({c for side in sides for run in side for c in run}):
        for prefix, (xlabel, ylabel, step) in kinds.items():
            if not curve.startswith(prefix):
                continue
            figure, axes = pyplot.subplots(figsize=(4.6, 2.9))
            for side, runs in enumerate(sides):
                for nr, run in enumerate(r for r in runs if curve in r):
                    axes.plot(*run[curve], color=COLOURS[side], lw=1.6, alpha=.85,
                              ls="-" if side == 0 else (0, (4, 1)),
                              drawstyle="steps-post" if step else "default",
                              label=names[side] if nr == 0 else None)
            axes.set(xlabel=xlabel, ylabel=ylabel)
            if prefix == "latency.":
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, 102)
            axes.legend()
            title = curve[len(prefix):]
            pictures.add(scenario, curve, f"local faults: {title}" if prefix == "faults." else title,
                         figure)


def draw_heat(pictures, scenario, sides, names):
    """Pages by node over time, of the first seed; node by node a row, A above B."""
    layouts = sorted({c.rsplit(".", 1)[0] for side in sides for run in side[:1] for c in run
                      if c.startswith("nodes.")})
    for layout in layouts:
        figure, axes = pyplot.subplots(2, 1, figsize=(4.6, 3.4), sharex=True, squeeze=False)
        for side, runs in enumerate(sides):
            rows = {int(c.rsplit(".", 1)[1]): v for c, v in (runs[0] if runs else {}).items()
                    if c.rsplit(".", 1)[0] == layout}
            axis = axes[side][0]
            axis.set_title(names[side], fontsize=9, loc="left")
            if not rows:
                continue
            nodes = sorted(rows)
            times = rows[nodes[0]][0]
            share = numpy.array([rows[n][1] for n in nodes])
            share = 100 * share / numpy.maximum(share.sum(axis=0), 1)
            edges = [0.0, *times]
            mesh = axis.pcolormesh(edges, numpy.arange(len(nodes) + 1) - .5, share, cmap="cividis",
                                   vmin=0, vmax=100, rasterized=True)
            axis.set_yticks(range(len(nodes)), [f"node {n}" for n in nodes])
            figure.colorbar(mesh, ax=axis, label="% of pages")
        axes[1][0].set_xlabel("guest seconds")
        pictures.add(scenario, layout, f"where the pages are: {layout[len('nodes.'):]}", figure)


def draw_ratios(pictures, scenario, rows):
    """B/A of each measure, median and range over the seeds, with its bound."""
    rows = [r for r in rows if r["scenario"] == scenario and all(r["a"]) and len(r["a"]) == len(r["b"])]
    if not rows:
        return
    figure, axes = pyplot.subplots(figsize=(4.6, .9 + .24 * len(rows)))
    for y, row in enumerate(reversed(rows)):
        ratios = [b / a for a, b in zip(row["a"], row["b"])]
        colour = {"better": "#3c9a55", "worse": "#d0483e"}.get(row["verdict"], "#808890")
        mid = numpy.median(row["b"]) / numpy.median(row["a"])
        axes.plot([min(*ratios, mid), max(*ratios, mid)], [y, y], color=colour, lw=2)
        axes.plot([mid], [y], "o", color=colour, ms=4)
        axes.plot([row["bound"]] * 2, [y - .3, y + .3], color=INK, lw=.8)
    axes.axvline(1, color=INK, lw=.8, ls=":")
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, .95), max(high, 1.05))
    low, high = axes.get_xlim()
    ticks = ((.001, .01, .1, 1, 10, 100, 1000) if high / low > 20 else
             (.1, .2, .5, 1, 2, 5, 10) if high / low > 1.5 else (.7, .8, .9, .95, 1, 1.05, 1.1, 1.2, 1.3))
    axes.set_xticks([t for t in ticks if low <= t <= high], minor=False)
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_yticks(range(len(rows)), [r["measure"] for r in reversed(rows)], fontsize=7)
    axes.set_ylim(-.7, len(rows) - .3)
    axes.set_xlabel("B/A; a tick is the bound")
    pictures.add(scenario, "ratios", "B/A, median and range over the seeds", figure)


def certainty(row, identical):
    """What several seeds say beyond their medians; nothing where they are no sample."""
    a, b = row["a"], row["b"]
    if identical:
        return "seeds gave the same run"
    if len(a) < 4 or min(a) == max(a) and min(b) == max(b):
        return ""
    ratio = [y / x for x, y in zip(a, b) if x]
    text = ""
    if len(ratio) == len(a) and min(ratio) != max(ratio):
        interval = scipy.stats.bootstrap((ratio,), numpy.median, method="percentile",
                                         n_resamples=2000, random_state=1).confidence_interval
        text = f"{interval.low:.3f} to {interval.high:.3f}; "
    return text + f"p = {scipy.stats.mannwhitneyu(a, b).pvalue:.2g}"


def table(rows, names, identical):
    """The verdicts; a scenario without figures is a row too, with what its guest said last."""
    sure = [certainty(r, identical.get(r["scenario"])) if "a" in r else "" for r in rows]
    head = ["verdict", "scenario", "measure", "B/A", "bound", f"A {names[0]}", f"B {names[1]}", "unit"]
    head += ["95 % of B/A; rank test"] if any(sure) else []
    text = ["<div class=wide><table><thead><tr>"]
    text += [f"<th{' class=n' if 2 < i < 7 else ''}>{html.escape(h)}</th>" for i, h in enumerate(head)]
    text.append("</tr></thead><tbody>")
    for row, extra in zip(rows, sure):
        if "a" not in row:
            text.append(f"<tr><td class=FAILED>FAILED</td><td>{row['scenario']}</td><td>-</td>"
                        f"<td colspan={len(head) - 3}></td></tr>"
                        f"<tr class=why><td colspan={len(head)}>{html.escape(row['why'])}</td></tr>")
            continue
        ratio, verdict = compare.judge(row["a"], row["b"], row["better"], row["bound"])
        text.append(
            f"<tr><td class={verdict}>{verdict}</td><td>{row['scenario']}</td><td>{row['measure']}</td>"
            f"<td class=n>{ratio:.3f}</td><td class=n>{row['bound']:g}</td>"
            f"<td class=n>{compare.spread(row['a'])}</td><td class=n>{compare.spread(row['b'])}</td>"
            f"<td>{html.escape(row['unit'])}</td>" + (f"<td>{extra}</td>" if any(sure) else "") + "</tr>")
    text.append("</tbody></table></div>")
    return "\n".join(text)


def digests(metas):
    """What was run, as rows: one value, or what differed from run to run."""
    rows = []
    for key, label in (("kernel_sha256", "kernel"), ("initramfs_sha256", "initramfs"),
                       ("topology", "topology"), ("topology_sha256", "topology file"), ("seed", "seed"),
                       ("accelerator", "accelerator"), ("icount_shift", "icount shift"), ("qemu", "QEMU"),
                       ("lockstep_sha256", "lockstep.c")):
        for side in (0, 1):
            values = sorted({str(m.get(key, "")) for m in metas[side]})
            if key != "kernel_sha256" and side == 0:
                continue
            name = f"{label} {'AB'[side]}" if key == "kernel_sha256" else label
            rows.append(f"<tr><td>{name}</td><td><code>{html.escape(', '.join(values))}</code></td></tr>")
    return "<div class=wide><table>" + "\n".join(rows) + "</table></div>"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("dir", type=pathlib.Path)
    args = parser.parse_args()
    try:
        stored = json.loads((args.dir / "measures.json").read_text())
        names, seeds, scenarios = (stored["a"], stored["b"]), stored["seeds"], stored["scenarios"]
        dirs = [pathlib.Path(d) for d in stored["dirs"]]
    except (OSError, ValueError, KeyError) as error:
        refuse(f"{args.dir} has no comparison ({error}): make compare first")
    out = args.dir / "report"
    out.mkdir(exist_ok=True)
    for old in (*out.glob("*.png"), *out.glob("*.svg")):
        old.unlink()
    pictures, metas, identical = Pictures(out), ([], []), {}
    for scenario in scenarios:
        sides = []
        for side, path in enumerate(dirs):
            runs = [path / f"{scenario}-{seed}" for seed in range(1, seeds + 1)]
            sides.append([samples_of(run) for run in runs])
            metas[side].extend(compare.load(run)[0] for run in runs)
            logs = {(run / "ktap.log").read_bytes() for run in runs if (run / "ktap.log").exists()}
            if seeds > 1 and len(logs) == 1:
                identical[scenario] = True
        draw_curves(pictures, scenario, sides, names)
        draw_heat(pictures, scenario, sides, names)
        draw_ratios(pictures, scenario, [r for r in stored["measures"] if "a" in r])
    counts = {w: sum(r.get("verdict") == w for r in stored["measures"])
              for w in ("better", "same", "worse", "FAILED")}
    page = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{html.escape(names[1])} against {html.escape(names[0])}</title><style>{STYLE}</style>",
        f"<h1>{html.escape(names[1])} (B) against {html.escape(names[0])} (A)</h1>",
        f"<p>{counts['better']} measures better, {counts['same']} the same, {counts['worse']} worse, "
        f"{counts['FAILED']} without figures; {seeds} seed{'s' if seeds > 1 else ''}. "
        "All times are the guest's, which counts instructions: the same on any host.</p>",
        "<h2>Verdicts</h2>", table(stored["measures"], names, identical)]
    for scenario, parts in pictures.parts.items():
        page += [f"<h2>{scenario}</h2><div class=pictures>", *parts, "</div>"]
    page += ["<h2>To do it again</h2>", f"<pre>{html.escape(stored['command'])}</pre>", digests(metas)]
    new = out / "report.html.new"
    new.write_text("\n".join(page) + "\n")
    new.replace(out / "report.html")
    print(f"      {out}/report.html, {len(list(out.glob('*.svg')))} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
