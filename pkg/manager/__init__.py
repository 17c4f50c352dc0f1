"""Controllers, operations, leader election, events, health and the order in which they start and stop."""
