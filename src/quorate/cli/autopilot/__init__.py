"""`quorate autopilot`: the daemon, the orders to it, and what it says of itself."""
