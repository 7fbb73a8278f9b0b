/* Words that say nothing about what a text is about, made into a set by stopwords.c. */

/* English, as they are written in lower case. Not here: it, who, us, which as capitals are names of things. */
#define STOPWORDS_ENGLISH(W)                                                                                 \
    W("a")                                                                                                   \
    W("am")                                                                                                  \
    W("an")                                                                                                  \
    W("and") W("any") W("are") W("as") W("at") W("be") W("been") W("but") W("by") W("can") W("could")        \
        W("did") W("do") W("does") W("for") W("from") W("had") W("has") W("have") W("he") W("her") W("his")  \
            W("how") W("i") W("if") W("in") W("into") W("is") W("its") W("me") W("my") W("no") W("not")      \
                W("of") W("on") W("or") W("our") W("she") W("should") W("so") W("some") W("than") W("that")  \
                    W("the") W("their") W("them") W("then") W("there") W("these") W("they") W("this")        \
                        W("those") W("to") W("was") W("we") W("were") W("what") W("when") W("where")         \
                            W("which") W("why") W("will") W("with") W("would") W("you") W("your")

/* Japanese, by the base form that MeCab gives. */
#define STOPWORDS_VERBS(W)                                                                                   \
    W("ある")                                                                                                \
    W("有る")                                                                                                \
    W("いう")                                                                                                \
    W("言う") W("いく") W("いる") W("居る") W("おく") W("おる") W("くださる") W("くる") W("しまう")          \
        W("する") W("せる") W("つく") W("できる") W("出来る") W("とる") W("なる") W("みる") W("もつ")        \
            W("やる") W("よる") W("れる") W("行う") W("頂く") W("ご覧")

#define STOPWORDS_NOUNS(W)                                                                                   \
    W("うち")                                                                                                \
    W("こと")                                                                                                \
    W("そう")                                                                                                \
    W("ため") W("為") W("とき") W("時") W("ところ") W("はず") W("ほか") W("ほど") W("まま") W("もと")        \
        W("もの") W("よう") W("わけ") W("後") W("場合") W("的")

#define STOPWORDS_OTHERS(W) W("どう") W("なぜ") W("何") W("よい") W("無い")
