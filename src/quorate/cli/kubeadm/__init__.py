"""kubeadm's commands: its names and flags, our code behind them."""
