-- The newest schema that was ever applied here; 0 for none.
SELECT max(version) FROM schema_version
