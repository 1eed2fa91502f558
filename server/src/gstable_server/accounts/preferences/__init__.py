"""What a merchant decides once for all its sessions: networks, unusual money, letters."""
