"""The library of uproar: what is true whatever broker, model, database or chat tool is used."""
