-- From version 2 to 3: legs know what they sounded like (E-model R in tenths, the worst fault).
ALTER TABLE legs ADD COLUMN quality_mean INTEGER;
ALTER TABLE legs ADD COLUMN quality_worst INTEGER;
ALTER TABLE legs ADD COLUMN quality_cause TEXT;
