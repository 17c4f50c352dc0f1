"""Fakes, and the harness that starts a control plane or a cluster; product code never imports it."""
