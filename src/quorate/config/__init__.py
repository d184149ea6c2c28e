"""kubeadm's configuration: read strictly, with lines and field paths; defaulted, validated, converted, written back (decision
12)."""
