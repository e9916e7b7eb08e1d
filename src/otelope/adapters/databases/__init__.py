"""Database libraries."""
