"""Sessions and weekly tables to answers: as numbers, as a page."""
