"""What others read: the PostgreSQL schema, invoice documents and reports."""
