"""From text to a checked tree, without torch: YAML with exact positions, the skeleton of sections, expressions.

`read` gives a Document; `archprof.expand` gives it meaning.
"""

from archprof.language.document import Document
from archprof.language.extends import read

__all__ = ["Document", "read"]
