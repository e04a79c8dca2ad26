"""`headgate up`: the whole pipeline on one machine, as the same processes that containers run."""
