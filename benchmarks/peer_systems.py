"""What is compared: mien's networks, ONNX files of one's own, mini_XCEPTION with random weights, and installed peers.

Each takes face crops and gives probabilities of its own expressions. A peer gets the whole crop of 48x48 pixels,
without a detector, through the function of its own that predicts on a face; all it does around its network counts.
"""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace

import numpy as np
from mini_xception import KERAS_PARAMETERS, mini_xception_onnx
from numpy.typing import NDArray

from mien import list_models
from mien.expressions import canonical_expression
from mien.preprocessing import ImageArray, Preprocessing
from mien.scorer import OnnxScorer, Scorer
from mien.weights import ModelCard

STAND_IN = "mini_XCEPTION"
Scores = dict[str, float]


@dataclass(frozen=True)
class System:
    """One network, ready to score faces uint8 (N, S, S, C) of its card's size on one thread."""

    card: ModelCard
    score: Scorer
    kind: str
    """`packaged`, `own`, `stand-in` or `peer`."""
    what: str
    """What was run, in words."""
    distribution: str = ""
    """The installed distribution that it comes with."""
    imports: str = ""
    """Python that imports what predicts, in a fresh process."""
    loads: str = ""
    """Python that loads the network after that."""


def mien_systems(files: Sequence[Path]) -> list[System]:
    """The packaged networks, the default first, and ONNX files by the names of the files."""
    named = [(card.name, "packaged", card.name) for card in list_models()]
    named += [(str(file), "own", file.stem) for file in files]
    found = []
    for model, kind, name in named:
        scorer = OnnxScorer(model, threads=1)
        card = replace(scorer.card, name=name)
        loads = f"Recognizer({model!r}, threads=1)"
        what = "OnnxScorer, ONNX Runtime"
        found.append(System(card, scorer, kind, what, "mien", "from mien import Recognizer", loads))
    return found


def stand_in() -> System:
    """mini_XCEPTION with random weights, run as mien's networks are."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "mini-xception.onnx"
        file.write_bytes(mini_xception_onnx())
        scorer = OnnxScorer(str(file), threads=1)
    what = f"the architecture in fer ({KERAS_PARAMETERS:,} parameters as Keras counts), random weights, ONNX Runtime"
    return System(replace(scorer.card, name=STAND_IN), scorer, "stand-in", what)


def open_peers() -> tuple[list[System], dict[str, str]]:
    """The peers that run here, and why the others do not."""
    found, absent = [], {}
    for name, open_peer in PEERS.items():
        try:
            installed = version(name)
            peer = open_peer()
            found.append(replace(peer, card=replace(peer.card, name=name), what=f"{name} {installed}, {peer.what}"))
        except PackageNotFoundError:
            absent[name] = "not installed"
        except Exception as error:  # other people's packages fail in ways of their own
            absent[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return found, absent


def open_fer() -> System:
    """https://github.com/JustinShenk/fer: mini_XCEPTION learned from FER2013."""
    with tensorflow() as engine:
        from fer.fer import FER

        recognizer = FER(offsets=(0, 0))  # else it adds ten pixels of padding to the box

    def predict(face: ImageArray) -> Scores:
        (found,) = recognizer.detect_emotions(in_bgr(face), [(0, 0, face.shape[1], face.shape[0])])
        scores: Scores = found["emotions"]
        return scores

    weights = package_folder("fer") / "data" / "emotion_model_quantized.tflite"
    what = f"FER(offsets=(0, 0)).detect_emotions with the face's box, {weights.name}, {engine}"
    return peer(predict, weights, what, "fer", "from fer.fer import FER", "FER()")


def open_facex() -> System:
    """https://pypi.org/project/facex: a network for 200x200 pixels."""
    with tensorflow() as engine:
        from facex import EmotionClassifier

        weights = package_folder("facex") / "assets" / "model_optimized.tflite"
        classifier = EmotionClassifier(str(weights))

    def predict(face: ImageArray) -> Scores:
        scores: Scores = classifier.detect_emotion(face[:, :, 0])
        return scores

    what = f"EmotionClassifier.detect_emotion, {weights.name}, {engine}"
    loads = f"EmotionClassifier({str(weights)!r})"
    return peer(predict, weights, what, "facex", "from facex import EmotionClassifier", loads)


def open_deepface() -> System:
    """https://github.com/serengil/deepface: its emotion model."""
    home = Path(os.environ.get("DEEPFACE_HOME", Path.home())) / ".deepface" / "weights"
    weights = present(home, "facial_expression_model_weights.*")
    from deepface import DeepFace

    analyze = partial(
        DeepFace.analyze, actions=["emotion"], enforce_detection=False, detector_backend="skip", silent=True
    )

    def predict(face: ImageArray) -> Scores:
        scores: Scores = analyze(in_bgr(face))[0]["emotion"]
        return scores

    what = f"DeepFace.analyze of emotion alone with detector_backend='skip', {weights.name}"
    loads = "DeepFace.build_model('Emotion', 'facial_attribute')"
    return peer(predict, weights, what, "deepface", "from deepface import DeepFace", loads)


def open_emotiefflib() -> System:
    """https://github.com/sb-ai-lab/EmotiEffLib: its default network, EfficientNet-B0 for AffectNet."""
    weights = present(Path.home() / ".emotiefflib", "enet_b0_8_best_vgaf.onnx")
    from emotiefflib.facial_analysis import EmotiEffLibRecognizer

    recognizer = EmotiEffLibRecognizer(engine="onnx", model_name=weights.stem)
    names = list(recognizer.idx_to_emotion_class.values())

    def predict(face: ImageArray) -> Scores:
        _, scores = recognizer.predict_emotions(np.repeat(face, 3, axis=2), logits=False)
        return dict(zip(names, scores[0].tolist(), strict=True))

    what = f"EmotiEffLibRecognizer.predict_emotions, {weights.name}, ONNX Runtime"
    imports = "from emotiefflib.facial_analysis import EmotiEffLibRecognizer"
    loads = f"EmotiEffLibRecognizer(engine='onnx', model_name={weights.stem!r})"
    return peer(predict, weights, what, "emotiefflib", imports, loads)


PEERS: dict[str, Callable[[], System]] = {
    "fer": open_fer,
    "deepface": open_deepface,
    "emotiefflib": open_emotiefflib,
    "facex": open_facex,
}
"""How to open a peer, by the name of its distribution."""


def peer(
    predict: Callable[[ImageArray], Scores], weights: Path, what: str, distribution: str, imports: str, loads: str
) -> System:
    """A system of a function from one grey face uint8 (48, 48, 1) to scores by the peer's names of expressions."""
    grey = Preprocessing(size_px=48, channels=1)
    names = list(predict(np.zeros((grey.size_px, grey.size_px, 1), np.uint8)))
    expressions = tuple(canonical_expression(name) for name in names)
    card = ModelCard(distribution, expressions, grey, "", 0, 0, {}, "", "", weights.stat().st_size)

    def score(faces: ImageArray) -> NDArray[np.float32]:
        rows = [[scores[name] for name in names] for scores in map(predict, faces)]
        found = np.maximum(np.array(rows, np.float32), 1e-6)  # some peers round small scores to 0
        probabilities: NDArray[np.float32] = found / found.sum(axis=1, keepdims=True)
        return probabilities

    return System(card, score, "peer", what, distribution, imports, loads)


@contextlib.contextmanager
def tensorflow() -> Iterator[str]:
    """What peers that import TensorFlow to run a TFLite file are run with, in words.

    Where TensorFlow is not installed, it is replaced while they are imported and opened by LiteRT, the same interpreter
    of TFLite files in a package of its own; ImportError where that is not installed either.
    """
    if importlib.util.find_spec("tensorflow"):
        yield f"TensorFlow {version('tensorflow')}"
        return
    from ai_edge_litert.interpreter import Interpreter

    names = ("tensorflow", "tensorflow.keras", "tensorflow.keras.models")
    whole, _, models = replacements = [ModuleType(name) for name in names]
    whole.lite = SimpleNamespace(Interpreter=partial(Interpreter, num_threads=1))  # type: ignore[attr-defined]
    models.load_model = None  # type: ignore[attr-defined]
    sys.modules.update(zip(names, replacements, strict=True))
    try:
        yield f"ai-edge-litert {version('ai-edge-litert')} in TensorFlow's place"
    finally:
        for name in names:
            del sys.modules[name]


def present(folder: Path, pattern: str) -> Path:
    """The one file of weights that a peer downloads; FileNotFoundError where it did not yet, as nothing is fetched."""
    files = sorted(folder.glob(pattern))
    if not files:
        raise FileNotFoundError(f"expected weights {pattern} in {folder.name}, found none (it downloads them)")
    return files[0]


def package_folder(name: str) -> Path:
    """Where an imported package lies."""
    return Path(str(sys.modules[name].__file__)).parent


def in_bgr(face: ImageArray) -> ImageArray:
    """A grey face (H, W, 1) with three equal channels."""
    return np.repeat(face, 3, axis=2)
