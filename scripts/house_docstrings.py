"""For mkdocs.yml: lines of a docstring that begin with `name: ` become the items of a list."""

import re
from typing import Any

import griffe

NAMED = re.compile(r"^(\w+(?:, \w+)*): (?=\S)", re.MULTILINE)


class HouseDocstrings(griffe.Extension):
    """Parameters stand in mien's docstrings as `name: what it is`, further lines indented."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = NAMED.sub(lambda found: f"- `{found[1]}`: ", obj.docstring.value)
