"""Create-session and get-session against pgbench and a hand-written floor, in turns."""
