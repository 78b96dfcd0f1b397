"""What a report carries within itself: template, style and script, the policy that forbids all else, and quoted data."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

HOME = resources.files("archprof.renderers.report")


def template() -> jinja2.Template:
    """Return the page's template, which escapes whatever is not marked as safe."""
    import jinja2

    made = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return made.from_string(HOME.joinpath("page.html").read_text("utf-8"))


def script() -> Markup:
    """Return the bundle, as it stands between the script's tags."""
    return _safe(HOME.joinpath("static", "report.js").read_text("utf-8"))


def style() -> Markup:
    """Return the style sheet."""
    return _safe(HOME.joinpath("static", "report.css").read_text("utf-8"))


def policy(inlined: str) -> str:
    """Return the content security policy under which only this very script runs and nothing is fetched.

    >>> policy("let a")[:60]
    "default-src 'none'; script-src 'sha256-IfEXP/8HLuXoAiy0hZVrC"
    """
    digest = base64.b64encode(hashlib.sha256(inlined.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; worker-src blob:; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def quoted(value: Any) -> Markup:
    r"""Return a value as JSON that nothing within a script's tags can end or turn into markup.

    >>> print(quoted("</script><!-- &"))
    "\u003c/script\u003e\u003c!-- \u0026"
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return _safe(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def packed(value: Any) -> str:
    """Return a value as JSON, compressed by gzip and written in base64; equal values give equal texts."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _safe(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own files, and JSON that was quoted
