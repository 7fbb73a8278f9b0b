/* One spelling for words that are written in several ways. */
#ifndef SEARCH_SPELLING_H
#define SEARCH_SPELLING_H

#include "libcommon/str.h"

/* Longest result in bytes. */
#define SPELLING_MAX 128

/* The key of a Japanese word: the word itself, or `out`. Any thread.
 * Loan words: no long marks (the last one of four characters, all in longer words), ei as e with a long mark, and the small
 * vowels of ウィ ウェ ウォ イェ as large ones (サーバー = サーバ, インターフェイス = インタフェース, ウィルス = ウイルス); ヴ as ブ.
 * Okurigana: of words with two kanji or more only the kanji (取り消し = 取消し = 取消 = 取り消す). */
struct mirai_str spelling_key(struct mirai_str word, char out[SPELLING_MAX]);

/* A number in kanji digits (二十三, 三千五百, 二〇二四) in Arabic ones; empty when it is not one. */
struct mirai_str spelling_number(struct mirai_str kanji, char out[SPELLING_MAX]);

#endif
