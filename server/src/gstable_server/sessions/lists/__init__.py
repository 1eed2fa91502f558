"""Lists of sessions: filtered, paged by key, and found by whatever somebody has of one."""
