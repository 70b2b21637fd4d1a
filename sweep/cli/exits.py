"""Exit codes of the commands beside 0, and 2, which is UserError's own; their help says which."""

NOTHING_TO_DO = 3
SOME_FAILED = 4
UNREACHABLE = 5  # the scheduler does not answer
INTERRUPTED = 130  # as shells say it of Ctrl-C
