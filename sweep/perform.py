"""Calling a job's function: what rank 0 and its peers do alike."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sweep.layout import JobFolder
from sweep.snapshot import plugin_copies
from vitok_core import plugins
from vitok_core.context import Context
from vitok_core.kinds import KINDS


def perform(spec: Mapping[str, Any], context: Context) -> None:
    """Run the job of a job.json; raises what it raises, or what its configuration lacks.

    Users' own packages are imported from the copies that were frozen at launch.
    """
    kind = KINDS[spec["kind"]]
    config = kind.config.model_validate(spec["config"])
    module, _, function = kind.function.partition(":")
    configs = [spec["config"], *(parent.config for parent in context.parents)]
    with plugins.activated(plugin_copies(JobFolder(context.folder).root, configs)):
        getattr(import_module(module), function)(config, context)


def several(spec: Mapping[str, Any]) -> bool:
    """Whether a job's kind can run as several processes."""
    kind = KINDS.get(spec["kind"])
    return kind is not None and kind.several
