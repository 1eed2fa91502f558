"""Payment links: persistent addresses that open one checkout session after the other."""
