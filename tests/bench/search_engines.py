"""Engines that tests/bench/search measures side by side: ours, plain FTS5 in three ways, Groonga. Each has
build(docs) and run(queries) -> {query id: (place of documents, best first; microseconds)}."""

import json
import re
import sqlite3
import subprocess
import time
import unicodedata

HITS = 10

# Words that carry no meaning, for the baseline: base forms of ipadic, and English.
STOP = frozenset("する ある いる なる れる られる せる させる こと もの ため よう とき ところ これ それ あれ どれ ここ そこ どこ 誰 何 いつ なぜ どう "
                 "の ん 的 等 ない できる くださる いう いく くる おく しまう みる もつ a an and are as at be by can do does for from has have how i in is "
                 "it its of on or that the this to was we were what when where which who why will with you".split())


def plain(text):
    return unicodedata.normalize("NFKC", text).lower()


def runs(text):
    """Runs of letters and digits."""
    return re.findall(r"[^\W_]+", plain(text))


def bigrams(text):
    made = []
    for run in runs(text):
        made += [run[i:i + 2] for i in range(len(run) - 1)] or [run]
    return made


def trigrams(text):
    return [run[i:i + 3] for run in runs(text) for i in range(len(run) - 2)]


class Tokens:
    """MeCab's base forms, by the program bench-tokens."""

    def __init__(self, program):
        self.program = program

    def of(self, texts):
        given = "\n".join(" ".join(plain(text).split()) for text in texts) + "\n"
        lines = subprocess.run([self.program], input=given, capture_output=True, text=True, check=True).stdout.split("\n")
        return [[word for part in line.split() for word in runs(part) if word not in STOP] for line in lines[:len(texts)]]


def unique(words):
    return list(dict.fromkeys(words))


def disjunction(words):
    return " OR ".join(f'"{word}"' for word in unique(words))


class Ours:
    name = "ours"

    def __init__(self, program, folder):
        self.program, self.index = program, folder / "ours.db"

    def build(self, docs):
        self.index.parent.mkdir(exist_ok=True)
        for old in self.index.parent.glob(self.index.name + "*"):
            old.unlink()
        given = "".join(f"{place}\t{escape(title)}\t{escape(text)}\n" for place, (_, title, text) in enumerate(docs, 1))
        subprocess.run([self.program, "build", self.index], input=given, text=True, check=True, stdout=subprocess.PIPE)

    def run(self, queries):
        given = "".join(f"{query}\t{escape(text)}\n" for query, text in queries)
        out = subprocess.run([self.program, "run", self.index, str(HITS)], input=given, text=True, check=True, stdout=subprocess.PIPE).stdout
        found = {}
        for line in out.splitlines():
            if not line.startswith("# "):
                query, took, _, *places = line.split("\t")
                found[query] = ([int(place) for place in places], float(took))
        return found


def escape(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", " ")


class Fts5:
    """bigrams and words of one collection, and the trigram tokenizer; `ways` of asking share the tables."""

    def __init__(self, tokens):
        self.tokens = tokens

    def build(self, docs):
        self.db = sqlite3.connect(":memory:")
        for table in ("bigrams", "words"):
            self.db.execute(f"CREATE VIRTUAL TABLE {table} USING fts5(t, content='', tokenize=\"unicode61 remove_diacritics 0\")")
        self.db.execute("CREATE VIRTUAL TABLE trigrams USING fts5(t, content='', tokenize='trigram')")
        texts = [f"{title} {text}" for _, title, text in docs]
        words = self.tokens.of(texts)
        with self.db:
            for place, text in enumerate(texts, 1):
                self.db.execute("INSERT INTO bigrams(rowid, t) VALUES(?, ?)", (place, " ".join(bigrams(text))))
                self.db.execute("INSERT INTO words(rowid, t) VALUES(?, ?)", (place, " ".join(words[place - 1])))
                self.db.execute("INSERT INTO trigrams(rowid, t) VALUES(?, ?)", (place, " ".join(runs(text))))

    def ask(self, sql, arguments):
        start = time.perf_counter()
        places = [row[0] for row in self.db.execute(sql, arguments)]
        return places, 1e6 * (time.perf_counter() - start)


class Baseline:
    """0.5 bm25(bigrams) + bm25(MeCab words)."""
    name = "baseline (FTS5, two bm25)"

    def __init__(self, fts5):
        self.fts5 = fts5

    def run(self, queries):
        found = {}
        words = self.fts5.tokens.of([text for _, text in queries])
        for (query, text), own in zip(queries, words):
            pairs = disjunction(bigrams(text))
            parts = [("SELECT rowid AS place, 0.5 * bm25(bigrams) AS score FROM bigrams WHERE bigrams MATCH ?", pairs),
                     ("SELECT rowid AS place, bm25(words) AS score FROM words WHERE words MATCH ?", disjunction(own))]
            parts = [part for part in parts if part[1]]
            if not parts:
                found[query] = ([], 0.0)
                continue
            views = ", ".join(f"v{n} AS MATERIALIZED ({part[0]})" for n, part in enumerate(parts))
            both = " UNION ALL ".join(f"SELECT * FROM v{n}" for n in range(len(parts)))
            found[query] = self.fts5.ask(f"WITH {views} SELECT place FROM ({both}) GROUP BY place ORDER BY sum(score), place DESC LIMIT {HITS}",
                                         [part[1] for part in parts])
        return found


class Trigram:
    name = "FTS5 trigram"

    def __init__(self, fts5):
        self.fts5 = fts5

    def run(self, queries):
        found = {}
        for query, text in queries:
            wanted = disjunction(trigrams(text))
            found[query] = ([], 0.0) if not wanted else self.fts5.ask(
                f"SELECT rowid FROM trigrams WHERE trigrams MATCH ? ORDER BY bm25(trigrams), rowid DESC LIMIT {HITS}", [wanted])
        return found


class Groonga:
    """One tokenizer of Groonga with its best way of scoring and of cutting queries, chosen on tuning questions."""

    SCORERS = {"tf_idf": "scorer_tf_idf({0})", "tf_at_most 1": "scorer_tf_at_most({0}, 1.0)", "tf_at_most 3": "scorer_tf_at_most({0}, 3.0)",
               "tf": "{0}"}

    def __init__(self, tokenizer, tokens, folder):
        self.tokenizer, self.tokens, self.folder = tokenizer, tokens, folder / tokenizer
        self.ways = [(cut, scorer) for cut in (("words",) if tokenizer == "TokenMecab" else ("words", "bigrams")) for scorer in self.SCORERS]
        self.way = self.ways[0]

    @property
    def name(self):
        return f"Groonga {self.tokenizer} ({self.way[1]}, OR of {self.way[0]})"

    def command(self, *arguments, given):
        done = subprocess.run(["groonga", *arguments, self.folder / "db"], input=given, text=True, capture_output=True, check=True)
        return done.stdout.splitlines()

    def build(self, docs):
        subprocess.run(["rm", "-rf", self.folder], check=True)
        self.folder.mkdir(parents=True)
        load = json.dumps([["_key", "title", "body"]] + [[place, title, text] for place, (_, title, text) in enumerate(docs, 1)], ensure_ascii=False)
        load = load.replace("], [", "],\n[")
        answers = self.command("-n", given=f"""table_create Docs TABLE_PAT_KEY UInt32
column_create Docs title COLUMN_SCALAR Text
column_create Docs body COLUMN_SCALAR Text
table_create Terms TABLE_PAT_KEY ShortText --default_tokenizer {self.tokenizer} --normalizer NormalizerNFKC130
column_create Terms docs COLUMN_INDEX|WITH_POSITION|WITH_SECTION Docs title,body
load --table Docs
{load}
""")
        loaded = json.loads(answers[-1])[1]
        if loaded != len(docs):
            raise SystemExit(f"Groonga loaded {loaded} of {len(docs)} documents")

    def run(self, queries):
        cut, scorer = self.way
        wanted = self.tokens.of([text for _, text in queries]) if cut == "words" else [bigrams(text) for _, text in queries]
        columns = " || ".join(self.SCORERS[scorer].format(column) for column in ("title", "body"))
        asked, commands, found = [], [], {}
        for (query, _), words in zip(queries, wanted):
            found[query] = ([], 0.0)
            if words:
                asked.append(query)
                text = json.dumps(disjunction(words), ensure_ascii=False)
                # titles and passages, as our answers have them
                commands.append(f'select Docs --command_version 3 --match_columns "{columns}" --query {text} '
                                '--output_columns "_key,title,snippet_html(body)" '
                                f"--sort_keys -_score,-_key --limit {HITS} --cache no")
        for query, line in zip(asked, self.command(given="\n".join(commands) + "\n")):
            answer = json.loads(line)
            if answer["header"]["return_code"] != 0:
                raise SystemExit(f"Groonga: {line[:300]}")
            found[query] = ([row[0] for row in answer["body"]["records"]], 1e6 * answer["header"]["elapsed_time"])
        return found

    def choose(self, queries, quality):
        """Keep the way that answers these queries best; quality(found) is to be great."""
        best = -1.0
        for way in self.ways:
            kept, self.way = self.way, way
            got = quality(self.run(queries))
            if got > best:
                best = got
            else:
                self.way = kept
