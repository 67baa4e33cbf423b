"""mien's data files: packaged networks and their manifest."""

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("mien", excludes=["**/*.safetensors"])  # those are for training
