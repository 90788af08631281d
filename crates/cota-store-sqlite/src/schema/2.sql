-- Small records beside the conversations. `expires_at` is in milliseconds since 1970; without it a record lasts.
CREATE TABLE ledger (name TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at INTEGER) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_ends ON ledger (expires_at) WHERE expires_at IS NOT NULL;
