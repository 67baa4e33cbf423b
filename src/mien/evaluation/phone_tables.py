"""What was measured of networks for phones, and of wheels for other systems, as tables in Markdown."""

from typing import Any

from mien.evaluation.markdown import markdown_table

Values = dict[str, Any]
NOTHING = "–"


def phones_table(values: Values) -> str:
    """A row for each artefact that benchmarks/phone_engines.py measured, beside ONNX Runtime in the same run."""
    rows = [
        [
            name,
            "ONNX Runtime" if row["format"] == "onnx" else row["format"],
            row["precision"],
            f"{row['bytes'] / 1e6:.2f}",
            f"{row['largest_difference']:.1e}" if row["format"] != "onnx" else NOTHING,
            *(f"{row[key]:.3f}" if key in row else NOTHING for key in ("accuracy", "ece", "agreement")),
            f"{row['faces']:,}" if "faces" in row else NOTHING,
            f"{row['relative_latency']:.2f}",
        ]
        for name, network in values["networks"].items()
        for row in network
    ]
    heading = ["network", "format", "weights", "MB", "largest difference", "accuracy", "calibration error"]
    return markdown_table([*heading, "same answers", "faces", "time / ONNX Runtime"], rows)


def pipelines_table(values: Values, detector: str, network: str) -> str:
    """A row for each format in fp32: one look of the detector and one face, in times of ONNX Runtime's."""
    taken = {
        row["format"]: [each["latency_ms"] for each in (row, *_same(values["networks"].get(network, []), row))]
        for row in values["networks"].get(detector, [])
        if row["precision"] in ("as packaged", "fp32")
    }
    whole = {form: sum(parts) for form, parts in taken.items() if len(parts) == 2}
    rows = [[form, f"{milliseconds / whole['onnx']:.2f}"] for form, milliseconds in whole.items()]
    return markdown_table(["format", "time / ONNX Runtime"], rows)


def wheels_table(values: Values) -> str:
    """A row for each system: the newest versions that exist as wheels, by Python (scripts/check-wheels)."""
    named = ("onnxruntime", "numpy", "pillow")
    pythons = list(next(iter(values["systems"].values())))
    rows = [
        [
            system,
            *(
                "none" if isinstance(found, str) else ", ".join(f"{name} {found[name]}" for name in named)
                for found in (by_python[python] for python in pythons)
            ),
        ]
        for system, by_python in values["systems"].items()
    ]
    return markdown_table(["system", *(f"Python {python}" for python in pythons)], rows)


def _same(rows: list[Values], like: Values) -> list[Values]:
    return [row for row in rows if (row["format"], row["precision"]) == (like["format"], like["precision"])][:1]
