"""A control-plane node of a cluster that was recovered elsewhere joins the new one, as it is."""
