"""Which volumes of a pod are captured, where they lie on a node, and the ledger of what was expected."""
