"""One reconciler per file: reads the cache, decides, starts or observes an operation, records status."""
