"""The science: visual tokenizers, their training and their evaluation (ViTok, arXiv 2501.09755).

The modules `variants`, `cost`, `config`, `kinds`, `context`, `errors` and `data.sources` import
without torch: planning leans on them.
"""
