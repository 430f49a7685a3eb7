"""The page on which people rate the outputs of records. It reads records, writes ratings and asks no model."""
