"""Collections for tests/bench/search: TSV sets, articles of a folder, and slices of questions made from the texts themselves.
Everything is deterministic: the same files give the same sets."""

import collections
import pathlib
import random
import re
import tarfile
import unicodedata

# What the tool calls a part: queries whose number is a multiple of five were never used for tuning.
UNSEEN = 5

KATAKANA = re.compile(r"(?<![ァ-ヶー])[ァ-ヶー]{4,}(?![ァ-ヶー])")
KANJI = re.compile(r"(?<![一-龥々])[一-龥々]{2,4}(?![一-龥々])")
CHUNK = re.compile(r"[一-龥々]{2,}|[ァ-ヶー]{2,}|[A-Za-z][A-Za-z0-9.\-]{2,}")
IDENTIFIER = re.compile(r"(?<![A-Za-z0-9.])(?=[A-Za-z0-9.\-]*\d)(?=[A-Za-z0-9.\-]*[A-Za-z])[A-Za-z0-9]+(?:[.\-][A-Za-z0-9]+)*(?![A-Za-z0-9])")
ENGLISH = re.compile(r"[A-Za-z][A-Za-z0-9\-]+(?: [A-Za-z][A-Za-z0-9\-]+){1,3}")


class Collection:
    """docs: (id, title, text); queries: (id, text); right: {query id: doc id}."""

    def __init__(self, name, docs, queries, right):
        self.name, self.docs, self.queries, self.right = name, docs, queries, right
        self.place = {doc[0]: n for n, doc in enumerate(docs, 1)}  # the number under which engines know a document


def rows(path, fields):
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = line.rstrip("\r\n").split("\t")
            if len(row) != fields:
                raise SystemExit(f"{path}:{number}: {len(row)} fields where {fields} are wanted")
            yield tuple(row)


def read_set(folder):
    """corpus.tsv, queries.tsv and qrels.tsv of a folder."""
    folder = pathlib.Path(folder)
    for name in ("corpus.tsv", "queries.tsv", "qrels.tsv"):
        if not (folder / name).is_file():
            raise SystemExit(f"{folder} has no {name}: a set is corpus.tsv (id, title, text), queries.tsv (query id, query) "
                             "and qrels.tsv (query id, document id), separated by tabs")
    docs, known, right = list(rows(folder / "corpus.tsv", 3)), set(), {}
    known = {doc[0] for doc in docs}
    for query, doc in rows(folder / "qrels.tsv", 2):
        if doc in known:
            right.setdefault(query, doc)
    return Collection(folder.name, docs, [q for q in rows(folder / "queries.tsv", 2) if q[0] in right], right)


def in_part(query, part):
    """Whether a query (id, text) is of the part: unseen, tuning, or all."""
    digits = re.sub(r"\D", "", query[0])
    unseen = int(digits or 0) % UNSEEN == 0
    return part == "all" or unseen == (part == "unseen")


def thin(queries, most):
    """At most so many, evenly spread."""
    if not most or len(queries) <= most:
        return queries
    return [queries[i * len(queries) // most] for i in range(most)]


# ------------------------------------------------------------------ Markdown articles

def markdown_texts(source):
    """(name, text) of the Markdown files of a folder or a tar archive, by name."""
    source = pathlib.Path(source)
    if source.is_dir():
        return [(path.stem, path.read_text(encoding="utf-8", errors="replace")) for path in sorted(source.rglob("*.md"))]
    with tarfile.open(source) as archive:
        members = sorted((m for m in archive.getmembers() if m.isfile() and m.name.endswith(".md")), key=lambda m: m.name)
        return [(pathlib.PurePath(m.name).stem, archive.extractfile(m).read().decode("utf-8", "replace")) for m in members]


def read_articles(source):
    """[(name, title, body)] of Markdown files with front matter; each body once."""
    articles, seen = [], set()
    for name, text in markdown_texts(source):
        found = re.match(r"\ufeff?---\r?\n(.*?)\n---\r?\n(.*)", text, re.S)
        title = found and re.search(r"^title:\s*[\"']?(.*?)[\"']?\s*$", found[1], re.M)
        if not title:
            continue
        body = re.sub(r"<[^>\n]*>|\]\([^)\n]*\)", "", found[2]).strip()
        if len(body) > 80 and body not in seen:
            seen.add(body)
            articles.append((name, title[1], body))
    return articles


def articles_set(source):
    """Articles as a collection without queries."""
    return Collection("articles", read_articles(source), [], {})


# ------------------------------------------------------------------ slices

class Words:
    """Which documents have which strings of a pattern."""

    def __init__(self, docs, pattern):
        self.of = {doc[0]: sorted(set(pattern.findall(unicodedata.normalize("NFKC", doc[1] + " 。" + doc[2])))) for doc in docs}
        self.having = collections.defaultdict(set)
        for doc, words in self.of.items():
            for word in words:
                self.having[word].add(doc)

    def rare(self, doc, most, least=1):
        return [word for word in self.of[doc] if least <= len(self.having[word]) <= most]

    def together(self, words):
        return set.intersection(*(self.having[word] for word in words))


def known_items(collection, name, seed, most, make):
    """Shuffle the documents, ask make(random, doc) for a query (or None) for each until there are enough; twice round."""
    chance = random.Random(seed)
    docs = list(collection.docs)
    chance.shuffle(docs)
    queries, right = [], {}
    for doc in docs + docs:
        if len(queries) == most:
            break
        text = make(chance, doc)
        if text:
            query = f"{name}-{len(queries) + 1}"
            queries.append((query, text))
            right[query] = doc[0]
    return Collection(name, collection.docs, queries, right)


def simple(words, df, kinds, together):
    def make(chance, doc):
        rare = words.rare(doc[0], df)
        pick = chance.sample(rare, min(len(rare), chance.randint(1, kinds)))
        return " ".join(pick) if pick and len(words.together(pick)) <= together else None
    return make


def half_remembered(words, docs):
    """Some words of one sentence, one perhaps cut short, in the order in which they came to mind, with words that help no one."""
    def make(chance, doc):
        sentences = [s for s in re.split(r"[。\n]", unicodedata.normalize("NFKC", doc[2])) if len(s) > 20]
        found = list(dict.fromkeys(CHUNK.findall(chance.choice(sentences)))) if sentences else []
        found = [word for word in found if word in words.having]
        if len(found) < 2:
            return None
        pick = chance.sample(found, chance.randint(2, min(4, len(found))))
        if len(words.together(pick)) > 2 or min(len(words.having[w]) for w in pick) > len(docs) // 40 + 1:
            return None
        if chance.random() < 0.3:
            cut = chance.randrange(len(pick))
            pick[cut] = pick[cut][:max(2, len(pick[cut]) // 2 + 1)]
        return chance.choice((" ", "の", " ")).join(pick) + chance.choice(("", " 方法", "ができない", " とは", "", " エラー"))
    return make


def slices(collection, most):
    """Slices of a collection: short (1-2 words), katakana, identifiers, English, half-remembered. Those that its texts do not
    have (less than 30 queries) are left out."""
    katakana, kanji = Words(collection.docs, KATAKANA), Words(collection.docs, KANJI)
    identifier, english, chunk = Words(collection.docs, IDENTIFIER), Words(collection.docs, ENGLISH), Words(collection.docs, CHUNK)
    made = [
        known_items(collection, "short", 6, most, simple(kanji, 15, 2, 4)),
        known_items(collection, "katakana", 5, most, simple(katakana, 12, 2, 4)),
        known_items(collection, "identifiers", 8, most, simple(identifier, 3, 1, 3)),
        known_items(collection, "English", 9, most, simple(english, 4, 1, 4)),
        known_items(collection, "half-remembered", 3, most, half_remembered(chunk, collection.docs)),
    ]
    return [each for each in made if len(each.queries) >= 30]


def titles(collection, most):
    """Titles as queries for texts without them; at most so many, 0: all."""
    count = collections.Counter(title for _, title, _ in collection.docs)
    docs = [(name, "", re.sub(r"^# .*$", "", text, count=1, flags=re.M)) for name, _, text in collection.docs]  # the first heading repeats it
    queries = thin([(f"title-{n}", title) for n, (_, title, _) in enumerate(collection.docs) if count[title] == 1], most)
    return Collection("titles", docs, queries, {f"title-{n}": doc[0] for n, doc in enumerate(collection.docs)})


# ------------------------------------------------------------------ many articles

TYPES = ("incident", "problem", "change", "request", "release", "other")


def generate(source, count):
    """Yield (id, title, text, tags, type, owner, space) of so many articles, recombined from real paragraphs."""
    articles = read_articles(source)
    paragraphs = [p for _, _, body in articles for p in re.split(r"\n\s*\n", body) if 40 <= len(p) <= 2000]
    heads = [title for _, title, _ in articles]
    words = sorted({word for title in heads for word in CHUNK.findall(title)})
    chance = random.Random(1)
    for n in range(1, count + 1):
        title = f"{chance.choice(heads)}: {chance.choice(words)} {chance.choice(words)}"
        body = "\n\n".join(chance.choice(paragraphs) for _ in range(chance.randint(3, 8)))
        code = f"\n\nエラー コード: 0x{chance.getrandbits(32):08x}, 要求番号 INC{n:07d}"
        tags = ",".join(sorted({chance.choice(words) for _ in range(3)} | {f"部門{n % 50}"}))
        yield n, title, body + (code if n % 10 == 0 else ""), tags, TYPES[n % len(TYPES)], n % 1000 + 1, n % 40 + 1


def scale_queries(source, count):
    """Yield (id, text, tag, type, space) of realistic queries for generated articles."""
    articles = read_articles(source)
    chance = random.Random(2)
    for n in range(count):
        _, title, body = chance.choice(articles)
        sentences = [s for s in re.split(r"[。\n]", body) if 15 < len(s) < 120] or [title]
        words = CHUNK.findall(title) or [title]
        text = (title, " ".join(chance.sample(words, min(2, len(words)))), chance.choice(sentences), chance.choice(words),
                f"INC{chance.randrange(10, 1000000, 10):07d}", " ".join(CHUNK.findall(chance.choice(sentences))[:3]) or title)[n % 6]
        yield n, text, f"部門{n % 50}" if n % 8 == 5 else "", TYPES[n % len(TYPES)] if n % 8 == 6 else "", n % 40 + 1 if n % 8 == 7 else ""


def hostile_queries(count):
    """Yield (id, text) of queries that no one types: long, of many terms, of stop words, of emoji, of noise."""
    chance = random.Random(3)
    alphabet = "のはがをに東京都設定接続エラーサーバーabcdef0123456789 \"-:()*~^𠮷😀👩‍👩‍👧‍👦ｱｲｳ\u200b\u0301\u3000"
    kinds = (
        lambda: "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 300))),
        lambda: "".join(chance.choice(alphabet) for _ in range(100_000)),
        lambda: " ".join(f"{chance.choice(alphabet)}{i}" for i in range(10_000)),
        lambda: "の は が を に で と する ある いる こと the a of and to is " * chance.randint(1, 40),
        lambda: "😀" * chance.randint(1, 1000),
        lambda: "設定" * chance.randint(1, 3000),
        lambda: '"' + "の" * chance.randint(1, 500) + '" -' + chance.choice(alphabet) + ' tag: OR "OR" -"',
        lambda: " ".join('"エラー" OR -"設定" tag:x' for _ in range(200)),
        lambda: "".join(chr(chance.choice((0x300, 0x1F1E6, 0x202E, 0xFFFD, 0x3042, 0x4E00, 0xAC00, 0x0E01)) + chance.randrange(26))
                        for _ in range(chance.randint(1, 400))),
    )
    for n in range(count):
        yield n, re.sub(r"[\t\n\r]", " ", kinds[n % len(kinds)]())
