#include "services/search-index/analyzer/variants.h"

#include "services/search-index/analyzer/normalize.h"

#include <pthread.h>
#include <stdlib.h>

#define FIRST 0x4E00u
#define LAST  0xFAFFu

/* Pairs of variant and form in use. From the table of old forms in the Joyo Kanji Table (Cabinet notice of
 * 2010-11-30), and the variants that are frequent in names. Compatibility ideographs are already mapped by
 * NFKC. */
static const char pairs[] =
    "亞亜惡悪壓圧圍囲爲為醫医壹壱稻稲飮飲隱隠營営榮栄衞衛驛駅圓円艷艶鹽塩應応歐欧毆殴櫻桜奧奥橫横溫温穩穏"
    "假仮價価畫画會会壞壊懷懐繪絵擴拡殼殻覺覚學学嶽岳樂楽勸勧卷巻歡歓罐缶觀観關関陷陥巖巌顏顔歸帰氣気龜亀"
    "僞偽戲戯犧犠舊旧據拠擧挙峽峡挾挟狹狭曉暁區区驅駆勳勲薰薫羣群徑径惠恵溪渓經経繼継莖茎螢蛍輕軽鷄鶏藝芸"
    "擊撃缺欠儉倹劍剣圈圏檢検權権獻献縣県險険顯顕驗験嚴厳效効廣広恆恒鑛鉱號号國国濟済碎砕齋斎劑剤冴冴櫻桜"
    "册冊雜雑參参慘惨棧桟蠶蚕贊賛殘残絲糸齒歯兒児辭辞濕湿實実舍舎寫写釋釈壽寿收収從従澁渋獸獣縱縦肅粛處処"
    "敍叙奬奨將将燒焼稱称證証乘乗剩剰壤壌孃嬢條条淨浄疊畳穰穣讓譲釀醸囑嘱觸触寢寝愼慎晉晋眞真盡尽圖図粹粋"
    "醉酔隨随髓髄數数樞枢聲声靜静齊斉攝摂竊窃專専戰戦淺浅潛潜纖繊踐践錢銭禪禅雙双壯壮搜捜插挿爭争總総聰聡"
    "莊荘裝装騷騒臟臓藏蔵屬属續続墮堕體体對対帶帯滯滞臺台瀧滝擇択澤沢單単擔担膽胆團団彈弾斷断癡痴遲遅晝昼"
    "蟲虫鑄鋳廳庁聽聴鎭鎮遞逓鐵鉄轉転點点傳伝黨党盜盗燈灯當当鬭闘德徳獨独讀読屆届繩縄貳弐惱悩腦脳廢廃拜拝"
    "賣売麥麦發発髮髪拔抜蠻蛮祕秘濱浜甁瓶拂払佛仏竝並變変邊辺邉辺辯弁瓣弁辨弁舖舗穗穂寶宝豐豊沒没飜翻槇槙"
    "萬万滿満默黙彌弥藥薬譯訳豫予餘余與与譽誉搖揺樣様謠謡來来頼頼賴頼亂乱覽覧畧略龍竜兩両獵猟綠緑壘塁淚涙"
    "勵励禮礼隸隷靈霊齡齢戀恋爐炉勞労樓楼郞郎祿禄錄録灣湾髙高﨑崎嵜崎碕崎嶋島嶌島冨富峯峰脇脇桒桑曻昇斈学"
    "廰庁峩峨啓啓內内吳呉卽即旣既晚晩槪概步歩歷歴每毎淸清狀状硏研稅税緣縁縉縉虛虚銳鋭鍊錬靑青頻頻黃黄黑黒"
    "俠侠剝剥噓嘘塡填屛屏幷并搔掻摑掴攢攅潑溌瀆涜焰焔瘦痩禱祷簞箪繫繋繡繍萊莱蔣蒋蠟蝋軀躯醬醤頰頬顚顛驒騨鷗"
    "鴎";

struct pair {
    uint16_t variant;
    uint16_t form;
};

static struct pair table[sizeof(pairs) / 6 + 1];
static size_t table_len;
static uint8_t present[(LAST - FIRST) / 8 + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int pair_compare(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;
    return (int)x->variant - (int)y->variant;
}

static void table_build(void)
{
    const char *p = pairs;
    const char *end = pairs + sizeof(pairs) - 1;
    while (p < end) {
        unsigned len;
        uint32_t variant = utf8_decode(p, end, &len);
        p += len;
        uint32_t form = utf8_decode(p, end, &len);
        p += len;
        if (variant == form || variant < FIRST || variant > LAST ||
            (present[(variant - FIRST) / 8] >> (variant % 8) & 1) != 0) {
            continue;
        }
        table[table_len++] = (struct pair){(uint16_t)variant, (uint16_t)form};
        present[(variant - FIRST) / 8] |= (uint8_t)(1u << (variant % 8));
    }
    qsort(table, table_len, sizeof(table[0]), pair_compare);
}

uint32_t kanji_variant(uint32_t cp)
{
    pthread_once(&once, table_build);
    if (cp < FIRST || cp > LAST || (present[(cp - FIRST) / 8] >> (cp % 8) & 1) == 0) {
        return cp;
    }
    const struct pair key = {.variant = (uint16_t)cp};
    const struct pair *found = bsearch(&key, table, table_len, sizeof(table[0]), pair_compare);
    return found != NULL ? found->form : cp;
}
