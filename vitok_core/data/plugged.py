"""Data sets that somebody else's package opens: an entry point of the group vitok_sweep.data.

It names a function from the path that the site file gives (None: it gives none) to a source, as
`vitok_core.data.images` describes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vitok_core import plugins
from vitok_core.errors import UserError

_OF_ALL = ("shard_sizes", "__len__", "label")
_OF_IMAGES = ("image", "in_memory", "crops_per_image")
_OF_VIDEOS = ("clip", "clips_per_video")
_LOOKED_AT = 64  # images of a set whose bytes its fingerprint is made of


def open_plugin(name: str, paths: Mapping[str, str]) -> Any:
    """The source of a data set; UserError where its code is not what an image source needs."""
    code = plugins.known("data set")[name].code
    source = plugins.load(code)(paths.get(name))
    own = _OF_VIDEOS if hasattr(source, "clip") else _OF_IMAGES
    lacking = [each for each in (*_OF_ALL, *own) if not hasattr(source, each)]
    if lacking:
        raise UserError(f"data set {name}: what {code} opens has no {', '.join(lacking)}")
    return source


def contents(name: str, paths: Mapping[str, str]) -> Iterator[str]:
    """Lines that tell what a data set holds: what its source's `fingerprint` says, if it has one;
    else its length and the pixels of images spread evenly over it."""
    source = open_plugin(name, paths)
    yield str(len(source))
    own = getattr(source, "fingerprint", None)
    if own is not None or not hasattr(source, "image"):
        yield str(own() if callable(own) else own)
        return
    for i in dict.fromkeys(np.linspace(0, len(source) - 1, _LOOKED_AT, dtype=int).tolist()):
        image = np.ascontiguousarray(source.image(i))
        yield f"{i} {image.shape} {source.label(i)} {hashlib.sha256(image.data).hexdigest()}"
