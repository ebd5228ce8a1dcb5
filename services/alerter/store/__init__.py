"""Store: the only room that knows SQL. It keeps what it is given and decides nothing."""
