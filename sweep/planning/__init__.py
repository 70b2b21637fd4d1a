"""From a checked sweep file to points and jobs. Pure: nothing is written or submitted."""
