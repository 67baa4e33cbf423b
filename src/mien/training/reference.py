"""The reference of experiment files: every key with its type, its default and the sentence under it in the code."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter

from mien.evaluation.markdown import markdown_table
from mien.models import DETECTORS, NETWORKS
from mien.training.config import Experiment
from mien.training.methods import METHODS
from mien.training.options import (
    AugmentationOptions,
    DataOptions,
    JointOptions,
    MethodOptions,
    NetworkOptions,
    OptimizerOptions,
    ScheduleOptions,
)

TABLES: Mapping[str, type[Any]] = {
    "data": DataOptions,
    "network": NetworkOptions,
    "schedule": ScheduleOptions,
    "augmentation": AugmentationOptions,
    "optimizer": OptimizerOptions,
    "method": MethodOptions,
    "joint": JointOptions,
}
OPENING = """# Experiment files

An experiment file is TOML and describes one training: `mien train FILE --root DATA`. A key that is not listed here is
an error that lists the known ones. `--set schedule.epochs=2` takes the place of a single value, on the command line of
`mien train` and `mien finetune`. What says "required" must be in the file; with `weights` in `[network]`, the network's
`name` and `options` and the pre-processing in `[data]` come with the weights where the file leaves them out:

```toml
name = "mine"

[data]
dataset = "folder"
training_split = "random-80-20-by-class-training"
selection_split = "random-80-20-by-class"

[network]
weights = "mien-1m"

[schedule]
epochs = 10
```

This page is written by `scripts/update-reference` from the sentences in the code.
"""


def experiment_reference() -> str:
    """The whole reference as a page of Markdown."""
    return "\n".join([OPENING, *_sections()])


def _sections() -> Iterator[str]:
    yield _section("## Before the first table", Experiment)
    for name, kind in TABLES.items():
        yield _section(f"## [{name}]", kind)
    for title, networks in (
        ("Options of networks: [network.options]", NETWORKS),
        ("Options of face detectors: [network.options]", DETECTORS),
        ("Options of methods: [method.options]", METHODS),
    ):
        yield f"## {title}\n"
        for name, network in networks.items():
            yield _section(f"### {name}", network.options_class)


def _section(heading: str, kind: type[Any]) -> str:
    """A heading, what the class of options says of itself, and a table of its keys."""
    schema = TypeAdapter(kind).json_schema()
    keys, required = schema["properties"], schema.get("required", ())
    meanings = _meanings(kind)
    rows = [
        (f"`{field.name}`", _type(keys[field.name]), _default(field.name, keys, required), meanings[field.name])
        for field in fields(kind)
        if kind is not Experiment or field.name not in TABLES
    ]
    return f"{heading}\n\n{_sentence(schema)}\n\n{markdown_table(('key', 'type', 'default', 'meaning'), rows)}\n"


def _meanings(kind: type[Any]) -> dict[str, str]:
    """The sentence under each field, also under those of the classes that this one extends."""
    found: dict[str, str] = {}
    for each in reversed([each for each in kind.__mro__ if is_dataclass(each)]):
        own = {name: _sentence(key) for name, key in TypeAdapter(each).json_schema()["properties"].items()}
        found |= {name: sentence for name, sentence in own.items() if sentence}
    return found


def _sentence(schema: Mapping[str, Any]) -> str:
    return " ".join(schema.get("description", "").split())


def _default(name: str, keys: Mapping[str, Any], required: Any) -> str:
    if name in required:
        return "required"
    default = keys[name].get("default")
    if default is None:
        return "{}" if keys[name].get("type") == "object" else "none"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _type(schema: Mapping[str, Any]) -> str:
    """A type of JSON schema in words, with its limits."""
    if "const" in schema or "enum" in schema:
        values = [f"`{json.dumps(value, ensure_ascii=False)}`" for value in schema.get("enum", [schema.get("const")])]
        return " or ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"] if each != {"type": "null"})
    if "$ref" in schema:
        return "table, as " + ", ".join(f"[{name}]" for name, kind in TABLES.items() if kind.__name__ in schema["$ref"])
    kind = schema["type"]
    if kind == "array":
        if "prefixItems" in schema:
            return f"list of {len(schema['prefixItems'])}: {_type(schema['prefixItems'][0])}"
        return f"list: {_type(schema['items'])}"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in LIMITS.items() if key in schema]
    return " ".join([words.get(kind, "table"), ", ".join(limits)]).strip()


LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
