"""Fair shares of the workers: which instrument and which proposal has used least of them."""

from collections import Counter

Share = tuple[str, ...]
"""To whom an analysis counts, from coarse to fine, such as ("CHX", "pass-312345")."""
NO_SHARE: Share = ("",)
"""Share of analyses without one: of older versions, or where the site has no shares."""

_UNKNOWN_S = 1.0
_NEWEST = 0.3


class FairShares:
    """Worker time that each share has used, and the order of shares that follows.

    Instruments get equal time, and within an instrument its proposals do, as long as they have work.

    Notes
    -----
    Start-time fair queueing (Goyal, Vin and Cheng, 1996), once for each level. A share is charged the expected time
    when an analysis starts; the difference follows when it has ended. A share that returns after it had no work is
    raised to the time at which its siblings are served: it keeps no claim from before, and the others do not pay for
    what they used alone.

    Examples
    --------
    >>> shares = FairShares()
    >>> for share in (("CHX", "a"), ("CHX", "b"), ("SMI", "c")):
    ...     shares.enter(share)
    >>> charged = shares.start(("CHX", "a"))
    >>> min((("CHX", "a"), ("CHX", "b"), ("SMI", "c")), key=shares.turn)
    ('SMI', 'c')
    """

    def __init__(self) -> None:
        self._used_s: dict[Share, float] = {}
        self._served_at_s: dict[Share, float] = {}
        self._jobs: Counter[Share] = Counter()
        self._mean_s: dict[Share, float] = {}

    def turn(self, share: Share) -> tuple[float, ...]:
        """Sort key: the share with the smallest one is next."""
        return tuple(self._used_s.get(level, 0.0) for level in _levels(share))

    def expected_s(self, share: Share) -> float | None:
        """Expected duration of an analysis, s: recent ones of the share, else of all; None before any has ended."""
        return self._mean_s.get(share, self._mean_s.get(()))

    def enter(self, share: Share) -> None:
        """Count an analysis that waits from now on."""
        for level in _levels(share):
            if self._jobs[level] == 0:
                self._used_s[level] = max(self._used_s.get(level, 0.0), self._served_at_s.get(level[:-1], 0.0))
            self._jobs[level] += 1

    def leave(self, share: Share) -> None:
        """Count an analysis no longer."""
        self._jobs.subtract(_levels(share))

    def start(self, share: Share) -> float:
        """Charge a share for an analysis that starts; returns the charge, s."""
        charge_s = self.expected_s(share) or _UNKNOWN_S
        for level in _levels(share):
            used_s = self._used_s.get(level, 0.0)
            self._served_at_s[level[:-1]] = max(self._served_at_s.get(level[:-1], 0.0), used_s)
            self._used_s[level] = used_s + charge_s
        return charge_s

    def end(self, share: Share, charged_s: float, used_s: float, *, computed: bool) -> None:
        """Replace the charge of an analysis by the time that it used; `computed`: expect that time of others, too."""
        for level in _levels(share):
            self._used_s[level] += used_s - charged_s
        self.leave(share)
        if computed:
            for key in {share, ()}:
                mean_s = self._mean_s.get(key, used_s)
                self._mean_s[key] = mean_s + _NEWEST * (used_s - mean_s)

    def forecast(self) -> "FairShares":
        """A copy, to find out what comes after what."""
        copy = FairShares()
        copy._used_s, copy._served_at_s = dict(self._used_s), dict(self._served_at_s)
        copy._mean_s = self._mean_s
        return copy


def _levels(share: Share) -> list[Share]:
    return [share[: depth + 1] for depth in range(len(share))]
