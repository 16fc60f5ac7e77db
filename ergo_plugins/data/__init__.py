"""Training sets: from what others publish to rows that verl reads, every row checked."""
