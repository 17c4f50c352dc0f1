"""client-go's work queues: deduplicating, delaying and rate-limited, fair, never one key twice at once."""
