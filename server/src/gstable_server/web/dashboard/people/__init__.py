"""Who is in the team, and how they prove who they are."""
