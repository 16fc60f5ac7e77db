"""What verl loads through its ``verl.plugins`` entry point, in every one of its processes."""
