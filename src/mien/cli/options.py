"""Options that several commands share."""

from typing import Annotated

import typer

Model = Annotated[str | None, typer.Option(help="A packaged network, or an ONNX file.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads of the network; 0 leaves it open.")]
