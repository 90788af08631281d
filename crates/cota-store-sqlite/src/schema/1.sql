-- One small record a conversation: who may drive it, and where its inbox and log end.
CREATE TABLE conversation (
    number INTEGER PRIMARY KEY,
    bot TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    record BLOB NOT NULL,
    unfinished INTEGER NOT NULL,
    touched INTEGER NOT NULL,
    UNIQUE (bot, owner, id)
) STRICT;

CREATE INDEX conversation_unfinished ON conversation (number) WHERE unfinished = 1;

-- `place` is the conversation's number in the upper 32 bits and the position or seq in the lower: the rows of a
-- conversation stand together in one tree, and a whole turn's events fit into a leaf of it.
--
-- A waiting message's row is also the record of its id until it is answered.
CREATE TABLE inbox (place INTEGER PRIMARY KEY, message BLOB NOT NULL) STRICT;

-- One row a commit, at the place of its first event.
CREATE TABLE log (place INTEGER PRIMARY KEY, events BLOB NOT NULL) STRICT;

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

CREATE TABLE saved (conversation INTEGER PRIMARY KEY, run BLOB NOT NULL) STRICT;
