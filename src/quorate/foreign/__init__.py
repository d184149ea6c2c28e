"""How is what others wrote read, and shown? Bounded in bytes, time and depth; shown with nothing hidden in it."""
