"""The backup engine: which items, in which order, into which tarball; planning is pure, streaming is bounded."""
