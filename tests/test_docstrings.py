"""The examples in the docstrings of the public names."""

import doctest
import inspect
from pathlib import Path

import pytest

import mien

NAMES = [name for name in mien.__all__ if not name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_true(name: str, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(examples.parent)
    thing = getattr(mien, name)
    module = inspect.getmodule(thing)
    for test in doctest.DocTestFinder(exclude_empty=True).find(thing, name, module=module, globs={}):
        assert not doctest.DocTestRunner(verbose=False).run(test).failed


def test_public_names_have_docstrings() -> None:
    for name in NAMES:
        assert inspect.getdoc(getattr(mien, name)), name
