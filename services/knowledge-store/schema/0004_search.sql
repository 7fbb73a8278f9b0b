-- What an organisation teaches its search, and what it learns from how it is used.

-- Words and phrases that mean the same. The first ones come from starter_synonyms.txt (schema.c).
CREATE TABLE synonyms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    terms TEXT NOT NULL, -- one a line
    note TEXT NOT NULL DEFAULT '',
    updated_at INTEGER NOT NULL
) STRICT;

-- Words that the analyzer's dictionary does not know.
CREATE TABLE dictionary (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    surface TEXT NOT NULL,
    surface_key TEXT NOT NULL UNIQUE, -- without regard to width and case
    reading TEXT NOT NULL DEFAULT '',
    updated_at INTEGER NOT NULL
) STRICT;

-- Searches: one row for each day, query and user. `who` tells users apart and no more (asked.c).
CREATE TABLE asked (
    day INTEGER NOT NULL, -- days since 1970-01-01, UTC
    who INTEGER NOT NULL,
    key TEXT NOT NULL, -- the query without regard to width, case and spacing
    q TEXT NOT NULL, -- as it was asked last
    count INTEGER NOT NULL,
    zero_count INTEGER NOT NULL, -- of these found nothing
    last_total INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (day, who, key)
) STRICT, WITHOUT ROWID;

-- Hits that were opened: each once for a day, query, article and user, so that nobody lifts an article by clicking.
CREATE TABLE clicks (
    day INTEGER NOT NULL,
    who INTEGER NOT NULL,
    key TEXT NOT NULL,
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, -- its place among the hits, from 1
    PRIMARY KEY (day, who, key, article_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX clicks_article ON clicks (article_id, day);

-- What ranking asks of each article's ratings, without their comments.
CREATE INDEX feedback_rating ON feedback (article_id, rating) WHERE rating IS NOT NULL;
