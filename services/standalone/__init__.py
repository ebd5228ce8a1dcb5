"""Everything on one machine: a broker, the three services, what is kept of them. Not what they do."""
