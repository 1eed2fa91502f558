"""The server of GStable, self-hosted. ARCHITECTURE.md tells where each thing lives."""
