"""The restore engine: a plan from a tarball, objects created in order, volumes filled."""
