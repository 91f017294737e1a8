"""Plan -> files that other programs read: pure, one file per target, golden-tested."""
