/* Kana and Roman letters: what people type before (or instead of) converting it, and one key under which a reading
 * is found however it was typed. */
#ifndef SEARCH_ROMAJI_H
#define SEARCH_ROMAJI_H

#include "libcommon/str.h"

/* All take normalised text, append to `out`, are linear, and may run on any thread. */

/* Roman letters to katakana: Hepburn, Kunrei and what input methods take (shi si ci, tsu tu, nn n', xtu, pasuwa-do,
 * pasuwaado, pasuwādo: a doubled vowel becomes the long mark). Kana become katakana; all else is kept, such as letters
 * that make no sound yet ("pasuw"). Whether nothing but kana came out. */
bool romaji_to_kana(struct mirai_str text, struct mirai_buf *out);

enum romaji_system {
    ROMAJI_HEPBURN, /* shi chi tsu fu ja */
    ROMAJI_KUNREI,  /* si ti tu hu zya (ISO 3602) */
};

/* Kana to Roman letters; the long mark repeats the vowel, n' before vowels. All else is kept. */
void kana_to_romaji(struct mirai_str text, enum romaji_system system, struct mirai_buf *out);

/* The key of a reading, in ASCII as far as the text is kana or Roman letters: the same for パスワード, ぱすわーど,
 * pasuwa-do, pasuwado and pasuwaado; the key of what has been typed so far is a prefix of the key of the whole (sh of
 * shi, pasuw of pasuwa-do; c is taken for that of ch). Long vowels and doubled consonants are dropped, and so
 * are spaces and signs. English words have keys, too, equal only to their own. */
void romaji_key(struct mirai_str text, struct mirai_buf *out);

/* Katakana to hiragana and back; all else is kept. The length in bytes does not change. */
void kana_to_hiragana(struct mirai_str text, struct mirai_buf *out);
void kana_to_katakana(struct mirai_str text, struct mirai_buf *out);

#endif
