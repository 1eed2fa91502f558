"""Letters to members: invitations, and what all of a team should hear of."""
