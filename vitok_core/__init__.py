"""The science: visual tokenizers, their training and their evaluation (ViTok, arXiv 2501.09755).

`load_tokenizer` opens a trained one. It and the modules `variants`, `cost`, `config`, `kinds`,
`context`, `errors`, `tokenizers` and `data.sources` import without torch: planning leans on them.
"""

from vitok_core.tokenizers import load_tokenizer

__all__ = ["load_tokenizer"]
