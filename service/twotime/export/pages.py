"""Pages of paper that fill from the top: headings, paragraphs, tables and pictures, with a foot on each."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure, FigureBase
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text

PAPER = (8.27, 11.69)
SIDE, TOP, FOOT = 0.75, 0.75, 0.85
WIDTH = PAPER[0] - 2 * SIDE
INK, QUIET, LINE, FAINT = "#1f2933", "#52606d", "#9aa5b1", "#e4e7eb"
DOUBT = "#9a3412"
SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"
_LEADING = 1.45
_SMALLER, _LEAST = 0.66, 6.3
"""Pictures are made for screens; their letters shrink by this much on paper, but not below so many points."""

_writing = Lock()  # The kind of the fonts in a file is a setting of the whole process.


class Pages:
    """Sheets of A4; what no longer fits below the rest begins the next one.

    Parameters
    ----------
    foot : words at the lower left of each page
    """

    def __init__(self, foot: str) -> None:
        self.figures: list[Figure] = []
        self._foot = foot
        self._begin()

    def title(self, words: str, below: str) -> None:
        """The title of it all, and a quiet line below."""
        self._write(words, 17, weight="bold")
        self._write(below, 9.5, colour=QUIET)
        self._down(0.1)
        self._rule(LINE, 1.0)
        self._down(0.12)

    def heading(self, words: str, with_height: float = 0.6) -> None:
        """A heading that stays on one page with at least so much of what follows, inches."""
        if self._y > TOP:
            self._down(0.22)
        self._room(0.35 + with_height)
        self._write(words, 12, weight="bold")
        self._down(0.06)

    def paragraph(
        self, words: str, *, size: float = 8.5, colour: str = INK, mark: str = "", indent: float = 0.0
    ) -> None:
        """Wrapped words, all of them to the right of a mark where there is one."""
        for place, line in enumerate(wrapped(words, size, WIDTH - indent)):
            self._room(_height(size))
            if mark and place == 0:
                self._put(0.0, mark, size, colour=colour)
            self._put(indent, line, size, colour=colour)
            self._down(_height(size))

    def listing(self, text: str, size: float = 7) -> None:
        """Lines of a fixed-width font as they are, long ones cut over to the next line."""
        letters = int(WIDTH / width("m", size, family=MONO))
        for line in text.splitlines():
            for first in range(0, max(len(line), 1), letters):
                self._room(_height(size))
                self._put(0.0, line[first : first + letters], size, family=MONO)
                self._down(_height(size))

    def facts(self, rows: Sequence[tuple[str, str]], size: float = 8.5) -> None:
        """Names and what they stand for, in two columns."""
        indent = max(width(name, size) for name, _ in rows) + 0.2
        for name, words in rows:
            lines = wrapped(words, size, WIDTH - indent)
            self._room(_height(size) * len(lines))
            self._put(0.0, name, size, colour=QUIET)
            for line in lines:
                self._put(indent, line, size)
                self._down(_height(size))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], doubtful: Sequence[bool] = ()) -> None:
        """Cells under their headers, which stand on top of each page again; the last column is wrapped.

        Parameters
        ----------
        doubtful : by row, whether its last cell warns
        """
        size = 8.0
        widths = [max(width(row[k], size) for row in [header, *rows]) + 0.14 for k in range(len(header) - 1)]
        if sum(widths) > 0.82 * WIDTH:
            size *= 0.82 * WIDTH / sum(widths)
            widths = [one * 0.82 * WIDTH / sum(widths) for one in widths]
        starts = [sum(widths[:k]) for k in range(len(header))]
        self._head(header, starts, size)
        for place, row in enumerate(rows):
            last = wrapped(row[-1], size, WIDTH - starts[-1])
            if self._room(_height(size) * len(last) + 0.09):
                self._head(header, starts, size)
            self._down(0.035)
            for cell, start in zip(row[:-1], starts, strict=False):
                self._put(start, cell, size)
            for line in last:
                self._put(starts[-1], line, size, colour=DOUBT if doubtful and doubtful[place] else INK)
                self._down(_height(size))
            self._down(0.025)
            self._rule(FAINT, 0.6)
        self._down(0.07)

    def picture(self, draw: Callable[[FigureBase], None], height: float, caption: str = "") -> None:
        """What `draw` puts on a figure, over the width of the page, and words below where there are some."""
        self._room(height + (2 * _height(7.5) if caption else 0.0))
        above, below = self._y, PAPER[1] - self._y - height
        grid = self.figures[-1].add_gridspec(
            3, 3, height_ratios=(above, height, below), width_ratios=(SIDE, WIDTH, SIDE), wspace=0, hspace=0
        )
        part = self.figures[-1].add_subfigure(grid[1, 1], facecolor="none")
        draw(part)
        _shrink(part)
        self._down(height + 0.03)
        if caption:
            self.paragraph(caption, size=7.5, colour=QUIET)
        self._down(0.1)

    def save(self, path: Path, about: dict[str, str]) -> None:
        """Write all pages as PDF with text that can be searched; `about` as in `PdfPages`."""
        for number, figure in enumerate(self.figures, 1):
            baseline = (FOOT - 0.4) / PAPER[1]
            _text(figure, SIDE / PAPER[0], baseline, self._foot, 7, QUIET)
            page = f"{number} / {len(self.figures)}"
            _text(figure, 1 - SIDE / PAPER[0], baseline, page, 7, QUIET, horizontalalignment="right")
        with _writing, rc_context({"pdf.fonttype": 42}), PdfPages(path, metadata=about) as file:
            for figure in self.figures:
                file.savefig(figure, dpi=220)

    def _begin(self) -> None:
        self.figures.append(Figure(figsize=PAPER, layout="constrained"))
        self._y = TOP

    def _room(self, height: float) -> bool:
        """Begin a new page where so much no longer fits; returns whether it did."""
        if self._y + height <= PAPER[1] - FOOT or self._y == TOP:
            return False
        self._begin()
        return True

    def _down(self, height: float) -> None:
        self._y += height

    def _write(self, words: str, size: float, *, weight: str = "normal", colour: str = INK) -> None:
        for line in wrapped(words, size, WIDTH, weight=weight):
            self._room(_height(size))
            self._put(0.0, line, size, colour=colour, weight=weight)
            self._down(_height(size))

    def _head(self, header: Sequence[str], starts: Sequence[float], size: float) -> None:
        self._room(3 * _height(size))
        for name, start in zip(header, starts, strict=True):
            self._put(start, name, size, colour=QUIET, weight="bold")
        self._down(_height(size) + 0.03)
        self._rule(LINE, 1.0)

    def _put(
        self, indent: float, words: str, size: float, *, colour: str = INK, weight: str = "normal", family: str = SANS
    ) -> None:
        """One line whose top is where the page has come to."""
        x, y = (SIDE + indent) / PAPER[0], 1 - (self._y + size / 72) / PAPER[1]
        _text(self.figures[-1], x, y, words, size, colour, weight=weight, family=family)

    def _rule(self, colour: str, thickness: float) -> None:
        y = 1 - self._y / PAPER[1]
        ends = [SIDE / PAPER[0], 1 - SIDE / PAPER[0]]
        figure = self.figures[-1]
        figure.add_artist(Line2D(ends, [y, y], color=colour, linewidth=thickness, transform=figure.transFigure))


def width(words: str, size: float, *, weight: str = "normal", family: str = SANS) -> float:
    """Of a line of text, inches."""
    font = get_font(findfont(FontProperties(family=family, weight=weight)))
    font.set_size(size, 72)
    font.set_text(words, 0.0)
    return float(font.get_width_height()[0]) / 64 / 72


def wrapped(words: str, size: float, room: float, *, weight: str = "normal") -> list[str]:
    """Lines no longer than `room` inches, broken between words, and within those that are longer than a line."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if width(longer, size, weight=weight) <= room:
            lines[-1] = longer
            continue
        lines.append("")
        for letter in word:
            if width(lines[-1] + letter, size, weight=weight) > room:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line] or [""]


def _height(size: float) -> float:
    """Of a line of letters of this size, inches."""
    return size / 72 * _LEADING


def _text(figure: Figure, x: float, y: float, words: str, size: float, colour: str, **more: Any) -> None:
    # Dollars of a sample's name are no mathematics.
    figure.text(x, y, words, fontsize=size, color=colour, verticalalignment="baseline", parse_math=False, **more)


def _shrink(part: FigureBase) -> None:
    for text in part.findobj(Text):
        text.set_fontsize(max(_LEAST, float(text.get_fontsize()) * _SMALLER))
    for panel in part.findobj(Axes):
        panel.tick_params(labelsize=10 * _SMALLER, width=0.6, length=2.5)
