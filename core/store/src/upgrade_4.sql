-- From version 3 to 4: what calls and their legs cost.
ALTER TABLE calls ADD COLUMN price TEXT;
ALTER TABLE legs ADD COLUMN charge TEXT;
CREATE INDEX legs_charged ON legs (ended) WHERE charge IS NOT NULL;
