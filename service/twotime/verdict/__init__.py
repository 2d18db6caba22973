"""What an analysis says of its sample and its beam, in statements and in words, from the published tables alone."""

from twotime.verdict.evidence import Evidence
from twotime.verdict.statements import Level, Quantity, Statement, Verdict
from twotime.verdict.verdict import verdict

__all__ = ["Evidence", "Level", "Quantity", "Statement", "Verdict", "verdict"]
