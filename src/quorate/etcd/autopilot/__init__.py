"""The autopilot on a real cluster: it looks, decides by `core.decide_autopilot`, and carries out one action a round."""
