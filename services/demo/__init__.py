"""Demo: the product on embedded parts, a bundled crisis, and stand-ins for Slack and PagerDuty."""
