-- An object keeps one conversation, so nearly every table has rows of number 1 only; the rules of the claim are tried on many.
CREATE TABLE conversation (
    number INTEGER PRIMARY KEY,
    bot TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    record BLOB NOT NULL,
    touched INTEGER NOT NULL,
    UNIQUE (bot, owner, id)
) STRICT;

-- A waiting message's row is also the record of its id until it is answered.
CREATE TABLE inbox (
    conversation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (conversation, position)
) STRICT, WITHOUT ROWID;

-- A commit's events, in as many rows as they need, each at the place of its first event.
CREATE TABLE log (
    conversation INTEGER NOT NULL,
    first INTEGER NOT NULL,
    events BLOB NOT NULL,
    PRIMARY KEY (conversation, first)
) STRICT, WITHOUT ROWID;

-- What each answered message's id stands for, and the events that answered it.
CREATE TABLE answered (
    conversation INTEGER NOT NULL,
    sender TEXT NOT NULL,
    id TEXT NOT NULL,
    digest TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (conversation, sender, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot (conversation INTEGER PRIMARY KEY, tracker BLOB NOT NULL) STRICT;

-- A saved run, in pieces that fit into a row.
CREATE TABLE saved (
    conversation INTEGER NOT NULL,
    piece INTEGER NOT NULL,
    run BLOB NOT NULL,
    PRIMARY KEY (conversation, piece)
) STRICT, WITHOUT ROWID;

-- When the object is to look after what: it has one alarm, for the earliest.
CREATE TABLE timer (kind TEXT PRIMARY KEY, due_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Who is told of what is new: connection objects by name.
CREATE TABLE member (connection TEXT PRIMARY KEY, user TEXT NOT NULL, streams INTEGER NOT NULL) STRICT, WITHOUT ROWID;
