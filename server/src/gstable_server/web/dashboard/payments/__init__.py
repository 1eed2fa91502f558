"""Sessions, refunds, holds, unusual money and exports."""
