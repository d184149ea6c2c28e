"""Who changes the member list, and how: check, prove, one RPC, look again."""
