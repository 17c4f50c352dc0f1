"""Access to the Kubernetes API: one transport with deadlines, typed errors, a clock and a stop token."""
