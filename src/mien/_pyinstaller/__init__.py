"""What PyInstaller is told of mien (entry point `pyinstaller40`): its networks are data files."""

from pathlib import Path


def hook_dirs() -> list[str]:
    """Where hook-mien.py is."""
    return [str(Path(__file__).parent)]
