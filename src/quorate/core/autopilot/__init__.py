"""What an autopilot decides on and by: the policy, what its looks add up to, and the rules (their order is in
`core/decide_autopilot.py`)."""
