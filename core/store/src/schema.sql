-- Version 4 of the database. Times are milliseconds since 1970, UTC.

-- How far the journal has been taken over; moves in the same transaction as the records.
CREATE TABLE applied (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL
);
INSERT INTO applied (id, segment, offset) VALUES (1, 0, 0);

-- Where registered phones are (RFC 3261, section 10.3).
CREATE TABLE contacts (
    user TEXT NOT NULL,
    uri TEXT NOT NULL,
    transport TEXT NOT NULL,
    listener INTEGER NOT NULL,
    source TEXT NOT NULL,
    q INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    cseq INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    user_agent TEXT NOT NULL,
    path TEXT NOT NULL,
    -- RFC 5626: the phone (NULL: not said) and the number of its flow (0: none).
    instance TEXT,
    reg_id INTEGER NOT NULL,
    PRIMARY KEY (user, uri, reg_id)
) WITHOUT ROWID;

-- One row a call; while it lasts, as it stood last.
CREATE TABLE calls (
    call TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    generation INTEGER NOT NULL,
    direction TEXT NOT NULL,
    caller TEXT NOT NULL,
    called TEXT NOT NULL,
    number TEXT,
    started INTEGER NOT NULL,
    answered INTEGER,
    ended INTEGER,
    last_seen INTEGER NOT NULL,
    cause TEXT,
    status INTEGER NOT NULL,
    -- An exact decimal in the currency of the tariff (NULL: not rated).
    price TEXT
) WITHOUT ROWID;
CREATE INDEX calls_started ON calls (started);
CREATE INDEX calls_open ON calls (call) WHERE ended IS NULL;

-- A call's legs, the caller's first.
CREATE TABLE legs (
    call TEXT NOT NULL REFERENCES calls (call) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    party TEXT NOT NULL,
    call_id TEXT NOT NULL,
    started INTEGER NOT NULL,
    answered INTEGER,
    ended INTEGER,
    status INTEGER NOT NULL,
    rtp_received INTEGER NOT NULL,
    rtp_sent INTEGER NOT NULL,
    quality_mean INTEGER,
    quality_worst INTEGER,
    quality_cause TEXT,
    -- What it costs, who pays and why, as JSON (NULL: nothing).
    charge TEXT,
    PRIMARY KEY (call, position)
) WITHOUT ROWID;
CREATE INDEX legs_charged ON legs (ended) WHERE charge IS NOT NULL;
