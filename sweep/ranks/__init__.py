"""Jobs that run as several processes: rank 0 has the attempt, the others (peers) follow it."""
