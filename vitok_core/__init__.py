"""The science: visual tokenizers, their training and their evaluation (ViTok, arXiv 2501.09755).

`load_tokenizer` opens a trained one. It and the modules that planning leans on (`variants`, `cost`
and others; tests/test_walls.py lists them) import without torch.
"""

from vitok_core.tokenizers import load_tokenizer

__all__ = ["load_tokenizer"]
