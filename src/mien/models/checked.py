"""What the options of experiment files are made of: frozen classes, checked; wrong values are errors of one line."""

import reprlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mien.errors import ExperimentError

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]

T = TypeVar("T")
UNKNOWN = "unexpected_keyword_argument"


def validated(kind: type[T], values: Mapping[str, Any], source: str) -> T:
    """Values as an instance of a class of options; ExperimentError names source, key, expectation and finding."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ExperimentError(f"{source}: {_in_words(kind, error)}".replace(": : ", ": ")) from error


def to_plain(options: Any) -> dict[str, Any]:
    """An instance of a class of options as plain values, which `validated` takes."""
    values: dict[str, Any] = TypeAdapter(type(options)).dump_python(options, mode="json")
    return values


def _in_words(kind: type[Any], error: ValidationError) -> str:
    """The first mistake in one line, unknown keys before all others."""
    first = min(error.errors(), key=lambda each: each["type"] != UNKNOWN)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == UNKNOWN:
        return f"unknown key {key!r}; known: {', '.join(_known_keys(kind, first['loc'][:-1]))}"
    whole = first["type"].startswith("missing") or first["type"] == "value_error"  # what was found is all values
    return f"{key}: {first['msg'].removeprefix('Value error, ')}" + (
        "" if whole else f", found {reprlib.repr(first['input'])}"
    )


def _known_keys(kind: type[Any], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at a path, sorted."""
    for part in path:
        hint = get_type_hints(kind)[str(part)]
        hints: tuple[Any, ...] = (hint, *get_args(hint))  # also of JointOptions | None
        kind = next(each for each in hints if isinstance(each, type) and is_dataclass(each))
    return sorted(field.name for field in fields(kind))
