"""The console: plain pages for people, rendered here, without a script. It is no API."""
