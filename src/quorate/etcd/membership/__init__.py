"""Changes of the member list: check, prove, send one RPC, look again."""
