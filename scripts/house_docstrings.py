"""For mkdocs.yml: docstrings as Markdown."""

import re
from typing import Any

import griffe

NAMED = re.compile(r"^(\w+(?:, \w+)*): (?=\S)", re.MULTILINE)
"""A parameter: `name: what it is`, further lines indented."""
AFTER_LIST = re.compile(r"^((?:- `|    ).*\n)(?=[^\s-])", re.MULTILINE)
EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class HouseDocstrings(griffe.Extension):
    """Parameters become a list, examples code."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of whatever griffe has read."""
        if obj.docstring:
            text = NAMED.sub(lambda found: f"- `{found[1]}`: ", obj.docstring.value)
            text = AFTER_LIST.sub(lambda found: f"{found[1]}\n", text)
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", text)
