"""Tools for those who run the course; no notebook imports them."""
