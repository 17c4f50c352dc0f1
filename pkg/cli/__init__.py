"""The command line and the composition roots: the only place that reads flags, environment and Config."""
