"""What of this machine, its cluster and its site file is in order, and how to mend the rest."""
