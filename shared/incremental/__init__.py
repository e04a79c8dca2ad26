"""A small incremental computation engine, in the line of Salsa, Adapton and Istio's krt. It knows nothing of gateways.

Input tables; pure memoised queries that record what they read; collections and folds for wide joins. After a change only what
(transitively) read it is looked at again, and work stops where a result comes out equal.
"""

from shared.incremental.db import Db
from shared.incremental.definitions import ABSENT, Collection, Fold, Index, Table, fold, query
from shared.incremental.errors import CycleError, Pending
from shared.incremental.folds import AnyOf, Count, First, MinBy, SortedBy, SumOf

__all__ = [
    "ABSENT",
    "AnyOf",
    "Collection",
    "Count",
    "CycleError",
    "Db",
    "First",
    "Fold",
    "Index",
    "MinBy",
    "Pending",
    "SortedBy",
    "SumOf",
    "Table",
    "fold",
    "query",
]
