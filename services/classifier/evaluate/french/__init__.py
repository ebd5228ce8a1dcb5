"""French: 300 posts of the research data, drawn by chance, labelled for complaint by hand. No text."""
