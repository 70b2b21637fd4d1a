"""What a log and a terminal show of a running job."""

from __future__ import annotations

import io

from sweep.shown import Shown


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_now_and_then_and_the_last_one() -> None:
    now, log = [100.0], io.StringIO()
    with Shown("tokenizer-p16", log, lambda: now[0]) as shown:
        for step in range(1, 101):
            shown.update(step, 100, "steps", {"loss": 1 / step})
            now[0] += 0.5
    lines = log.getvalue().splitlines()
    assert lines[0] == "tokenizer-p16: 1/100 steps, loss 1"
    assert lines[1] == "tokenizer-p16: 21/100 steps, 2 steps/s, loss 0.04762"
    assert lines[-1] == "tokenizer-p16: 100/100 steps, 2 steps/s, loss 0.01"
    assert len(lines) == 6


def test_a_terminal_gets_a_bar() -> None:
    screen = Terminal()
    with Shown("tokenizer-p16", screen) as shown:
        shown.update(1, 10, "steps", {})
        shown.update(10, 10, "steps", {"loss": 0.5})
    assert "10/10 steps" in screen.getvalue()
    assert "loss 0.5" in screen.getvalue()
