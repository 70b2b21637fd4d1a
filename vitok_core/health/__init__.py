"""Whether this machine's torch does what our jobs ask of it: `python -m vitok_core.health`.

Each check is a process of its own, since importing torch and starting CUDA may fail in any way.
"""
