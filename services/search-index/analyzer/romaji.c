#include "services/search-index/analyzer/romaji.h"

#include "services/search-index/analyzer/normalize.h"

#include <pthread.h>
#include <stdlib.h>

#define LONG_MARK  0x30FCu
#define SMALL_TSU  0x30C3u
#define SYLLABIC_N 0x30F3u
#define KANA_FIRST 0x30A1u
#define KANA_LAST  0x30FCu
#define TYPED_MAX  4

/* A sound: katakana, Hepburn, Kunrei, and in keys where that is another. Of rows that begin with the same kana,
 * longer ones first. Sounds of loan words as in Cabinet notice No. 2 of 1991. */
static const struct sound {
    const char *kana;
    const char *roman[2];
    const char *key;
} sounds[] = {
    {"ア", {"a", "a"}, "a"},         {"イェ", {"ye", "ye"}, "ie"},    {"イ", {"i", "i"}, "i"},
    {"ウィ", {"wi", "wi"}, "ui"},    {"ウェ", {"we", "we"}, "ue"},    {"ウォ", {"who", "who"}, "uo"},
    {"ウ", {"u", "u"}, "u"},         {"エ", {"e", "e"}, "e"},         {"オ", {"o", "o"}, "o"},
    {"カ", {"ka", "ka"}, "ka"},      {"ガ", {"ga", "ga"}, "ga"},      {"キャ", {"kya", "kya"}, "kya"},
    {"キュ", {"kyu", "kyu"}, "kyu"}, {"キョ", {"kyo", "kyo"}, "kyo"}, {"キ", {"ki", "ki"}, "ki"},
    {"ギャ", {"gya", "gya"}, "gya"}, {"ギュ", {"gyu", "gyu"}, "gyu"}, {"ギョ", {"gyo", "gyo"}, "gyo"},
    {"ギ", {"gi", "gi"}, "gi"},      {"クァ", {"kwa", "kwa"}, "kua"}, {"クィ", {"kwi", "kwi"}, "kui"},
    {"クェ", {"kwe", "kwe"}, "kue"}, {"クォ", {"kwo", "kwo"}, "kuo"}, {"ク", {"ku", "ku"}, "ku"},
    {"グァ", {"gwa", "gwa"}, "gua"}, {"グ", {"gu", "gu"}, "gu"},      {"ケ", {"ke", "ke"}, "ke"},
    {"ゲ", {"ge", "ge"}, "ge"},      {"コ", {"ko", "ko"}, "ko"},      {"ゴ", {"go", "go"}, "go"},
    {"サ", {"sa", "sa"}, "sa"},      {"ザ", {"za", "za"}, "za"},      {"シャ", {"sha", "sya"}, "sya"},
    {"シュ", {"shu", "syu"}, "syu"}, {"シェ", {"she", "sye"}, "sye"}, {"ショ", {"sho", "syo"}, "syo"},
    {"シ", {"shi", "si"}, "si"},     {"ジャ", {"ja", "zya"}, "zya"},  {"ジュ", {"ju", "zyu"}, "zyu"},
    {"ジェ", {"je", "zye"}, "zye"},  {"ジョ", {"jo", "zyo"}, "zyo"},  {"ジ", {"ji", "zi"}, "zi"},
    {"ス", {"su", "su"}, "su"},      {"ズ", {"zu", "zu"}, "zu"},      {"セ", {"se", "se"}, "se"},
    {"ゼ", {"ze", "ze"}, "ze"},      {"ソ", {"so", "so"}, "so"},      {"ゾ", {"zo", "zo"}, "zo"},
    {"タ", {"ta", "ta"}, "ta"},      {"ダ", {"da", "da"}, "da"},      {"チャ", {"cha", "tya"}, "tya"},
    {"チュ", {"chu", "tyu"}, "tyu"}, {"チェ", {"che", "tye"}, "tye"}, {"チョ", {"cho", "tyo"}, "tyo"},
    {"チ", {"chi", "ti"}, "ti"},     {"ヂャ", {"ja", "zya"}, "zya"},  {"ヂュ", {"ju", "zyu"}, "zyu"},
    {"ヂョ", {"jo", "zyo"}, "zyo"},  {"ヂ", {"ji", "zi"}, "zi"},      {"ツァ", {"tsa", "tsa"}, "tua"},
    {"ツィ", {"tsi", "tsi"}, "tui"}, {"ツェ", {"tse", "tse"}, "tue"}, {"ツォ", {"tso", "tso"}, "tuo"},
    {"ツ", {"tsu", "tu"}, "tu"},     {"ヅ", {"zu", "zu"}, "zu"},      {"ティ", {"thi", "thi"}, "ti"},
    {"テュ", {"thu", "thu"}, "tyu"}, {"テ", {"te", "te"}, "te"},      {"ディ", {"di", "di"}, "di"},
    {"デュ", {"dyu", "dyu"}, "dyu"}, {"デ", {"de", "de"}, "de"},      {"トゥ", {"twu", "twu"}, "tu"},
    {"ト", {"to", "to"}, "to"},      {"ドゥ", {"dwu", "dwu"}, "zu"},  {"ド", {"do", "do"}, "do"},
    {"ナ", {"na", "na"}, "na"},      {"ニャ", {"nya", "nya"}, "nya"}, {"ニュ", {"nyu", "nyu"}, "nyu"},
    {"ニョ", {"nyo", "nyo"}, "nyo"}, {"ニ", {"ni", "ni"}, "ni"},      {"ヌ", {"nu", "nu"}, "nu"},
    {"ネ", {"ne", "ne"}, "ne"},      {"ノ", {"no", "no"}, "no"},      {"ハ", {"ha", "ha"}, "ha"},
    {"バ", {"ba", "ba"}, "ba"},      {"パ", {"pa", "pa"}, "pa"},      {"ヒャ", {"hya", "hya"}, "hya"},
    {"ヒュ", {"hyu", "hyu"}, "hyu"}, {"ヒョ", {"hyo", "hyo"}, "hyo"}, {"ヒ", {"hi", "hi"}, "hi"},
    {"ビャ", {"bya", "bya"}, "bya"}, {"ビュ", {"byu", "byu"}, "byu"}, {"ビョ", {"byo", "byo"}, "byo"},
    {"ビ", {"bi", "bi"}, "bi"},      {"ピャ", {"pya", "pya"}, "pya"}, {"ピュ", {"pyu", "pyu"}, "pyu"},
    {"ピョ", {"pyo", "pyo"}, "pyo"}, {"ピ", {"pi", "pi"}, "pi"},      {"ファ", {"fa", "fa"}, "hua"},
    {"フィ", {"fi", "fi"}, "hui"},   {"フェ", {"fe", "fe"}, "hue"},   {"フォ", {"fo", "fo"}, "huo"},
    {"フュ", {"fyu", "fyu"}, "hyu"}, {"フ", {"fu", "hu"}, "hu"},      {"ブ", {"bu", "bu"}, "bu"},
    {"プ", {"pu", "pu"}, "pu"},      {"ヘ", {"he", "he"}, "he"},      {"ベ", {"be", "be"}, "be"},
    {"ペ", {"pe", "pe"}, "pe"},      {"ホ", {"ho", "ho"}, "ho"},      {"ボ", {"bo", "bo"}, "bo"},
    {"ポ", {"po", "po"}, "po"},      {"マ", {"ma", "ma"}, "ma"},      {"ミャ", {"mya", "mya"}, "mya"},
    {"ミュ", {"myu", "myu"}, "myu"}, {"ミョ", {"myo", "myo"}, "myo"}, {"ミ", {"mi", "mi"}, "mi"},
    {"ム", {"mu", "mu"}, "mu"},      {"メ", {"me", "me"}, "me"},      {"モ", {"mo", "mo"}, "mo"},
    {"ヤ", {"ya", "ya"}, "ya"},      {"ユ", {"yu", "yu"}, "yu"},      {"ヨ", {"yo", "yo"}, "yo"},
    {"ラ", {"ra", "ra"}, "ra"},      {"リャ", {"rya", "rya"}, "rya"}, {"リュ", {"ryu", "ryu"}, "ryu"},
    {"リョ", {"ryo", "ryo"}, "ryo"}, {"リ", {"ri", "ri"}, "ri"},      {"ル", {"ru", "ru"}, "ru"},
    {"レ", {"re", "re"}, "re"},      {"ロ", {"ro", "ro"}, "ro"},      {"ワ", {"wa", "wa"}, "ua"},
    {"ヲ", {"wo", "wo"}, "uo"},      {"ン", {"n", "n"}, "n"},         {"ヴァ", {"va", "va"}, "ba"},
    {"ヴィ", {"vi", "vi"}, "bi"},    {"ヴェ", {"ve", "ve"}, "be"},    {"ヴォ", {"vo", "vo"}, "bo"},
    {"ヴュ", {"vyu", "vyu"}, "byu"}, {"ヴ", {"vu", "vu"}, "bu"},      {"ァ", {"xa", "xa"}, "a"},
    {"ィ", {"xi", "xi"}, "i"},       {"ゥ", {"xu", "xu"}, "u"},       {"ェ", {"xe", "xe"}, "e"},
    {"ォ", {"xo", "xo"}, "o"},       {"ッ", {"xtu", "xtu"}, ""},      {"ャ", {"xya", "xya"}, "ya"},
    {"ュ", {"xyu", "xyu"}, "yu"},    {"ョ", {"xyo", "xyo"}, "yo"},    {"ヮ", {"xwa", "xwa"}, "ua"},
    {"ヰ", {"wi", "i"}, "i"},        {"ヱ", {"we", "e"}, "e"},        {"ヵ", {"ka", "ka"}, "ka"},
    {"ヶ", {"ke", "ke"}, "ke"},
};

#define SOUNDS (sizeof(sounds) / sizeof(sounds[0]))

/* What else is typed for a sound. */
static const struct {
    const char *typed;
    const char *kana;
} also[] = {
    {"ca", "カ"},     {"ci", "シ"},     {"cu", "ク"},     {"ce", "セ"},     {"co", "コ"},
    {"qa", "クァ"},   {"qi", "クィ"},   {"qu", "ク"},     {"qe", "クェ"},   {"qo", "クォ"},
    {"kwu", "ク"},    {"jya", "ジャ"},  {"jyu", "ジュ"},  {"jye", "ジェ"},  {"jyo", "ジョ"},
    {"cya", "チャ"},  {"cyu", "チュ"},  {"cye", "チェ"},  {"cyo", "チョ"},  {"du", "ヅ"},
    {"dzu", "ヅ"},    {"dhi", "ディ"},  {"dhu", "デュ"},  {"dya", "ヂャ"},  {"dyo", "ヂョ"},
    {"texi", "ティ"}, {"dexi", "ディ"}, {"fwa", "ファ"},  {"fwi", "フィ"},  {"fwe", "フェ"},
    {"fwo", "フォ"},  {"whi", "ウィ"},  {"whe", "ウェ"},  {"wu", "ウ"},     {"la", "ラ"},
    {"li", "リ"},     {"lu", "ル"},     {"le", "レ"},     {"lo", "ロ"},     {"lya", "リャ"},
    {"lyu", "リュ"},  {"lyo", "リョ"},  {"xtsu", "ッ"},   {"ltu", "ッ"},    {"ltsu", "ッ"},
    {"shya", "シャ"}, {"shyu", "シュ"}, {"shyo", "ショ"}, {"chya", "チャ"}, {"chyu", "チュ"},
    {"chyo", "チョ"}, {"tyi", "ティ"},
};

/* Typed letters packed into a number, and their sound. Sorted. */
struct typed {
    uint32_t letters;
    const struct sound *sound;
};

static struct typed typed_table[SOUNDS * 2 + sizeof(also) / sizeof(also[0])];
static size_t typed_len;
static uint8_t first_sound[KANA_LAST - KANA_FIRST + 1]; /* row + 1 by kana */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t pack(const char *letters, size_t len)
{
    uint32_t packed = 0;
    for (size_t i = 0; i < len; i++) {
        packed = packed << 8 | (unsigned char)letters[i];
    }
    return packed;
}

static int compare_typed(const void *a, const void *b)
{
    const struct typed *x = a;
    const struct typed *y = b;
    return x->letters != y->letters ? (x->letters > y->letters) - (x->letters < y->letters)
                                    : (x->sound > y->sound) - (x->sound < y->sound);
}

static const struct sound *sound_of(struct mirai_str kana);

static void add_typed(const char *letters, const struct sound *sound)
{
    typed_table[typed_len++] = (struct typed){pack(letters, strlen(letters)), sound};
}

static void build(void)
{
    for (size_t i = 0; i < SOUNDS; i++) {
        unsigned len;
        uint32_t cp = utf8_decode(sounds[i].kana, sounds[i].kana + strlen(sounds[i].kana), &len);
        if (first_sound[cp - KANA_FIRST] == 0) {
            first_sound[cp - KANA_FIRST] = (uint8_t)(i + 1);
        }
    }
    for (size_t i = 0; i < SOUNDS; i++) {
        add_typed(sounds[i].roman[0], &sounds[i]);
        add_typed(sounds[i].roman[1], &sounds[i]);
    }
    for (size_t i = 0; i < sizeof(also) / sizeof(also[0]); i++) {
        add_typed(also[i].typed, sound_of(mirai_str(also[i].kana)));
    }
    qsort(typed_table, typed_len, sizeof(typed_table[0]), compare_typed);
    size_t kept = 0; /* of two sounds typed alike the earlier row: じ, not ぢ */
    for (size_t i = 0; i < typed_len; i++) {
        if (kept == 0 || typed_table[kept - 1].letters != typed_table[i].letters) {
            typed_table[kept++] = typed_table[i];
        }
    }
    typed_len = kept;
}

/* The longest sound that katakana begin with; NULL: none (the long mark, other characters). */
static const struct sound *sound_of(struct mirai_str kana)
{
    unsigned len;
    uint32_t cp = utf8_decode(kana.data, kana.data + kana.len, &len);
    if (cp < KANA_FIRST || cp > KANA_LAST || first_sound[cp - KANA_FIRST] == 0) {
        return NULL;
    }
    for (size_t i = first_sound[cp - KANA_FIRST] - 1u; i < SOUNDS; i++) {
        size_t n = strlen(sounds[i].kana);
        if (n <= kana.len && memcmp(sounds[i].kana, kana.data, n) == 0) {
            return &sounds[i];
        }
    }
    return NULL;
}

/* The longest sound that letters begin with; *len receives their number. */
static const struct sound *sound_typed(struct mirai_str letters, size_t *len)
{
    for (*len = letters.len < TYPED_MAX ? letters.len : TYPED_MAX; *len > 0; --*len) {
        const struct typed key = {pack(letters.data, *len), NULL};
        size_t low = 0;
        size_t high = typed_len;
        while (low < high) {
            size_t mid = (low + high) / 2;
            if (typed_table[mid].letters < key.letters) {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        if (low < typed_len && typed_table[low].letters == key.letters) {
            return typed_table[low].sound;
        }
    }
    return NULL;
}

static bool is_vowel(char c)
{
    return c != '\0' && strchr("aiueo", c) != NULL;
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* What a text holds at a place. */
enum piece_kind {
    PIECE_SOUND,
    PIECE_LONG,   /* the vowel before goes on */
    PIECE_DOUBLE, /* the consonant that follows is doubled */
    PIECE_LETTER, /* a letter that makes no sound here */
    PIECE_OTHER,
};

struct piece {
    enum piece_kind kind;
    const struct sound *sound;
    bool typed; /* in Roman letters */
    bool long_; /* a vowel with a macron or circumflex */
    size_t len; /* bytes */
};

/* A vowel that is written long: ā, â. */
static char long_vowel(uint32_t cp)
{
    static const struct {
        uint16_t cp;
        char vowel;
    } rows[] = {{0x101, 'a'}, {0x12B, 'i'}, {0x16B, 'u'}, {0x113, 'e'}, {0x14D, 'o'},
                {0xE2, 'a'},  {0xEE, 'i'},  {0xFB, 'u'},  {0xEA, 'e'},  {0xF4, 'o'}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].cp == cp) {
            return rows[i].vowel;
        }
    }
    return '\0';
}

/* ā after the consonants before it: "ka" and a long mark. */
static struct piece piece_long(struct mirai_str rest, size_t consonants)
{
    char letters[TYPED_MAX];
    unsigned len = 0;
    char vowel = '\0';
    if (consonants < TYPED_MAX && consonants < rest.len && (unsigned char)rest.data[consonants] >= 0x80) {
        vowel = long_vowel(utf8_decode(rest.data + consonants, rest.data + rest.len, &len));
    }
    if (vowel == '\0') {
        return (struct piece){.kind = PIECE_OTHER};
    }
    memcpy(letters, rest.data, consonants);
    letters[consonants] = vowel;
    size_t used;
    const struct sound *sound = sound_typed((struct mirai_str){letters, consonants + 1}, &used);
    if (sound == NULL || used != consonants + 1) {
        return (struct piece){.kind = PIECE_OTHER};
    }
    return (struct piece){PIECE_SOUND, sound, true, true, consonants + len};
}

static struct piece piece_n(struct mirai_str rest)
{
    struct piece piece = {PIECE_SOUND, sound_of(MIRAI_STR("ン")), true, false, 1};
    if (rest.len > 1 && rest.data[1] == '\'') {
        piece.len = 2;
    } else if (rest.len > 1 && rest.data[1] == 'n') {
        bool syllable = rest.len > 2 && (is_vowel(rest.data[2]) || rest.data[2] == 'y' ||
                                         (unsigned char)rest.data[2] >= 0xC3);
        piece.len = syllable ? 1 : 2;
    }
    return piece;
}

static struct piece piece_typed(struct mirai_str rest)
{
    size_t consonants = 0;
    while (consonants < TYPED_MAX && consonants < rest.len && is_letter(rest.data[consonants]) &&
           !is_vowel(rest.data[consonants])) {
        consonants++;
    }
    struct piece piece = piece_long(rest, consonants);
    if (piece.kind == PIECE_SOUND) {
        return piece;
    }
    size_t len;
    char first = rest.data[0];
    char second = rest.len > 1 ? rest.data[1] : '\0';
    const struct sound *sound = sound_typed(rest, &len);
    if (sound != NULL && (first != 'n' || len > 1)) {
        return (struct piece){PIECE_SOUND, sound, true, false, len};
    }
    if (first == 'n') {
        return piece_n(rest);
    }
    if (first == 'm' && second != '\0' && strchr("bpm", second) != NULL) { /* shimbun */
        return (struct piece){PIECE_SOUND, sound_of(MIRAI_STR("ン")), true, false, 1};
    }
    if (consonants > 0 && (first == second || (rest.len > 2 && memcmp(rest.data, "tch", 3) == 0))) {
        return (struct piece){PIECE_DOUBLE, NULL, true, false, 1};
    }
    return (struct piece){PIECE_LETTER, NULL, true, false, 1};
}

/* The piece at the start of `rest`, which is in katakana and small letters; `sounded`: a vowel stands before it. */
static struct piece piece_at(struct mirai_str rest, bool sounded)
{
    unsigned len;
    uint32_t cp = utf8_decode(rest.data, rest.data + rest.len, &len);
    if (cp == LONG_MARK || (cp == '-' && sounded)) {
        return (struct piece){PIECE_LONG, NULL, cp == '-', false, len};
    }
    if (cp == SMALL_TSU) {
        return (struct piece){PIECE_DOUBLE, NULL, false, false, len};
    }
    if (cp < 0x80 ? is_letter((char)cp) : long_vowel(cp) != '\0') {
        return piece_typed(rest);
    }
    const struct sound *sound = sound_of(rest);
    if (sound != NULL) {
        return (struct piece){PIECE_SOUND, sound, false, false, strlen(sound->kana)};
    }
    return (struct piece){PIECE_OTHER, NULL, false, false, len};
}

static void shift_kana(struct mirai_str text, uint32_t first, uint32_t last, int by, struct mirai_buf *out)
{
    for (size_t at = 0; at < text.len;) {
        unsigned len;
        uint32_t cp = utf8_decode(text.data + at, text.data + text.len, &len);
        if (cp >= first && cp <= last) {
            cp = (uint32_t)((int)cp + by);
            const char bytes[3] = {(char)0xE3, (char)(0x80 | (cp >> 6 & 0x3F)), (char)(0x80 | (cp & 0x3F))};
            mirai_buf_append(out, bytes, 3);
        } else {
            mirai_buf_append(out, text.data + at, len);
        }
        at += len;
    }
}

void kana_to_hiragana(struct mirai_str text, struct mirai_buf *out)
{
    shift_kana(text, 0x30A1, 0x30F6, -0x60, out);
}

void kana_to_katakana(struct mirai_str text, struct mirai_buf *out)
{
    shift_kana(text, 0x3041, 0x3096, 0x60, out);
}

static char last_vowel(const char *roman)
{
    size_t len = strlen(roman);
    return len > 0 && is_vowel(roman[len - 1]) ? roman[len - 1] : '\0';
}

bool romaji_to_kana(struct mirai_str text, struct mirai_buf *out)
{
    struct mirai_buf kana = {0};
    bool whole = true;
    char vowel = '\0'; /* that was typed before */
    pthread_once(&once, build);
    kana_to_katakana(text, &kana);
    for (size_t at = 0; at < kana.len;) {
        struct mirai_str rest = {kana.data + at, kana.len - at};
        struct piece piece = piece_at(rest, vowel != '\0');
        bool goes_on = piece.kind == PIECE_SOUND && piece.typed && piece.len == 1 && rest.data[0] == vowel;
        if (piece.kind == PIECE_LONG || goes_on) {
            mirai_buf_append(out, "ー", 3);
            vowel = '\0';
        } else if (piece.kind == PIECE_SOUND) {
            mirai_buf_append_str(out, mirai_str(piece.sound->kana));
            if (piece.long_) {
                mirai_buf_append(out, "ー", 3);
            }
            vowel = piece.typed && !piece.long_ ? last_vowel(piece.sound->roman[0]) : '\0';
        } else if (piece.kind == PIECE_DOUBLE) {
            mirai_buf_append(out, "ッ", 3);
            vowel = '\0';
        } else {
            mirai_buf_append(out, rest.data, piece.len);
            whole = false;
            vowel = '\0';
        }
        at += piece.len;
    }
    mirai_buf_free(&kana);
    return whole;
}

void kana_to_romaji(struct mirai_str text, enum romaji_system system, struct mirai_buf *out)
{
    struct mirai_buf kana = {0};
    char vowel = '\0';
    bool doubled = false;
    bool nasal = false;
    pthread_once(&once, build);
    kana_to_katakana(text, &kana);
    for (size_t at = 0; at < kana.len;) {
        struct mirai_str rest = {kana.data + at, kana.len - at};
        unsigned len;
        uint32_t cp = utf8_decode(rest.data, rest.data + rest.len, &len);
        const struct sound *sound = cp == SMALL_TSU ? NULL : sound_of(rest);
        if (sound != NULL) {
            const char *roman = sound->roman[system];
            if (doubled && !is_vowel(roman[0])) {
                mirai_buf_append_char(out, roman[0] == 'c' ? 't' : roman[0]);
            }
            if (nasal && (is_vowel(roman[0]) || roman[0] == 'y')) {
                mirai_buf_append_char(out, '\'');
            }
            mirai_buf_append_str(out, mirai_str(roman));
            len = (unsigned)strlen(sound->kana);
            vowel = last_vowel(roman);
        } else if (cp == LONG_MARK && vowel != '\0') {
            mirai_buf_append_char(out, vowel);
        } else if (cp != SMALL_TSU) {
            mirai_buf_append(out, rest.data, len);
            vowel = '\0';
        }
        doubled = cp == SMALL_TSU;
        nasal = cp == SYLLABIC_N;
        at += len;
    }
    mirai_buf_free(&kana);
}

/* A letter that makes no sound (yet): the first letter of the keys of all sounds that it may become. */
static void key_letter(struct mirai_str rest, struct mirai_buf *out, size_t start, size_t *len)
{
    static const char from[] = "cfjlqvw";
    static const char to[] = "thzrkbu";
    const char *found = strchr(from, rest.data[0]);
    char letter = found != NULL ? to[found - from] : rest.data[0];
    if (out->len == start || out->data[out->len - 1] != letter) { /* out, outc, matc: as if doubled */
        mirai_buf_append_char(out, letter);
    }
    if (rest.len > 1 && (memcmp(rest.data, "sh", 2) == 0 || memcmp(rest.data, "ch", 2) == 0 ||
                         memcmp(rest.data, "ts", 2) == 0)) {
        *len = 2;
    }
}

/* Whether a sound that is a vowel alone only lengthens the vowel before it. */
static bool lengthens(const char *key, char vowel)
{
    return key[0] != '\0' && key[1] == '\0' &&
           (key[0] == vowel || (key[0] == 'u' && vowel == 'o') || (key[0] == 'i' && vowel == 'e'));
}

void romaji_key(struct mirai_str text, struct mirai_buf *out)
{
    struct mirai_buf kana = {0};
    char vowel = '\0';
    size_t start = out->len;
    pthread_once(&once, build);
    kana_to_katakana(text, &kana);
    for (size_t at = 0; at < kana.len;) {
        struct mirai_str rest = {kana.data + at, kana.len - at};
        struct piece piece = piece_at(rest, vowel != '\0');
        if (piece.kind == PIECE_SOUND && rest.data[0] == 'm' && piece.len == 1) {
            piece.kind = PIECE_LETTER; /* number: the key of "num" has to be its prefix */
        }
        if (piece.kind == PIECE_SOUND && piece.sound != NULL && !lengthens(piece.sound->key, vowel)) {
            const char *key = piece.sound->key;
            bool again = key[0] == 'n' && out->len > start && out->data[out->len - 1] == 'n';
            mirai_buf_append_str(out,
                                 mirai_str(key + again)); /* nn as n: where ん ends is not always typed */
            vowel = last_vowel(key);
        } else if (piece.kind == PIECE_LETTER) {
            key_letter(rest, out, start, &piece.len);
            vowel = '\0';
        } else if (piece.kind == PIECE_OTHER) {
            unsigned len;
            if (char_class(utf8_decode(rest.data, rest.data + rest.len, &len)) != CHAR_BREAK) {
                mirai_buf_append(out, rest.data, piece.len);
            }
            vowel = '\0';
        }
        at += piece.len;
    }
    mirai_buf_free(&kana);
}
