r"""Writes a picture as TikZ that people can edit: named styles at the top, nodes by number, Graphviz's positions.

The file compiles by itself, and may as well be read with \input by a document that uses tikz and its libraries
arrows.meta and shapes.geometric.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from archprof.errors import DrawingError
from archprof.renderers.diagram.dot import named
from archprof.renderers.diagram.layout import render
from archprof.renderers.diagram.scene import GROUP, INPUT, LETTER, OUTPUT, SIGN, Mark, Title
from archprof.renderers.markup import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from archprof.renderers.diagram.compose import Composed

Point = tuple[float, float]

PREAMBLE = r"""% {title}
% {about}
% Compile it with pdflatex, or \input it in a document that has
% \usepackage{{tikz}} and \usetikzlibrary{{arrows.meta,shapes.geometric}}.
\ifx\documentclass\usepackage % both mean the same error inside a document
  \def\archprofend{{}}
\else
  \IfFileExists{{standalone.cls}}{{\documentclass[border=4pt]{{standalone}}}}{{%
    \documentclass{{article}}\pagestyle{{empty}}
    \paperwidth={width:.0f}pt \paperheight={height:.0f}pt \pdfpagewidth=\paperwidth \pdfpageheight=\paperheight
    \hoffset=-1in \voffset=-1in \oddsidemargin=4pt \topmargin=4pt \headheight=0pt \headsep=0pt
    \textwidth={width:.0f}pt \textheight={height:.0f}pt \parindent=0pt}}
  \usepackage[T1]{{fontenc}}
  \usepackage{{helvet,tikz}}
  \usetikzlibrary{{arrows.meta,shapes.geometric}}
  \def\archprofend{{\end{{document}}}}
  \begin{{document}}%
\fi
"""

STYLES = r"""\begin{{tikzpicture}}[x=1pt, y=1pt,
  every node/.style={{inner sep=0pt, align=center, font=\sffamily\fontsize{{9.5}}{{10.5}}\selectfont, text={ink}}},
  box/.style={{draw={pen}, rounded corners=4pt, line width=0.8pt}},
  group/.style={{box, double, double distance=1.6pt}},
  repeated/.style={{draw={repeat}, line width=1.6pt}},
  unknown/.style={{draw={alarm}, dashed}},
  sign/.style={{box, rounded corners=0pt, circle}},
  concat/.style={{box, rounded corners=0pt, trapezium, trapezium left angle=-60, trapezium right angle=-60,
    trapezium stretches=true}},
  connector/.style={{sign, draw={repeat}, line width=1.2pt}},
  cell/.style={{draw={pen}, minimum width=38pt, minimum height=13pt, anchor=west}},
  end/.style={{}},
  frame/.style={{draw={rim}, rounded corners=6pt, line width=0.6pt}},
  title/.style={{anchor=north west, align=left}},
  heading/.style={{font=\sffamily\bfseries\fontsize{{12}}{{14}}\selectfont}},
  subheading/.style={{}},
  flow/.style={{draw={wire}, -{{Stealth[length=4pt]}}, line width=0.8pt}},
  {costs}]
"""

SIGNS = {"×": r"\ensuremath{\times}", "·": r"\ensuremath{\cdot}", "…": r"\dots{}", "→": r"\ensuremath{\rightarrow}",
         "≥": r"\ensuremath{\geq}", "\N{MINUS SIGN}": r"\ensuremath{-}", "÷": r"\ensuremath{\div}", "–": "--",
         "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
         ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}",
         "`": r"\textasciigrave{}", "-": "-{}", **{sign: f"\\{sign}" for sign in "&%$#_{}"}}  # fmt: skip
"""What LaTeX reads as more than a letter, and the signs of diagrams that its fonts do not have."""


def write(picture: Composed, title: str, description: str) -> str:
    """Return a picture as a LaTeX file; `title` and `description` stand in it as comments."""
    text, marks, titles = named(picture.without_legend())
    try:
        laid = json.loads(render(text, "json"))
    except ValueError as error:
        raise DrawingError(f"Graphviz wrote a layout that is no JSON: {error}") from None
    names = {mark: f"n{number}" for number, mark in enumerate(marks, 1)}
    right, top = (float(part) for part in laid["bb"].split(",")[2:])
    foot = 30.0 + 12.0 * (len(picture.key[1].splitlines()) if picture.key else 0)
    lines = [
        PREAMBLE.format(title=_comment(title), about=_comment(description), width=right + 20, height=top + foot + 10),
        *_styles(picture),
    ]
    things = laid.get("objects", [])
    lines += [line for thing in things if thing["name"] in titles for line in _frame(thing, titles[thing["name"]])]
    for thing in things:
        if thing["name"] in marks:
            lines.append(_node(thing, names[thing["name"]], marks[thing["name"]], picture.scene.style.fills))
    by_number = {thing["_gvid"]: thing["name"] for thing in things}
    boxes = {thing["name"]: _box(thing) for thing in things if "pos" in thing}
    lines += [line for edge in laid.get("edges", []) if (line := _edge(edge, by_number, names, boxes))]
    middle = float(laid["lp"].split(",")[1])
    step = 72 * float(laid["lheight"]) / len(picture.heading)
    for number, line in enumerate(picture.heading):
        looks = "subheading" if number else "heading"
        y = middle + step * (len(picture.heading) / 2 - number - 0.5)
        lines.append(f"\\node[{looks}] at ({right / 2:.1f},{y:.1f}) {{{latex(line)}}};")
    lines += _legend(picture)
    return "\n".join([*lines, r"\end{tikzpicture}%", r"\archprofend", ""])


def latex(text: str) -> str:
    r"""Return `text` so that it stays text in LaTeX; a letter that pdflatex's fonts may lack becomes a question mark.

    >>> latex("a_b {c} 3×3")
    'a\\_b \\{c\\} 3\\ensuremath{\\times}3'
    """
    kept = (SIGNS.get(letter, letter) for letter in printable(text))
    return "".join(part if len(part) > 1 or ord(part) < LATIN else "?" for part in kept)


LATIN = 0x180
"""T1 fonts have the letters before this one, nearly."""


def _comment(text: str) -> str:
    return printable(text)


def _styles(picture: Composed) -> list[str]:
    style = picture.scene.style
    colours = {
        "ink": style.ink,
        "pen": style.pen,
        "repeat": style.repeat,
        "alarm": style.alarm,
        "rim": style.rim,
        "wire": style.wire,
    }
    costs = ", ".join(f"cost{n}/.style={{fill=archprofcost{n}, text=archprofink{n}}}" for n in range(len(style.fills)))
    lines = [_colour(f"archprof{name}", value) for name, value in colours.items()]
    for number, (fill, ink) in enumerate(zip(style.fills, style.inks, strict=True)):
        lines += [_colour(f"archprofcost{number}", fill), _colour(f"archprofink{number}", ink)]
    return [*lines, STYLES.format(costs=costs, **{name: f"archprof{name}" for name in colours}).rstrip()]


def _colour(name: str, value: str) -> str:
    return f"\\definecolor{{{name}}}{{HTML}}{{{value[1:].upper()}}}"


def _own(fill: str) -> str:
    """Return a colour as TikZ takes it without a name."""
    red, green, blue = (int(fill[at : at + 2], 16) for at in (1, 3, 5))
    return f"{{rgb,255:red,{red};green,{green};blue,{blue}}}"


def _frame(thing: dict[str, Any], title: Title) -> list[str]:
    left, bottom, right, top = map(float, thing["bb"].split(","))
    repeated = ", repeated" if title.badge else ""
    badge = f" \\textcolor{{archprofrepeat}}{{{latex(title.badge)}}}" if title.badge else ""
    told = f"\\\\[-2pt]{latex(title.told)}" if title.told else ""
    words = f"\\textbf{{{latex(title.text)}}}{badge} {latex(title.said.strip())}{told}"
    return [
        f"\\draw[frame{repeated}, fill={_own(title.fill)}] ({left:.1f},{bottom:.1f}) rectangle ({right:.1f},{top:.1f});",
        f"\\node[title] at ({left + 5:.1f},{top - 5:.1f}) {{{words}}};",
    ]


def _node(thing: dict[str, Any], name: str, mark: Mark, fills: tuple[str, ...]) -> str:
    x, y = map(float, thing["pos"].split(","))
    width, height = 72 * float(thing["width"]), 72 * float(thing["height"])
    styles = {INPUT: "end", OUTPUT: "end", GROUP: "group", LETTER: "connector"}.get(mark.role, "box")
    if mark.role == SIGN:
        styles = "sign" if len(mark.text) == 1 else "concat"
    if mark.role not in (INPUT, OUTPUT):
        cost = next((word[-1] for word in mark.classes.split() if word.startswith("cost-")), "0")
        painted = mark.role == LETTER or mark.fill != fills[int(cost)]
        styles += f", fill={_own(mark.fill)}, text={_own(mark.ink)}" if painted else f", cost{cost}"
        styles += ", repeated" if mark.copies > 1 else ""
        styles += ", unknown" if mark.unknown else ""
    words = f"\\textbf{{{latex(mark.text)}}}" if mark.bold and mark.role not in (INPUT, OUTPUT) else latex(mark.text)
    text = "\\\\".join([words + (" " + latex(mark.beside.strip()) if mark.beside else ""), *map(latex, mark.below)])
    size = f"minimum width={width:.1f}pt, minimum height={height:.1f}pt"
    return f"\\node[{styles}, {size}] ({name}) at ({x:.1f},{y:.1f}) {{{text}}}; % {_comment(mark.name)}"


def _edge(edge: dict[str, Any], by_number: dict[int, str], names: dict[str, str], boxes: dict[str, Point]) -> str:
    tail, head = by_number[edge["tail"]], by_number[edge["head"]]
    if tail not in names or head not in names or "pos" not in edge:
        return ""
    points = [tuple(map(float, part.split(","))) for part in edge["pos"].split() if part[0] not in "es"]
    label = f" node[midway, right] {{{latex(edge['label'].strip())}}}" if edge.get("label") else ""
    begin, end = names[tail], names[head]
    if _is_straight([boxes[tail], *points, boxes[head]]):
        return f"\\draw[flow] ({begin}) --{label} ({end});"
    curves = []
    inner = points[1:]
    for number in range(0, len(inner) - 2, 3):
        one, two, to = inner[number : number + 3]
        target = f"({end})" if number + 3 >= len(inner) - 2 else f"({to[0]:.1f},{to[1]:.1f})"
        curves.append(f".. controls ({one[0]:.1f},{one[1]:.1f}) and ({two[0]:.1f},{two[1]:.1f}) .. {target}")
    return f"\\draw[flow] ({begin}) {' '.join(curves)}{label};"


def _is_straight(points: Iterable[Any]) -> bool:
    """Tell whether points are on one vertical or horizontal line, but for a point's width."""
    xs, ys = zip(*points, strict=True)
    return max(xs) - min(xs) < 1.5 or max(ys) - min(ys) < 1.5


def _box(thing: dict[str, Any]) -> Point:
    x, y = map(float, thing["pos"].split(","))
    return x, y


def _legend(picture: Composed) -> list[str]:
    if not picture.key:
        return []
    cells, words = picture.key
    lines = []
    for number, (fill, name, ink) in enumerate(cells):
        looks = f"cell, fill={_own(fill)}, text={_own(ink)}"
        lines.append(f"\\node[{looks}] at ({38 * number:.0f},-12) {{{latex(name)}}};")
    for number, line in enumerate(filter(None, words.splitlines())):
        lines.append(f"\\node[anchor=west] at (0,{-26 - 12 * number}) {{{latex(line)}}};")
    return lines
