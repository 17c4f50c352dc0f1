"""restic as a value and a process: commands, the one door that starts them, messages, errors by exit code."""
