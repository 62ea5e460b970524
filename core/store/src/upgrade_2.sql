-- From version 1 to 2: contacts know their phone and its flow (RFC 5626).
ALTER TABLE contacts RENAME TO contacts_1;
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
    instance TEXT,
    reg_id INTEGER NOT NULL,
    PRIMARY KEY (user, uri, reg_id)
) WITHOUT ROWID;
INSERT INTO contacts SELECT *, NULL, 0 FROM contacts_1;
DROP TABLE contacts_1;
