"""What a notebook shows of a Profile: a static table that needs no script and is safe on any page."""

from __future__ import annotations

import zlib
from html import escape
from typing import TYPE_CHECKING

from archprof.errors import DrawingError
from archprof.renderers import View, renderer
from archprof.renderers.rows import cell, columns_of, rows_of, share_of, usual, value
from archprof.renderers.terminal import DEFAULT, gaps_line, heading, percent

if TYPE_CHECKING:
    from archprof.result import Profile

CARD = '<div style="background: #fff; overflow: auto; max-height: 48em; max-width: 60em">{}</div>'
"""The picture's ground: light, as its text is dark, whatever the notebook's is."""
TEMPLATE = """\
<table class="archprof">
<caption style="text-align: left">{{ heading }}{% if gaps %}<br><strong>{{ gaps }}</strong>{% endif %}
{%- for note in notes %}<br>{{ note }}{% endfor %}</caption>
<thead><tr><th style="text-align: left">layer</th><th style="text-align: left">type</th><th>output</th>
{%- for name in columns %}<th>{{ name }}</th>{% endfor %}{% if metric %}<th>share of {{ metric }}</th>{% endif %}</tr></thead>
<tbody>
{%- for row, cells, share in rows %}
<tr><td style="text-align: left; padding-left: {{ row.last|length }}em">
{%- if row.is_group %}<strong>{{ row.name }}</strong>{% else %}{{ row.name }}{% endif %}</td>
<td style="text-align: left">{{ row.kind }}</td><td>{{ row.shape }}</td>
{%- for cell in cells %}<td>{{ cell }}</td>{% endfor %}{% if metric %}<td>{{ share }}</td>{% endif %}</tr>
{%- endfor %}
</tbody></table>
"""


@renderer("notebook", ".html", is_whole=True)
def notebook(profile: Profile, view: View) -> str:
    """Static HTML table with the diagram below it; the table alone where Graphviz is missing."""
    from archprof.renderers.picture import picture, source
    from archprof.renderers.report.pieces import embedded

    try:
        drawn = picture(profile, source(profile), "svg", {}).decode()
        drawing = CARD.format(embedded(drawn[drawn.index("<svg") :], prefix(profile)))
    except DrawingError as error:
        drawing = f"<p>{escape(str(error))}</p>"
    return html(profile, view) + drawing + "\n"


def prefix(profile: Profile) -> str:
    """Return what the ids of a profile's picture begin with, so that pictures on one page do not mix them up."""
    return f"archprof-{zlib.crc32(f'{profile.model} {profile.totals}'.encode()):08x}-"


@renderer("html", ".html")
def html(profile: Profile, view: View) -> str:
    """Static HTML table, as a notebook shows it."""
    import jinja2

    columns = columns_of(profile, view.columns or usual(profile, DEFAULT))
    shown = rows_of(profile, view)
    metric = share_of(profile, view, columns)
    whole = profile.totals.get(metric) or 1
    rows = []
    for row in shown:
        number = value(profile, row, metric) if metric else 0
        share = "-" if number is None else percent(number / whole) if number else ""
        rows.append((row, [cell(profile, row, name, raw=view.raw) for name in columns], share))
    page = jinja2.Environment(autoescape=True).from_string(TEMPLATE)
    return (
        page.render(
            heading=heading(profile),
            gaps=gaps_line(profile),
            notes=profile.notes,
            columns=columns,
            rows=rows,
            metric=metric,
        )
        + "\n"
    )
