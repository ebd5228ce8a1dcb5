"""What is said in a wave: candidates that wait in memory, and the few that show what happened."""
